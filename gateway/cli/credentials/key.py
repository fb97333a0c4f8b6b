"""`sftp-gateway key …`: the public keys by which a campaign logs in."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import JSON, After, CampaignId, Limit, page_of, read_input
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallRefused
from gateway.output import (
    fail,
    for_people,
    note,
    print_json,
    print_line,
    print_table,
    utc,
    warn,
)

if TYPE_CHECKING:
    from keys.public_keys import PublicKey
    from keys.ssh_keys import AddedKeys, SSHKey

app = typer.Typer(
    help="Public keys: judge, add, list, revoke.", rich_markup_mode="rich", pretty_exceptions_enable=False
)

KeyFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="The agency's .pub file; - reads standard input.", show_default=False
    ),
]


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="key")


@app.command(epilog="Example: sftp-gateway key check agency.pub")
def check(context: typer.Context, file: KeyFile, as_json: JSON = False) -> None:
    """Judge a file of public keys without storing anything. Exit status 1 where one would be refused."""
    from keys.key_files import check_public_keys
    from keys.public_keys import LARGEST_FILE

    del context
    keys, refusals = check_public_keys(read_input(file, limit=LARGEST_FILE), file)
    if as_json:
        refused = [{"line": one.line, "code": one.code.value, "text": one.text} for one in refusals]
        print_json({"keys": [_document(key) for key in keys], "refusals": refused})
    else:
        for key in keys:
            print_line(f"{key.fingerprint} {_describe(key)}: would be accepted")
    for refusal in refusals:
        fail(str(refusal))
    if refusals:
        raise typer.Exit(1)


@app.command(
    epilog="Examples: sftp-gateway key add CAMPAIGN agency.pub --label 'batch server' · "
    "pbpaste | sftp-gateway key add CAMPAIGN -"
)
def add(
    context: typer.Context,
    campaign: CampaignId,
    file: KeyFile,
    label: Annotated[
        str | None, typer.Option("--label", help="What these keys are called here; else each one's comment.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Let a campaign log in with the public keys of a file: all of them, or none where one is refused."""
    from campaigns.campaigns import add_keys
    from keys.key_files import parse_public_keys
    from keys.public_keys import LARGEST_FILE

    invocation = invocation_of(context)
    keys = parse_public_keys(read_input(file, limit=LARGEST_FILE), file)
    if label is not None and not label.isprintable():
        raise CallRefused("a label has printable characters only: choose another --label")

    async def store() -> "AddedKeys":
        async with invocation.open_database() as connection, connection.transaction():
            return await add_keys(connection, campaign, keys, label=label, actor=current_actor())

    result = run(store())
    for fingerprint, others in result.shared.items():
        warn(
            f"{fingerprint} is also a key of {', '.join(others)}: "
            "whoever holds it can send for both; ask for a key of its own"
        )
    for fingerprint in sorted(result.revoked):
        warn(f"{fingerprint} was revoked for this campaign before, and is in force again")
    if as_json:
        print_json(
            {
                "campaignId": campaign,
                "added": [_document(key) for key in result.added],
                "alreadyThere": [_document(key) for key in result.present],
                "sharedWith": {fingerprint: list(others) for fingerprint, others in result.shared.items()},
            }
        )
        return
    _tell_added(result.added, "added")
    _tell_added(result.present, "was there already")


def _tell_added(keys: "Sequence[PublicKey]", what: str) -> None:
    for key in keys:
        print_line(f"{key.fingerprint} {_describe(key)}: {what}")


def _describe(key: "PublicKey") -> str:
    return json.dumps(key.comment, ensure_ascii=False).join((f"({key.algorithm}, {key.bits} bits, ", ")"))


def _document(key: "PublicKey") -> dict[str, object]:
    return {
        "fingerprint": key.fingerprint,
        "algorithm": key.algorithm,
        "bits": key.bits,
        "comment": key.comment,
        "line": key.line,
    }


@app.command("list", epilog="Example: sftp-gateway key list CAMPAIGN --json")
def list_all(
    context: typer.Context,
    campaign: CampaignId,
    search: Annotated[
        str | None,
        typer.Option("--search", metavar="TEXT", help="With this in the label or the fingerprint."),
    ] = None,
    after: After = None,
    limit: Limit = None,
    as_json: JSON = False,
) -> None:
    """List a campaign's keys, revoked ones too, oldest first."""
    from campaigns.campaigns import fetch_known_campaign
    from keys.ssh_keys import list_keys

    invocation = invocation_of(context)

    async def fetch() -> "list[SSHKey]":
        async with invocation.open_database() as connection:
            await fetch_known_campaign(connection, campaign)
            return await list_keys(connection, campaign)

    keys = page_of(
        run(fetch()),
        after=after,
        limit=limit,
        search=search,
        id_of=lambda key: str(key.id),
        texts_of=lambda key: [key.label, key.fingerprint],
    )
    if as_json:
        print_json(
            [
                {
                    "id": key.id,
                    "fingerprint": key.fingerprint,
                    "algorithm": key.algorithm,
                    "label": key.label,
                    "addedAt": utc(key.added_at),
                    "revokedAt": utc(key.revoked_at),
                }
                for key in keys
            ]
        )
        return
    rows = [
        (
            key.fingerprint,
            key.algorithm,
            key.label,
            "in force" if key.revoked_at is None else "revoked",
            for_people(key.added_at),
            for_people(key.revoked_at),
        )
        for key in keys
    ]
    print_table(
        ("fingerprint", "type", "label", "status", "added", "revoked"),
        rows,
        empty=f"{campaign} has no such keys."
        if search or after
        else f"{campaign} has no keys yet: see `sftp-gateway key add --help`",
    )


@app.command(
    epilog="Example: sftp-gateway key revoke CAMPAIGN SHA256:uEn95W/bmPQJqLBmI7g+Orv+dAw+9hZ5LaMUhwilhwI"
)
def revoke(
    context: typer.Context,
    campaign: CampaignId,
    fingerprint: Annotated[
        str,
        typer.Argument(
            metavar="SHA256:…", help="The key's fingerprint, as `key list` prints it.", show_default=False
        ),
    ],
) -> None:
    """Take a key out of force at once: its live sessions end."""
    from campaigns.campaigns import revoke_key
    from keys.public_keys import parse_fingerprint

    invocation = invocation_of(context)
    parsed = parse_fingerprint(fingerprint)

    async def change() -> None:
        async with invocation.open_database() as connection, connection.transaction():
            await revoke_key(connection, campaign, parsed, actor=current_actor())

    run(change())
    note(f"{parsed} is revoked: {campaign} can't log in with it any more")

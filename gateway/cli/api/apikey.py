"""`sftp-gateway apikey …`: the keys by which a campaign calls the HTTP API."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import AFTER_HELP, JSON, CampaignId, Limit, page_of
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallMisused, CallRefused
from gateway.output import for_people, note, print_json, print_line, print_table, utc

if TYPE_CHECKING:
    from keys.api_keys import APIKey, NewAPIKey

_MOST_NAME = 100

app = typer.Typer(
    help="Keys of the HTTP API: add, list, delete.", rich_markup_mode="rich", pretty_exceptions_enable=False
)


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="apikey")


@app.command(epilog="Example: sftp-gateway apikey add CAMPAIGN --name 'appointment system'")
def add(
    context: typer.Context,
    campaign: CampaignId,
    name: Annotated[str, typer.Option("--name", metavar="N", help="What this key is called here.")] = "",
    as_json: JSON = False,
) -> None:
    """Make a key and print it, this one time. At most three are in force, and none without an address (`campaign addresses`)."""
    from campaigns.api_access import add_api_key

    invocation = invocation_of(context)
    if not name.isprintable() or len(name) > _MOST_NAME:
        raise CallRefused(
            f"a key's name has printable characters only, at most {_MOST_NAME}: choose another --name"
        )

    async def store() -> "NewAPIKey":
        environment = invocation.settings.environment
        async with invocation.open_database() as connection, connection.transaction():
            return await add_api_key(
                connection, campaign, environment=environment, name=name.strip(), actor=current_actor()
            )

    key = run(store())
    if as_json:
        print_json({"key": key.text, "prefix": key.prefix})
        return
    print_line(key.text)
    note(
        f"This is the only time that the key is shown: hand it over safely. It is known as {key.prefix} from now on."
    )


@app.command("list", epilog="Example: sftp-gateway apikey list CAMPAIGN --json")
def list_all(
    context: typer.Context,
    campaign: CampaignId,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="With this in the name or the prefix.")
    ] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="PREFIX", help=AFTER_HELP)] = None,
    limit: Limit = None,
    as_json: JSON = False,
) -> None:
    """List a campaign's keys, deleted ones too, oldest first: of each what it is known by, never the key."""
    from campaigns.campaigns import fetch_known_campaign
    from keys.api_keys import list_api_keys

    invocation = invocation_of(context)

    async def fetch() -> "list[APIKey]":
        async with invocation.open_database() as connection:
            await fetch_known_campaign(connection, campaign)
            return await list_api_keys(connection, campaign)

    keys = page_of(
        run(fetch()),
        after=after,
        limit=limit,
        search=search,
        id_of=lambda key: key.prefix,
        texts_of=lambda key: [key.name, key.prefix],
    )
    if as_json:
        print_json(
            [
                {
                    "prefix": key.prefix,
                    "name": key.name,
                    "madeBy": key.made_by,
                    "madeAt": utc(key.made_at),
                    "deletedAt": utc(key.deleted_at),
                }
                for key in keys
            ]
        )
        return
    rows = [
        (
            key.prefix,
            key.name,
            "in force" if key.deleted_at is None else "deleted",
            key.made_by,
            for_people(key.made_at),
            for_people(key.deleted_at),
        )
        for key in keys
    ]
    print_table(
        ("prefix", "name", "status", "made by", "made", "deleted"),
        rows,
        empty=f"{campaign} has no such API keys."
        if search or after
        else f"{campaign} has no API keys yet: see `sftp-gateway apikey add --help`",
    )


@app.command(epilog="Example: sftp-gateway apikey delete CAMPAIGN Fj4iqW0b")
def delete(
    context: typer.Context,
    campaign: CampaignId,
    prefix: Annotated[
        str,
        typer.Argument(
            metavar="PREFIX", help="The 8 characters that `apikey list` shows.", show_default=False
        ),
    ],
) -> None:
    """End a key at once, on all nodes. It can't be put in force again."""
    from campaigns.api_access import delete_api_key
    from keys.api_key_form import is_prefix

    invocation = invocation_of(context)
    if not is_prefix(prefix):
        # It may be a whole key, which no line may repeat.
        raise CallMisused("a key is named by the 8 letters and digits that `apikey list` shows")

    async def change() -> None:
        async with invocation.open_database() as connection, connection.transaction():
            await delete_api_key(connection, campaign, prefix, actor=current_actor())

    run(change())
    note(f"{prefix} is deleted: {campaign} can't call with it any more")

"""`sftp-gateway message …`: one message, its status and every attempt, and another try."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import JSON, After, CampaignId
from gateway.cli.invocation import Invocation, current_actor, invocation_of, run
from gateway.errors import CallMisused, CallRefused
from gateway.output import (
    cut_page,
    for_people,
    note,
    print_facts,
    print_json,
    print_line,
    print_table,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.campaigns import Campaign
    from database.connections import Connection
    from messages.retrieval import Message

app = typer.Typer(
    help="Messages: list, look at, retry.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

MessageId = Annotated[
    str, typer.Argument(metavar="ID", help="The message's id, message_…", show_default=False)
]
# What the API's search takes at most (8-api.md §2.7).
_MOST_SEARCHED = 20


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="message")


@app.command("list", epilog="Example: sftp-gateway message list CAMPAIGN --search 9123")
def list_all(
    context: typer.Context,
    campaign: CampaignId,
    search: Annotated[
        str | None,
        typer.Option("--search", metavar="DIGITS", help="Only recipients whose number has these digits."),
    ] = None,
    after: After = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 50,
    as_json: JSON = False,
) -> None:
    """List a campaign's messages, newest first. They are personal data."""
    from campaigns.campaigns import fetch_known_campaign
    from messages.archived.ranges import list_left_out
    from messages.pages import list_messages

    if search is not None and len(search) > _MOST_SEARCHED:
        raise CallMisused(f"--search takes at most {_MOST_SEARCHED} digits")
    invocation = invocation_of(context)

    async def fetch() -> "tuple[Campaign, list[Message], tuple[str, ...]]":
        async with invocation.open_database() as connection:
            known = await fetch_known_campaign(connection, campaign)
            last = None if after is None else await _fetch_known(connection, after)
            found = await list_messages(connection, campaign, search=search, after=last, limit=limit + 1)
            left_out = await list_left_out(connection, campaign) if len(found) <= limit else ()
            return known, found, left_out

    known, found, left_out = run(fetch())
    messages = cut_page(found, limit, lambda message: message.id)
    for name in left_out:
        note(f"older messages are archived in {name}: `sftp-gateway archive restore {name}` brings them back")
    if as_json:
        print_json([_document(invocation, message, known) for message in messages])
        return
    rows = [
        (
            message.id,
            for_people(message.created_at),
            message.recipient,
            message.language,
            message.status.word,
            message.error and message.error.value,
            str(len(message.attempts)),
            for_people(message.updated_at),
        )
        for message in messages
    ]
    print_table(
        ("id", "made", "recipient", "language", "status", "error", "attempts", "changed"),
        rows,
        empty="There are no such messages.",
    )


@app.command(epilog="Example: sftp-gateway message show message_5f0c… --json")
def show(context: typer.Context, message_id: MessageId, as_json: JSON = False) -> None:
    """Show one message, its text and every attempt, newest first. It is personal data."""
    from campaigns.campaigns import fetch_known_campaign
    from messages.archived.ranges import find_archive_of_message
    from messages.retrieval import fetch_message

    invocation = invocation_of(context)

    async def fetch() -> "tuple[Message, Campaign, str | None]":
        async with invocation.open_database() as connection:
            archive = None
            found = await fetch_message(connection, message_id)
            if found is None and (archive := await find_archive_of_message(connection, message_id)):
                found = await _fetch_archived(invocation, connection, message_id)
            if found is None:
                raise CallRefused(
                    f"there is no message {message_id!r:.80}: see `sftp-gateway message list CAMPAIGN`"
                )
            return found, await fetch_known_campaign(connection, found.batch.campaign_id), archive

    message, campaign, archive = run(fetch())
    document = _document(invocation, message, campaign)
    if as_json:
        print_json(document if archive is None else {**document, "archive": archive})
    else:
        _show(message, str(document["fullMessage"]), archive)


async def _fetch_archived(
    invocation: Invocation, connection: "Connection", message_id: str
) -> "Message | None":
    """The message as its archive has it, which lies in the bucket."""
    from processing.archives.reading import fetch_archived_message
    from processing.object_store import open_store

    async with open_store(invocation.settings.s3) as store:
        return await fetch_archived_message(connection, store, message_id)


async def _fetch_known(connection: "Connection", message_id: str) -> "Message":
    """The message of this id. Raises CallRefused."""
    from messages.archived.ranges import find_archive_of_message
    from messages.errors import MessagesArchived
    from messages.retrieval import fetch_message

    found = await fetch_message(connection, message_id)
    if found is None and (archive := await find_archive_of_message(connection, message_id)) is not None:
        raise MessagesArchived(archive)
    if found is None:
        raise CallRefused(f"there is no message {message_id!r:.80}: see `sftp-gateway message list CAMPAIGN`")
    return found


def _document(invocation: Invocation, message: "Message", campaign: "Campaign") -> "Mapping[str, object]":
    from messages.documents import MessageDocuments
    from processing.rule_settings import make_rules

    settings = invocation.settings
    frame = make_rules(campaign.template, settings.environment, settings.messages).frame()
    return MessageDocuments(
        campaign.id, campaign.template, campaign.created_at, campaign.creator, frame.document()
    ).shown(message)


def _show(message: "Message", text: str, archive: str | None) -> None:
    """All about one message, for people."""
    from messages.meanings import ERROR_MEANINGS, STATUS_MEANINGS, arrival

    error = message.error
    meaning = None if error is None else ERROR_MEANINGS[error]
    print_facts(
        [
            ("id", message.id),
            ("campaignId", message.batch.campaign_id),
            ("batchId", message.batch.id),
            ("row", str(message.row_number)),
            ("recipient", message.recipient),
            ("language", message.language),
            ("status", message.status.word),
            ("means", STATUS_MEANINGS[message.status] if meaning is None else meaning.meaning),
            ("error", error and f"{error.type.value}/{error.value}"),
            ("arrival", arrival(message)),
            ("worth a retry", None if meaning is None else f"{meaning.worth_retrying}: {meaning.advice}"),
            ("segments", f"{message.segments} ({message.encoding})"),
            ("made", for_people(message.created_at)),
            ("changed", for_people(message.updated_at)),
            (
                "archived",
                archive and f"read from {archive} in the bucket: `archive restore {archive}` brings it back",
            ),
        ]
    )
    # The text as the recipient sees it, line by line.
    for line in ("", *text.split("\n"), ""):
        print_line(printable(line))
    rows = [
        (
            str(attempt.number),
            attempt.status.word,
            for_people(attempt.created_at),
            for_people(attempt.sent_at),
            for_people(attempt.delivered_at),
            attempt.error and attempt.error.value,
            attempt.raw_code,
            attempt.provider_id,
        )
        for attempt in message.attempts
    ]
    print_table(
        ("attempt", "status", "begun", "sent", "delivered", "error", "provider's code", "provider's id"),
        rows,
        empty="It has not been handed over yet.",
    )


@app.command(epilog="Example: sftp-gateway message retry message_5f0c…")
def retry(context: typer.Context, message_id: MessageId) -> None:
    """Send a failed message again; its id stays."""
    from messages.changes import retry_message

    invocation = invocation_of(context)
    limit = invocation.settings.sending.max_retries

    async def change() -> None:
        async with invocation.open_database() as connection:
            await retry_message(connection, message_id, max_retries=limit, actor=current_actor())

    run(change())
    note(f"it will be sent again: see `sftp-gateway message show {message_id}`")

"""`sftp-gateway batch …`: how far the messages of an upload have gone out, and what can be done about them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from gateway.cli.arguments import JSON, After, Yes, confirm, new_private_file, parse_since
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallMisused, CallRefused
from gateway.output import (
    counted,
    cut_page,
    for_people,
    note,
    print_facts,
    print_json,
    print_table,
    printable,
    utc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from database.connections import Connection
    from messages.retrieval import Batch, FailureCounts
    from messages.statuses import MessageStatus
    from sending.queues import Outlook

app = typer.Typer(
    help="Batches: list, look at, retry, release, stop, delivery report.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

_SLOW: Final = "its last message can't leave within 24 h of its acceptance at its sender's rate"

BatchId = Annotated[str, typer.Argument(metavar="ID", help="The batch's id, batch_…", show_default=False)]


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="batch")


@app.command("list", epilog="Example: sftp-gateway batch list --campaign CAMPAIGN --since 24h")
def list_all(
    context: typer.Context,
    campaign: Annotated[
        str | None, typer.Option("--campaign", metavar="CAMPAIGN", help="Of this campaign only.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Accepted since: 30m, 24h, 7d, 2026-11-22, or a time."),
    ] = None,
    after: After = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")] = 50,
    as_json: JSON = False,
) -> None:
    """List batches, newest first, with what became of their messages."""
    from campaigns.campaigns import fetch_known_campaign
    from messages.retrieval import list_batches
    from sending.queues import fetch_outlook

    now = datetime.now(UTC)
    begin = None if since is None else parse_since(since, now=now)

    async def fetch() -> "tuple[list[Batch], list[dict[str, object]]]":
        async with invocation_of(context).open_database() as connection:
            if campaign is not None:
                await fetch_known_campaign(connection, campaign)
            last = None if after is None else await _fetch_known(connection, after)
            found = await list_batches(
                connection, campaign_id=campaign, since=begin, after=last, limit=limit + 1
            )
            batches = cut_page(found, limit, lambda batch: batch.id)
            shown = batches if as_json else []
            return batches, [
                _document(batch, await fetch_outlook(connection, batch, now=now)) for batch in shown
            ]

    batches, documents = run(fetch())
    if as_json:
        print_json(documents)
        return
    rows = [
        (
            batch.id,
            for_people(batch.created_at),
            batch.campaign_id,
            batch.original_file_name,
            f"{batch.total_messages:,}",
            describe_progress(batch),
        )
        for batch in batches
    ]
    print_table(
        ("id", "accepted", "campaign", "file", "messages", "progress"),
        rows,
        empty="There are no such batches.",
    )


def describe_progress(batch: "Batch") -> str:
    """The counts that aren't zero, and whether the batch is held."""
    counts = ", ".join(f"{count:,} {status.word}" for status, count in batch.counts.items() if count)
    return f"held; {counts}" if batch.is_held else counts


@app.command(epilog="Example: sftp-gateway batch show batch_5f0c… --json")
def show(context: typer.Context, batch_id: BatchId, as_json: JSON = False) -> None:
    """Show one batch: counts by status and by error, its sender's rate, when it will have left, and what keeps it."""
    from messages.archived.ranges import find_archive
    from messages.retrieval import count_failures
    from sending.queues import fetch_outlook

    archive: str | None = None

    async def fetch() -> "tuple[Batch, Outlook, FailureCounts | None]":
        nonlocal archive
        async with invocation_of(context).open_database() as connection:
            batch = await _fetch_known(connection, batch_id)
            outlook = await fetch_outlook(connection, batch, now=datetime.now(UTC))
            failures = None if as_json else await count_failures(connection, batch)
            archive = await find_archive(connection, batch.number)
            return batch, outlook, failures

    batch, outlook, failures = run(fetch())
    if archive is not None:
        note(
            f"its messages are archived in {archive}, and how failures ended with them: `sftp-gateway archive restore {archive}`"
        )
    if failures is None:
        print_json(_document(batch, outlook))
    else:
        print_facts(facts_of(batch, outlook, failures))


async def _fetch_known(connection: "Connection", batch_id: str) -> "Batch":
    from messages.retrieval import fetch_batch

    found = await fetch_batch(connection, batch_id)
    if found is None:
        raise CallRefused(f"there is no batch {batch_id!r:.80}: see `sftp-gateway batch list`")
    return found


def _document(batch: "Batch", outlook: "Outlook") -> dict[str, object]:
    """The JSON of a batch (7-sending.md §5)."""
    return {
        "id": batch.id,
        "campaignId": batch.campaign_id,
        "kind": batch.kind,
        "originalFileName": batch.original_file_name,
        "status": batch.status,
        "totalMessages": batch.total_messages,
        "createdAt": utc(batch.created_at),
        "counts": {status.word: count for status, count in batch.counts.items()},
        "errors": {code.value: count for code, count in batch.errors.items()},
        "expectedEndAt": utc(outlook.expected_end_at),
    }


def facts_of(batch: "Batch", outlook: "Outlook", failures: "FailureCounts") -> list[tuple[str, str | None]]:
    """All about a batch, for people."""
    from messages.meanings import ERROR_MEANINGS
    from sending.queues import is_slow

    facts: list[tuple[str, str | None]] = [
        ("id", batch.id),
        ("campaignId", batch.campaign_id),
        ("kind", batch.kind),
        ("file", batch.original_file_name),
        ("status", batch.status),
        ("messages", f"{batch.total_messages:,}"),
        ("accepted", for_people(batch.created_at)),
    ]
    facts += [(status.word, f"{count:,}") for status, count in batch.counts.items() if count]
    facts += [
        (code.value, f"{count:,}: {ERROR_MEANINGS[code].meaning}") for code, count in batch.errors.items()
    ]
    facts += [
        ("failures", describe_failures(failures)),
        ("sender", outlook.sender and f"{outlook.sender}, by {outlook.provider}"),
        ("rate", None if outlook.rate is None else f"{outlook.rate:g} segments/s"),
        ("expected end", for_people(outlook.expected_end_at) if outlook.expected_end_at else None),
        ("slow", _SLOW if is_slow(batch, outlook) else None),
        ("waits", outlook.obstacle),
        ("held", for_people(batch.held_since) if batch.is_held else None),
        ("released", for_people(batch.released_at) if batch.released_at else None),
        (batch.ended_because or "ended", for_people(batch.ended_at) if batch.ended_at else None),
        ("finished", for_people(batch.finished_at) if batch.finished_at else None),
    ]
    return facts


def describe_failures(failures: "FailureCounts") -> str | None:
    """Which failures may be retried without texting anybody twice; None where there are none."""
    counts = (
        (failures.never_left, "never left"),
        (failures.not_delivered, "were not delivered"),
        (failures.may_have_arrived, "may have arrived"),
    )
    return ", ".join(f"{count:,} {words}" for count, words in counts if count) or None


@app.command(epilog="Example: sftp-gateway batch retry batch_5f0c…")
def retry(context: typer.Context, batch_id: BatchId) -> None:
    """Send all failed messages of a batch again; their ids stay. Those that were retried too often are left out."""
    from messages.changes import retry_batch

    invocation = invocation_of(context)
    limit = invocation.settings.sending.max_retries

    async def change() -> int:
        async with invocation.open_database() as connection:
            return await retry_batch(connection, batch_id, max_retries=limit, actor=current_actor())

    retried = run(change())
    if retried:
        note(f"{counted(retried, 'message')} will be sent again: see `sftp-gateway batch show {batch_id}`")
    else:
        note("nothing is to be sent again: no message has failed, or all that have were retried too often")


@app.command(epilog="Example: sftp-gateway batch release batch_5f0c…")
def release(context: typer.Context, batch_id: BatchId) -> None:
    """Let a held batch go: one that was there before the upgrade, or could not begin in time. Ask the agency first."""
    from messages.changes import release_batch

    invocation = invocation_of(context)

    async def change() -> None:
        async with invocation.open_database() as connection:
            await release_batch(connection, batch_id, actor=current_actor())

    run(change())
    note(f"{batch_id} is released: see `sftp-gateway batch show {batch_id}`")


@app.command(epilog="Example: sftp-gateway batch stop batch_5f0c… --yes")
def stop(context: typer.Context, batch_id: BatchId, yes: Yes = False) -> None:
    """Stop a batch for good: what has not left fails with `stopped`, and can't be retried."""
    from messages.changes import stop_batch

    invocation = invocation_of(context)

    async def look() -> "Batch":
        async with invocation.open_database() as connection:
            return await _fetch_known(connection, batch_id)

    async def change() -> int:
        async with invocation.open_database() as connection:
            return await stop_batch(connection, batch_id, actor=current_actor())

    found = run(look())
    if not yes:
        name = printable(found.original_file_name)
        confirm(
            f"This stops {found.id} ({name}, {counted(found.total_messages, 'message')}): what has not left is never "
            "sent. It can't be undone.",
            "Stop it?",
            refusal="stopping a batch",
        )
    stopped = run(change())
    note(f"{batch_id} is stopped: {counted(stopped, 'message')} will never leave")


@app.command(
    epilog="Examples: sftp-gateway batch report batch_5f0c… --out deliveries.csv · "
    "sftp-gateway batch report batch_5f0c… --out failed.xlsx --status failure --format xlsx"
)
def report(
    context: typer.Context,
    batch_id: BatchId,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="Write it to this new file (mode 0600).", show_default=False
        ),
    ],
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            metavar="STATUS",
            help="Only messages of this status; repeatable, or several with commas.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="csv|xlsx", help="What to write; else as the file's name ends."),
    ] = None,
) -> None:
    """Write a batch's delivery report: a row for each message, with its status. It is personal data."""
    from campaigns.campaigns import fetch_known_campaign
    from keys.ssh_keys import fetch_label_of_upload
    from messages.delivery_report import ReportFrame, write_delivery_report

    chosen = _parse_format(form, out)
    statuses = _parse_statuses(status or [])
    invocation = invocation_of(context)

    async def write(target: BinaryIO) -> int:
        async with invocation.open_database() as connection:
            batch = await _fetch_known(connection, batch_id)
            campaign = await fetch_known_campaign(connection, batch.campaign_id)
            settings = invocation.settings
            key_name = await fetch_label_of_upload(connection, batch.campaign_id, batch.upload_id)
            frame = await ReportFrame.of_batch(
                connection, batch, campaign, settings.environment, settings.billing, key_name=key_name
            )
            return await write_delivery_report(connection, frame, target, form=chosen, statuses=statuses)

    with new_private_file(out) as target:
        rows = run(write(target))
    note(
        f"The report is in {out}, {counted(rows, 'message')}. It is personal data: delete it when you are done."
    )


def _parse_format(form: str | None, out: Path) -> str:
    chosen = form or ("xlsx" if out.suffix.lower() == ".xlsx" else "csv")
    if chosen not in ("csv", "xlsx"):
        raise CallMisused(f"a report's format is csv or xlsx, not {chosen!r:.40}")
    return chosen


def _parse_statuses(given: "Sequence[str]") -> "set[MessageStatus]":
    """The statuses of these names, several of which may stand in one text; all seven without a name. Raises CallMisused."""
    from messages.statuses import MessageStatus

    words = [word.strip() for text in given for word in text.split(",")]
    known = {status.word: status for status in MessageStatus}
    for word in words:
        if word not in known:
            raise CallMisused(f"no message has the status {word!r:.40}: it is one of {', '.join(known)}")
    return {known[word] for word in words} or set(MessageStatus)

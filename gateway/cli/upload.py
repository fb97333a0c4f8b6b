"""`sftp-gateway upload …`: what happened to a file, its report, and another try."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer

from gateway.cli.arguments import JSON, After, new_private_file, parse_since
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallMisused, CallRefused
from gateway.output import (
    counted,
    cut_page,
    for_people,
    note,
    print_facts,
    print_json,
    print_line,
    print_table,
    utc,
)

if TYPE_CHECKING:
    from audit.archived import ArchivedEvents
    from audit.events import Actor, RecordedEvent
    from database.connections import Connection
    from database.held_jobs import HeldJob
    from processing.uploads import Upload, UploadStatus

app = typer.Typer(
    help="Uploads: list, look at, retry, release, read the report.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

UploadId = Annotated[str, typer.Argument(metavar="ID", help="The upload's id, upload_…", show_default=False)]

_HELD: Final = "since a restore: it may be told and sent already; `upload release` or `upload refuse`"


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="upload")


@app.command(
    "list",
    epilog="Examples: sftp-gateway upload list --campaign CAMPAIGN --since 24h · "
    "sftp-gateway upload list --status failed --json",
)
def list_all(
    context: typer.Context,
    campaign: Annotated[
        str | None, typer.Option("--campaign", metavar="CAMPAIGN", help="Of this campaign only.")
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="STATUS",
            help="received, validating, checked, accepted, rejected, failed or withdrawn.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="Received since: 30m, 24h, 7d, 2026-11-22, or a time (UTC unless told).",
        ),
    ] = None,
    after: After = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many at most.")] = 50,
    held: Annotated[bool, typer.Option("--held", help="Those held since a restore.")] = False,
    as_json: JSON = False,
) -> None:
    """List uploads, newest first."""
    from campaigns.campaigns import fetch_known_campaign
    from processing.reconcile.uploads import list_held
    from processing.uploads import list_uploads

    invocation = invocation_of(context)
    wanted = None if status is None else _parse_status(status)
    begin = None if since is None else parse_since(since, now=datetime.now(UTC))

    async def fetch() -> "list[Upload]":
        async with invocation.open_database() as connection:
            if campaign is not None:
                await fetch_known_campaign(connection, campaign)
            listing = list_held if held else partial(list_uploads, status=wanted)
            last = None if after is None else await fetch_known(connection, after)
            return await listing(connection, campaign_id=campaign, since=begin, after=last, limit=limit + 1)

    uploads = cut_page(run(fetch()), limit, lambda upload: upload.id)
    if as_json:
        print_json([_document(upload) for upload in uploads])
        return
    rows = [
        (
            upload.id,
            for_people(upload.received_at),
            upload.source.value,
            upload.status.value,
            upload.campaign_id,
            upload.file_name,
            f"{upload.byte_count:,}",
            _in_short(upload),
        )
        for upload in uploads
    ]
    print_table(
        ("id", "received", "source", "status", "campaign", "file", "bytes", "outcome"),
        rows,
        empty="There are no such uploads.",
    )


def _in_short(upload: "Upload") -> str:
    if upload.total_messages is not None and upload.batch_id is not None:
        made_before = " (made before)" if upload.duplicate_of else ""
        return counted(upload.total_messages, "message") + made_before
    if upload.support_id is not None:
        return upload.support_id
    if upload.error_reason is not None:
        return upload.error_reason
    if upload.num_errors and upload.num_rows:
        return f"{counted(upload.num_errors, 'error')} in {counted(upload.num_rows, 'row')}"
    return ""


def _parse_status(text: str) -> "UploadStatus":
    from difflib import get_close_matches

    from processing.uploads import UploadStatus

    names = [status.value for status in UploadStatus]
    if text.lower() in names:
        return UploadStatus(text.lower())
    near = get_close_matches(text.lower(), names, n=1)
    hint = f": did you mean {near[0]}?" if near else f": it is one of {', '.join(names)}"
    raise CallMisused(f"no upload has the status {text!r:.40}{hint}")


@app.command(epilog="Example: sftp-gateway upload show upload_5f0c… --json")
def show(
    context: typer.Context,
    upload_id: Annotated[
        str, typer.Argument(metavar="ID", help="The upload's id, or its support id.", show_default=False)
    ],
    as_json: JSON = False,
) -> None:
    """Show one upload, with its timeline."""
    from audit.archived import describe_archived, list_archived
    from audit.events import fetch_events_of_upload
    from database.held_jobs import fetch_held
    from gateway.cli.job import document_of
    from processing.reconcile.uploads import fetch_hold
    from processing.verdicts.queueing import VERDICT_ENTRYPOINTS

    invocation = invocation_of(context)
    of_job: HeldJob | None = None
    hold: object = None
    archived: Sequence[ArchivedEvents] = ()

    async def fetch() -> "tuple[Upload, list[RecordedEvent], list[tuple[str, str | None]]]":
        nonlocal of_job, hold, archived
        async with invocation.open_database() as connection:
            found = await fetch_known(connection, upload_id)
            events = await fetch_events_of_upload(connection, found.id)
            archived = await list_archived(connection, begun_at=found.received_at)
            of_job = await fetch_held(connection, VERDICT_ENTRYPOINTS, found.id)
            hold = await fetch_hold(connection, found.id)
            return found, events, [] if as_json else await _fetch_batch_facts(connection, found)

    upload, events, facts = run(fetch())
    if archived:
        note(f"steps of it may be missing: {describe_archived(archived)}")
    if as_json:
        more = ({} if of_job is None else {"heldJob": document_of(of_job)}) | ({"held": hold} if hold else {})
        more |= {"timelineArchivedIn": [archive.name for archive in archived]} if archived else {}
        print_json({**_document(upload), **more, "timeline": _timeline(events)})
        return
    if of_job is not None:
        facts = [("its job", _describe_held(of_job)), *facts]
    _show(upload, events, [("held", _HELD), *facts] if hold else facts)


def _describe_held(job: "HeldJob") -> str:
    since = for_people(job.held_at)
    return f"held since {since}, when it had crashed {counted(job.crashes, 'time')}: `sftp-gateway job retry {job.id}`"


async def _fetch_batch_facts(connection: "Connection", upload: "Upload") -> list[tuple[str, str | None]]:
    """What became of the messages of an accepted upload, in short: `batch show` tells the rest."""
    from gateway.cli.batch import describe_failures, describe_progress
    from messages.archived.ranges import find_archive
    from messages.retrieval import count_failures, fetch_batch
    from sending.queues import fetch_outlook

    if upload.batch_id is None or (batch := await fetch_batch(connection, upload.batch_id)) is None:
        return []
    outlook = await fetch_outlook(connection, batch, now=datetime.now(UTC))
    end = for_people(outlook.expected_end_at) if outlook.expected_end_at else None
    return [
        ("state of its batch", f"{batch.status}: {describe_progress(batch)}"),
        ("failures", describe_failures(await count_failures(connection, batch))),
        ("archived in", await find_archive(connection, batch.number)),
        ("waits", outlook.obstacle),
        ("expected end", end),
    ]


async def fetch_known(connection: "Connection", upload_id: str) -> "Upload":
    """The upload of this id, or of this support id. Raises CallRefused."""
    from processing.uploads import fetch_upload, fetch_upload_by_support_id

    found = await fetch_upload(connection, upload_id)
    if found is None and upload_id.startswith("S-"):
        found = await fetch_upload_by_support_id(connection, upload_id)
    if found is None:
        raise CallRefused(f"there is no upload {upload_id!r:.80}: see `sftp-gateway upload list`")
    return found


@app.command(epilog="Example: sftp-gateway upload retry upload_5f0c…")
def retry(context: typer.Context, upload_id: UploadId) -> None:
    """Decide a failed upload once more: it gets a new outcome, and a new e-mail."""
    from processing.verdicts.queueing import retry_upload

    _reopen(context, upload_id, retry_upload)


@app.command(epilog="Example: sftp-gateway upload release upload_5f0c…")
def release(context: typer.Context, upload_id: UploadId) -> None:
    """Decide an upload anew: one taken for interrupted, which the agency says is whole, or one held since a restore."""
    from processing.reconcile.holds import release_any

    _reopen(context, upload_id, release_any)


class _Reopen(Protocol):
    async def __call__(self, connection: "Connection", upload: "Upload", *, actor: "Actor") -> None: ...


def _reopen(context: typer.Context, upload_id: str, reopen: _Reopen) -> None:
    invocation = invocation_of(context)

    async def change() -> str:
        async with invocation.open_database() as connection, connection.transaction():
            found = await fetch_known(connection, upload_id)
            await reopen(connection, found, actor=current_actor())
            return found.id

    identifier = run(change())
    note(f"{identifier} will be decided anew: see `sftp-gateway upload show {identifier}`")


@app.command(
    epilog="Examples: sftp-gateway upload report upload_5f0c… --out report.csv · "
    "sftp-gateway upload report upload_5f0c… --link"
)
def report(
    context: typer.Context,
    upload_id: UploadId,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it to this new file (mode 0600).")
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Print a fresh link to it instead, as in the e-mail.")
    ] = False,
) -> None:
    """Print a rejected upload's report: the rows as they were, with `Error Reason`. It is personal data."""
    import io
    import sys

    from processing.object_store import open_store

    if link and out is not None:
        raise CallMisused("give either --out or --link")
    invocation = invocation_of(context)

    async def fetch_key() -> str:
        async with invocation.open_database() as connection:
            found = await fetch_known(connection, upload_id)
            if found.report_key is None:
                raise CallRefused(f"{found.id} is {found.status} and has no report")
            return found.report_key

    async def fetch() -> str | bytes:
        key = await fetch_key()
        async with open_store(invocation.settings.s3) as store:
            if link:
                return await store.sign_link(key)
            content = io.BytesIO()
            await store.fetch(key, content)
            return content.getvalue()

    found = run(fetch())
    if isinstance(found, str):
        print_line(found)
    elif out is None:
        sys.stdout.buffer.write(found)
        sys.stdout.buffer.flush()
    else:
        with new_private_file(out) as file:
            file.write(found)
        note(f"The report is in {out}. It is personal data: delete it when you are done.")


def _document(upload: "Upload") -> dict[str, object]:
    """The JSON of an upload. One that did not come by SFTP names its source too."""
    source = {} if upload.source.value == "sftp" else {"source": upload.source.value}
    return {
        "id": upload.id,
        "campaignId": upload.campaign_id,
        "fileName": upload.file_name,
        "status": upload.status.value,
        "bytes": upload.byte_count,
        "sha256": upload.sha256 or upload.content_sha256,
        "receivedAt": utc(upload.received_at),
        "finishedAt": utc(upload.finished_at),
        "batchId": upload.batch_id,
        "totalMessages": upload.total_messages,
        "duplicateOf": upload.duplicate_of,
        "reportKey": upload.report_key,
        "supportId": upload.support_id,
        "numRows": upload.num_rows,
        "numErrors": upload.num_errors,
        "notifiedAt": utc(upload.notified_at),
        **source,
    }


def _timeline(events: "Sequence[RecordedEvent]") -> list[dict[str, object]]:
    """The JSON of a timeline, oldest first."""
    return [
        {
            "at": utc(event.at),
            "event": event.event,
            "actor": event.actor,
            "sourceAddress": event.source_address,
            "connectionId": event.connection_id,
            "details": dict(event.details),
        }
        for event in events
    ]


def _show(
    upload: "Upload",
    events: "Sequence[RecordedEvent]",
    batch_facts: "Sequence[tuple[str, str | None]]",
) -> None:
    """All about one upload, for people."""
    messages = None if upload.total_messages is None else f"{upload.total_messages:,}"
    print_facts(
        [
            ("id", upload.id),
            ("campaignId", upload.campaign_id),
            ("source", upload.source.value),
            ("file", upload.file_name),
            ("status", upload.status.value),
            ("bytes", f"{upload.byte_count:,}"),
            ("SHA-256", upload.sha256 or upload.content_sha256),
            ("received", for_people(upload.received_at)),
            ("decided", for_people(upload.finished_at)),
            ("batchId", upload.batch_id),
            ("messages", messages),
            *batch_facts,
            ("same bytes as", upload.duplicate_of),
            ("reason", upload.error_reason),
            ("rows with errors", None if upload.num_rows is None else f"{upload.num_rows:,}"),
            ("errors", None if upload.num_errors is None else f"{upload.num_errors:,}"),
            ("report", upload.report_key),
            ("support id", upload.support_id),
            ("e-mail sent", for_people(upload.notified_at) if upload.source.value == "sftp" else None),
            (
                "e-mail refused",
                for_people(upload.notification_refused_at) if upload.notification_refused_at else None,
            ),
            ("e-mail trouble", upload.notification_error),
        ]
    )
    print_line("")
    rows = []
    for event in events:
        after = (event.at - events[0].at).total_seconds()
        details = ", ".join(f"{name} {value}" for name, value in event.details.items())
        who = ", ".join(word for word in (event.actor, event.source_address) if word)
        rows.append((for_people(event.at), f"+{after:.3f} s", event.event, who, details))
    print_table(("at", "after", "event", "by", "details"), rows, empty="No step of it is on record.")

"""`sftp-gateway reconcile`: enters again what a restored database has lost, and holds what may be sent already."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.arguments import JSON, parse_since
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.cli.upload import UploadId, fetch_known
from gateway.cli.upload import app as uploads
from gateway.errors import ExitStatus
from gateway.output import for_people, note, print_json, print_line, print_table, utc

if TYPE_CHECKING:
    from config.settings import Settings
    from database.connections import Pool
    from processing.object_store import S3ObjectStore
    from processing.reconcile.run import Became, Found, Scope

# So many single ones are told; of all there are counts.
_MOST_TOLD: Final = 1000
_SAID: Final = {
    "received": "entered, and will be judged",
    "held": "entered or settled with the outcome it had, which is held",
    "to_check": "entered, and waits on its page until somebody sends it",
    "interrupted": "entered as interrupted; no e-mail",
    "before": "older than the restore, and never taken: left alone",
    "not_taken": "its sender was told that it was not taken: left alone",
    "not_answered": "by the API, and never answered: left alone",
    "too_new": "being taken just now: run this again in a minute",
    "unknown": "no object of this gateway, or without its metadata: left alone",
    "unreadable": "its file name can't be read: set the s3.name_key that it was written with",
    "no_campaign": "its campaign is not in the database: create it with the same --id, and run this again",
}


def register(parent: typer.Typer) -> None:
    """Add this command to `parent`."""
    parent.command(
        name="reconcile",
        epilog="Examples: sftp-gateway reconcile --dry-run · sftp-gateway reconcile --since 2026-11-28T09:55",
    )(reconcile)
    uploads.command(epilog="Example: sftp-gateway upload refuse upload_5f0c…")(refuse)


def reconcile(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="The moment to which the database was restored: 30m, 2026-11-28T09:55, or a time (UTC unless told). Else the "
            "newest that it recorded before PostgreSQL was started.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: JSON = False,
) -> None:
    """Compare bucket and database after a restore: enter again what is missing, and hold what may have been sent.

    Exit status 1 where something is left that somebody must look at. Safe to stop and to run again.
    """
    invocation = invocation_of(context)
    now = datetime.now(UTC)
    begin = None if since is None else parse_since(since, now=now)
    counts, told, scope, batches = run(_reconcile(invocation.settings, begin, now, dry_run=dry_run))
    from processing.reconcile.run import LOOK_AT

    if as_json:
        print_json(
            {
                "since": utc(scope.since),
                "dryRun": dry_run,
                "counts": {became.value: count for became, count in counts.items()},
                "batchesHeld": batches,
                "uploads": [_document(found) for found in told],
            }
        )
    else:
        _show(counts, told, scope, batches)
    if any(counts[became] for became in LOOK_AT):
        raise typer.Exit(ExitStatus.REFUSED)


def refuse(context: typer.Context, upload_id: UploadId) -> None:
    """Let an outcome that is held since a restore stand as it is: nothing of it is told or sent again."""
    from processing.reconcile.holds import refuse as refuse_held

    invocation = invocation_of(context)

    async def change() -> str:
        async with invocation.open_database() as connection, connection.transaction():
            found = await fetch_known(connection, upload_id)
            await refuse_held(connection, found, actor=current_actor())
            return found.id

    identifier = run(change())
    note(f"the outcome of {identifier} stands, and nothing of it is told or sent again")


async def _reconcile(
    settings: "Settings", since: datetime | None, now: datetime, *, dry_run: bool
) -> "tuple[Counter[Became], list[Found], Scope, int]":
    from audit.events import AuditEvent, record_event
    from database.connections import database_troubles, open_pool
    from database.schema import check_schema
    from processing.object_store import open_store
    from processing.reconcile.run import Became, Scope, reconcile
    from processing.reconcile.uploads import newest_before_start

    counts: Counter[Became] = Counter()
    told: list[Found] = []
    async with open_pool(settings.database, name="reconcile") as pool, open_store(settings.s3) as store:
        with database_troubles():
            async with pool.acquire() as connection:
                await check_schema(connection)
                begin = since or await newest_before_start(connection)
        twins = timedelta(hours=settings.worker.duplicate_hours)
        scope = Scope(begin, now, twins, settings.sftp.max_upload_bytes, dry_run, current_actor())
        # First, so that nothing leaves again while the bucket is compared.
        batches = 0 if dry_run else await _hold_batches(pool, store, scope)
        async for found in reconcile(pool, store, scope):
            counts[found.became] += 1
            if found.became is not Became.BEFORE and len(told) < _MOST_TOLD:
                told.append(found)
        if not dry_run:
            with database_troubles():
                async with pool.acquire() as connection:
                    await record_event(
                        connection,
                        AuditEvent.BUCKET_RECONCILED,
                        actor=scope.actor,
                        details={
                            "counts": {became.value: count for became, count in sorted(counts.items())},
                            "batches": batches,
                            "since": utc(begin),
                        },
                    )
    return counts, told, scope, batches


async def _hold_batches(pool: "Pool", store: "S3ObjectStore", scope: "Scope") -> int:
    """Where the bucket knows a newer claim than the database, pause all senders, and hold what isn't all handed over."""
    from database.connections import database_troubles
    from gateway.processes.sender import BucketClaimMark
    from messages.changes import hold_restored
    from processing.errors import StoreUnavailable
    from sending.pauses import is_paused_as_restored
    from sending.upkeep.restored import pause_if_restored

    with database_troubles():
        try:
            is_restored = await pause_if_restored(pool, BucketClaimMark(store))
        except OSError as error:
            raise StoreUnavailable(str(error)) from None
        async with pool.acquire() as connection:
            if not is_restored and not await is_paused_as_restored(connection):
                return 0
            return await hold_restored(connection, actor=scope.actor)


def _document(found: "Found") -> dict[str, object]:
    return {
        "id": found.upload_id,
        "campaignId": found.campaign_id,
        "objectKey": found.key,
        "became": found.became.value,
        "outcome": found.outcome,
    }


def _show(counts: "Counter[Became]", told: "list[Found]", scope: "Scope", batches: int) -> None:
    since = for_people(scope.since) if scope.since else "the beginning"
    note(f"compared what came since {since}" + (": a dry run, nothing is changed" if scope.dry_run else ""))
    print_table(
        ("what", "uploads", "which means"),
        [(became.value, f"{count:,}", _SAID[became.value]) for became, count in sorted(counts.items())],
        empty="Bucket and database agree.",
    )
    if batches:
        print_line(
            f"{batches:,} batches and single sends are held (restored): `sftp-gateway batch release` or `stop` each"
        )
    if told:
        print_line("")
        print_table(
            ("what", "outcome", "upload", "campaign", "object"),
            [
                (found.became.value, found.outcome, found.upload_id, found.campaign_id, found.key)
                for found in told
            ],
            empty="",
        )
    if len(told) == _MOST_TOLD:
        note(f"only the first {_MOST_TOLD:,} are listed")
    if counts and any(found.became.value == "held" for found in told):
        note("held ones: `sftp-gateway upload list --held`, then `upload release ID` or `upload refuse ID`")

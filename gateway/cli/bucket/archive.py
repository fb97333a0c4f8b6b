"""`sftp-gateway archive …`: old messages and audit events leave the database for the bucket, and come back."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.arguments import JSON
from gateway.cli.invocation import Invocation, current_actor, invocation_of, run
from gateway.errors import CallMisused, ExitStatus
from gateway.output import counted, for_people, note, print_json, print_line, print_table, utc
from processing.archives.kinds import NOUNS, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from database.connections import Pool
    from processing.archives.archives import Archive
    from processing.archives.archiving import Archived, Archiver
    from processing.archives.ranges import RecordRange
    from processing.archives.restoring import Restored
    from processing.errors import RangeStays
    from rules.billing.periods import Month

app = typer.Typer(
    help="Old messages and audit events: into the bucket, and back.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

# The names of a range's numbers and rows in JSON.
_NUMBERS: Final = {
    Kind.MESSAGES: ("fromBatch", "beforeBatch"),
    Kind.AUDIT_EVENTS: ("fromEvent", "beforeEvent"),
}
_COUNTS: Final = {Kind.MESSAGES: "messages", Kind.AUDIT_EVENTS: "events"}
_COUNTS_OF_TABLES: Final = {"messages": "messages", "attempts": "attempts", "audit_events": "events"}


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="archive")


@contextlib.asynccontextmanager
async def _open_pool(invocation: Invocation) -> "AsyncIterator[Pool]":
    """A pool to a database with this release's schema, whose troubles are told in a line."""
    from database.connections import database_troubles, open_pool
    from database.schema import check_schema

    async with open_pool(invocation.settings.database, name="archive") as pool:
        with database_troubles():
            async with pool.acquire() as connection:
                await check_schema(connection)
            yield pool


@app.command("list", epilog="Example: sftp-gateway archive list --json")
def list_all(context: typer.Context, as_json: JSON = False) -> None:
    """List the ranges of messages and of audit events, in the database and in the bucket, oldest first."""
    from processing.archives.archives import list_archives, list_unfinished, sum_up
    from processing.archives.ranges import list_ranges

    invocation = invocation_of(context)

    async def fetch() -> "tuple[list[RecordRange], list[Archive], Mapping[str, tuple[int, int]]]":
        async with _open_pool(invocation) as pool, pool.acquire() as connection:
            for name in await list_unfinished(connection):
                note(
                    f"{name} is being restored, or that was stopped: a worker removes what is left of it within the hour"
                )
            return await list_ranges(connection), await list_archives(connection), await sum_up(connection)

    documents = _documents(*run(fetch()))
    if as_json:
        print_json(documents)
        return
    rows = [
        (
            str(document["name"]),
            str(document["state"]),
            _months(document["firstAt"], document["lastAt"]),
            f"{document[_COUNTS[Kind(str(document['kind']))]]:,}",
            f"{document['bytes']:,}",
            for_people(datetime.fromisoformat(str(document["archivedAt"])))
            if document["archivedAt"]
            else None,
        )
        for document in documents
    ]
    print_table(("name", "state", "months", "rows", "bytes", "archived"), rows, empty="There are no ranges.")


def _documents(
    ranges: "list[RecordRange]", archives: "list[Archive]", sums: "Mapping[str, tuple[int, int]]"
) -> "list[dict[str, object]]":
    """Each range once: those in the database by their tables, those in the bucket by their files."""
    from processing.archives.archives import State

    known = {archive.name: archive for archive in archives}
    found = [
        (
            (range_.kind, range_.begins),
            _document(
                range_.kind,
                range_.name,
                known[range_.name].state.value if range_.name in known else range_.place.value,
                (range_.begins, range_.ends),
                (range_.first_at, range_.last_at),
                (range_.rows, range_.byte_count),
                known.get(range_.name),
            ),
        )
        for range_ in ranges
    ]
    found += [
        (
            (archive.kind, archive.begins),
            _document(
                archive.kind,
                archive.name,
                archive.state.value,
                (archive.begins, archive.ends),
                (archive.first_at, archive.last_at),
                sums.get(archive.name, (0, 0)),
                archive,
            ),
        )
        for archive in archives
        if archive.state is State.ARCHIVED
    ]
    # Messages first.
    return [
        document
        for _, document in sorted(found, key=lambda pair: (pair[0][0] is not Kind.MESSAGES, *pair[0]))
    ]


def _document(
    kind: Kind,
    name: str,
    state: str,
    numbers: tuple[int, int],
    moments: tuple[datetime | None, datetime | None],
    size: tuple[int, int],
    archive: "Archive | None",
) -> "dict[str, object]":
    return {
        "name": name,
        "kind": kind.value,
        "state": state,
        _NUMBERS[kind][0]: numbers[0],
        _NUMBERS[kind][1]: numbers[1],
        "firstAt": utc(moments[0]),
        "lastAt": utc(moments[1]),
        _COUNTS[kind]: size[0],
        "bytes": size[1],
        "archivedAt": utc(archive.archived_at) if archive else None,
        "restoredAt": utc(archive.restored_at) if archive else None,
    }


def _months(first: object, last: object) -> str | None:
    from rules.billing.periods import Month

    if not isinstance(first, str) or not isinstance(last, str):
        return None
    months = [Month.of(datetime.fromisoformat(text)) for text in (first, last)]
    return str(months[0]) if months[0] == months[1] else f"{months[0]} to {months[1]}"


@app.command("run", epilog="Example: sftp-gateway archive run --before 2026-07 --dry-run")
def run_all(
    context: typer.Context,
    before: Annotated[
        str,
        typer.Option(
            "--before",
            metavar="YYYY-MM",
            help="Ranges all of whose batches, or events, were made before this month, Singapore's.",
            show_default=False,
        ),
    ],
    kind: Annotated[
        Kind,
        typer.Option(
            "--kind", help="What leaves: messages with their attempts, or the audit trail's events."
        ),
    ] = Kind.MESSAGES,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: JSON = False,
) -> None:
    """Put old messages, or audit events, into the bucket and take them out of the database. Safe to stop, and to run again.

    Exit status 1 where a range of these months must stay, which is said with the reason.
    """
    from rules.billing.periods import Month

    invocation = invocation_of(context)
    month = Month.parse(before)
    if month is None:
        raise CallMisused(f"--before {before!r:.20} is no month: write it as 2026-07")
    results = run(_archive(invocation, kind, month, dry_run=dry_run))
    if as_json:
        print_json([_result(name, outcome) for name, outcome in results])
    for name, outcome in [] if as_json else results:
        print_line(_tell(name, outcome))
    if not results and not as_json:
        note(f"no range ends before {month}: see `sftp-gateway archive list`")
    if any(isinstance(outcome, Exception) for _, outcome in results):
        raise typer.Exit(ExitStatus.REFUSED)


async def _archive(
    invocation: Invocation, kind: Kind, month: "Month", *, dry_run: bool
) -> "Sequence[tuple[str, Archived | RangeStays | None]]":
    """Each range of before that month, with what was done; None where a dry run would archive it."""
    from processing.archives.archives import work_alone
    from processing.archives.archiving import Archiver
    from processing.archives.ranges import Terms, list_ranges
    from processing.object_store import open_store

    settings = invocation.settings
    terms = Terms.of(settings.environment, settings.billing, month)
    async with _open_pool(invocation) as pool, open_store(settings.s3) as store, work_alone(pool):
        async with pool.acquire() as connection:
            ranges = [
                range_
                for range_ in await list_ranges(connection)
                if range_.kind is kind and range_.is_of_before(month)
            ]
        archiver = Archiver(pool, store, terms, actor=current_actor(), tell=note)
        return [(range_.name, await _try(archiver, range_, dry_run=dry_run)) for range_ in ranges]


async def _try(
    archiver: "Archiver", range_: "RecordRange", *, dry_run: bool
) -> "Archived | RangeStays | None":
    from processing.errors import RangeStays

    now = datetime.now(UTC)
    try:
        if dry_run:
            await archiver.check(range_, now=now)
            return None
        return await archiver.archive(range_, now=now)
    except RangeStays as stays:
        return stays


def _tell(name: str, outcome: "Archived | RangeStays | None") -> str:
    if outcome is None:
        return f"{name} would be archived"
    if isinstance(outcome, Exception):
        return str(outcome)
    return (
        f"{name} is archived: {_told(outcome.rows)}, "
        f"{outcome.byte_count:,} bytes in {counted(outcome.files, 'file')}"
    )


def _result(name: str, outcome: "Archived | RangeStays | None") -> "dict[str, object]":
    if outcome is None:
        return {"name": name, "result": "would_be_archived"}
    if isinstance(outcome, Exception):
        return {"name": name, "result": "stays", "reason": outcome.reason}
    return {
        "name": name,
        "result": "archived",
        **{_COUNTS_OF_TABLES[table]: count for table, count in outcome.rows.items()},
        "files": outcome.files,
        "bytes": outcome.byte_count,
    }


@app.command(epilog="Example: sftp-gateway archive restore messages_to_4000000")
def restore(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The archive's name, as `archive list` has it.", show_default=False
        ),
    ],
) -> None:
    """Bring an archive's messages, or audit events, back into the database. Safe to stop, and to run again."""
    from processing.archives.archives import work_alone
    from processing.archives.restoring import restore as restore_archive
    from processing.object_store import open_store

    invocation = invocation_of(context)

    async def bring_back() -> "Restored":
        settings = invocation.settings
        async with _open_pool(invocation) as pool, open_store(settings.s3) as store, work_alone(pool):
            return await restore_archive(pool, store, name, actor=current_actor(), tell=note)

    done = run(bring_back())
    note(f"{done.name} is in the database again: {_told(done.rows)}")


def _told(rows: "Mapping[str, int]") -> str:
    return ", ".join(counted(count, NOUNS[table]) for table, count in rows.items())

"""Audit events leave for the bucket and come back as they were; who reads the trail is told, and no decision changes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from audit.archived import list_archived
from audit.events import fetch_events_of_upload, fetch_logins
from campaigns.campaigns import SuspensionReason, fetch_suspension_reason
from console.integrations.overview import SQL as OVERVIEW
from database.connections import Connection, Pool
from database.ranges import AUDIT_WIDTH
from keys.ssh_keys import fetch_label_of_upload
from processing.archives import archives
from processing.archives.archives import State, fetch_archive
from processing.archives.archiving import Archiver
from processing.archives.kinds import Kind
from processing.archives.ranges import RecordRange, Terms, list_ranges
from processing.archives.restoring import restore
from processing.errors import ObjectMissing, RangeInUse, RangeStays
from processing.object_store import S3ObjectStore
from processing.reconcile.uploads import newest_before_start
from rules.billing.periods import Month
from tests.conftest import ADMIN
from tests.processing.archives.conftest import NOW, MakeArchiver
from tests.processing.conftest import read_object

MADE = datetime(2026, 3, 3, 9, 30, 0, 123000, tzinfo=UTC)
NAME = f"audit_events_to_{AUDIT_WIDTH}"
UPLOAD = "upload_00000000-0000-4000-8000-000000000001"
KEY = "SHA256:agency"
EVENTS: tuple[tuple[str, str | None, str | None, str | None, str], ...] = (
    ("campaign_suspended", None, "admin", None, '{"reason": "content"}'),
    ("campaign_suspended", None, "admin", None, '{"reason": "REASON"}'),
    ("login_accepted", None, KEY, "192.0.2.7", "{}"),
    ("login_accepted", None, KEY, "2001:db8::7", '{"connection": "last"}'),
    ("upload_received", UPLOAD, KEY, "192.0.2.7", '{"bytes": 12}'),
    # Details may be in anybody's words, and an empty text isn't none.
    ("billing_corrected", None, "", "192.0.2.0/24", '{"reason": "a \\"b\\",\\r\\n\\\\N\\té"}'),
    ("upload_decided", UPLOAD, None, None, '{"outcome": "accepted"}'),
)


async def events_of(connection: Connection) -> list[tuple[Any, ...]]:
    """All events of before this test, whole."""
    rows = await connection.fetch("select * from audit_events where at < $1 order by id", NOW)
    return [tuple(row) for row in rows]


async def audit_range(connection: Connection) -> RecordRange:
    return next(each for each in await list_ranges(connection) if each.kind is Kind.AUDIT_EVENTS)


@pytest.fixture
async def trail(connection: Connection, campaign_id: str) -> list[tuple[Any, ...]]:
    """Events of March in the first range, with ids given out from the next one on; all of them."""
    await connection.execute("delete from audit_events")
    await connection.execute("select setval(pg_get_serial_sequence('audit_events', 'id'), 1, false)")
    for number, (event, upload_id, actor, address, details) in enumerate(EVENTS):
        await connection.execute(
            "insert into audit_events (at, event, campaign_id, upload_id, actor, source_address, details)"
            " values ($1, $2, $3, $4, $5, $6::text::inet, $7)",
            MADE + timedelta(seconds=number), event, campaign_id, upload_id, actor, address,
            details.replace("REASON", SuspensionReason.SECURITY),
        )  # fmt: skip
    await connection.execute(
        "insert into ssh_keys (campaign_id, fingerprint, algorithm, public_key, label)"
        " values ($1, $2, 'ssh-ed25519', 'x', 'clinic')",
        campaign_id, KEY,
    )  # fmt: skip
    await connection.execute(
        "select setval(pg_get_serial_sequence('audit_events', 'id'), $1, false)", AUDIT_WIDTH
    )
    await connection.execute("select add_audit_ranges()")
    return await events_of(connection)


async def decisions(connection: Connection, campaign_id: str) -> list[object]:
    """What others than readers of the trail take from it."""
    keys = await connection.fetch(OVERVIEW["list_ssh_keys"], campaign_id)
    return [
        await fetch_suspension_reason(connection, campaign_id),
        await fetch_label_of_upload(connection, campaign_id, UPLOAD),
        [(key["last_login_at"], key["last_login_from"]) for key in keys],
        await newest_before_start(connection),
    ]


async def test_events_leave_and_come_back_to_the_last_bit_and_no_decision_changes(
    connection: Connection,
    pool: Pool,
    store: S3ObjectStore,
    trail: list[tuple[Any, ...]],
    make_archiver: MakeArchiver,
    campaign_id: str,
) -> None:
    decided = await decisions(connection, campaign_id)
    last_login = (MADE + timedelta(seconds=3), "2001:db8::7")
    assert decided == [SuspensionReason.SECURITY, "clinic", [last_login], MADE + timedelta(seconds=6)]
    done = await make_archiver(actor=ADMIN).archive(await audit_range(connection), now=NOW)
    assert (done.name, done.rows, done.files) == (NAME, {"audit_events": 7}, 4)
    assert await events_of(connection) == []
    assert await connection.fetchval("select to_regclass($1)", NAME) is None
    # Who reads the trail finds nothing, and is told where it is.
    assert await fetch_events_of_upload(connection, UPLOAD) == []
    assert await fetch_logins(connection, campaign_id, 9) == []
    [told] = await list_archived(connection, since=MADE + timedelta(seconds=6))
    assert (told.name, told.first_at, told.last_at) == (NAME, MADE, MADE + timedelta(seconds=6))
    assert await list_archived(connection, since=MADE + timedelta(seconds=7)) == ()
    assert await list_archived(connection, until=MADE) == ()
    # What began an upload or a campaign may have had another clock.
    assert await list_archived(connection, begun_at=MADE + timedelta(minutes=59)) == (told,)
    assert await list_archived(connection, begun_at=MADE + timedelta(hours=2)) == ()
    assert await decisions(connection, campaign_id) == decided

    back = await restore(pool, store, NAME, actor=ADMIN)
    assert back.rows == done.rows
    assert await events_of(connection) == trail
    assert await list_archived(connection) == ()
    assert await decisions(connection, campaign_id) == decided
    own = await connection.fetch(
        "select event, actor, details from audit_events where event like 'range%' order by id"
    )
    assert [tuple(row) for row in own] == [
        (f"range_{word}", "admin", f'{{"events": 7, "archive": "{NAME}"}}')
        for word in ("archived", "restored")
    ]
    # It is a range like any other, and leaves once more.
    indexes = "select count(*) from pg_indexes where tablename = $1"
    assert await connection.fetchval(indexes, NAME) == await connection.fetchval(
        indexes, f"audit_events_to_{2 * AUDIT_WIDTH}"
    )
    await make_archiver().archive(await audit_range(connection), now=NOW)
    assert await decisions(connection, campaign_id) == decided


async def test_of_suspensions_and_logins_only_the_newest_are_kept(
    connection: Connection, trail: list[tuple[Any, ...]], make_archiver: MakeArchiver, campaign_id: str
) -> None:
    """Whichever range leaves first: what is older than what is kept is left out."""
    await connection.execute(
        "insert into kept_events (id, at, event, campaign_id, actor) values ($1, $2, 'login_accepted', $3, $4)",
        3 * AUDIT_WIDTH, NOW, campaign_id, KEY,
    )  # fmt: skip
    await make_archiver().archive(await audit_range(connection), now=NOW)
    kept = await connection.fetch("select id, event from kept_events order by id")
    assert [tuple(row) for row in kept] == [
        (2, "campaign_suspended"),
        (5, "upload_received"),
        (3 * AUDIT_WIDTH, "login_accepted"),
    ]


async def test_anything_reads_the_files(
    connection: Connection, store: S3ObjectStore, trail: list[tuple[Any, ...]], make_archiver: MakeArchiver
) -> None:
    await make_archiver(rows_at_once=100).archive(await audit_range(connection), now=NOW)
    frame = pl.read_parquet(await read_object(store, f"archives/{NAME}/1/audit_events-00001.parquet"))
    assert frame["at"][0] == MADE
    assert frame["source_address"].to_list()[2:6] == ["192.0.2.7", "2001:db8::7", "192.0.2.7", "192.0.2.0/24"]
    assert frame["actor"].to_list()[4:] == [KEY, "", None]


@pytest.mark.parametrize(
    ("change", "before", "reason"),
    [
        ("select 1", Month(2026, 3), "its newest event is of 2026-03"),
        # Its number isn't the last one.
        ("update audit_events set at = '2026-09-01' where id = 3", Month(2026, 8), "its newest event is of 2026-09"),
        ("delete from audit_events", Month(2026, 8), "nothing is in it"),
    ],
)  # fmt: skip
async def test_what_must_stay_stays_and_the_reason_is_told(
    connection: Connection,
    trail: list[tuple[Any, ...]],
    make_archiver: MakeArchiver,
    change: str,
    before: Month,
    reason: str,
) -> None:
    await connection.execute(change)
    with pytest.raises(RangeStays, match=reason):
        await make_archiver(terms=Terms(before, None)).archive(await audit_range(connection), now=NOW)
    assert await connection.fetchval("select count(*) from archives") == 0


async def test_the_range_in_use_stays(
    connection: Connection, trail: list[tuple[Any, ...]], make_archiver: MakeArchiver
) -> None:
    ranges = [each for each in await list_ranges(connection) if each.kind is Kind.AUDIT_EVENTS]
    assert len(ranges) > 1
    for range_ in ranges[1:]:
        with pytest.raises(RangeStays, match="its numbers are still given out, or not yet"):
            await make_archiver(terms=Terms(Month(2030, 1), None)).archive(range_, now=NOW)


async def test_an_event_of_meanwhile_is_noticed_and_in_the_files_of_the_next_call(
    connection: Connection, store: S3ObjectStore, trail: list[tuple[Any, ...]], make_archiver: MakeArchiver
) -> None:
    range_ = await audit_range(connection)
    archiver = make_archiver()
    archive = await archiver._seal(range_, NOW)
    await archiver._write_files(archive)
    await connection.execute(
        "insert into audit_events (id, at, event) overriding system value values (99, $1, 'key_added')", MADE
    )
    with pytest.raises(RangeInUse, match="something of it has changed meanwhile"):
        await archiver._let_go(archive, None)  # type: ignore[arg-type]
    assert len(await events_of(connection)) == 8
    assert (await archiver.archive(range_, now=NOW)).rows == {"audit_events": 8}
    with pytest.raises(ObjectMissing):
        await read_object(store, f"archives/{NAME}/1/audit_events-00001.parquet")


Step = Callable[[Archiver, RecordRange], Any]


async def _seal_only(archiver: Archiver, range_: RecordRange) -> None:
    await archiver._seal(range_, NOW)


async def _write_only(archiver: Archiver, range_: RecordRange) -> None:
    await archiver._write_files(await archiver._seal(range_, NOW))


async def _settle_only(archiver: Archiver, range_: RecordRange) -> None:
    archive = await archiver._seal(range_, NOW)
    await archiver._write_files(archive)
    async with archiver.pool.acquire() as connection:
        await archives.keep_events(connection, archive.name)


@pytest.mark.parametrize("step", [_seal_only, _write_only, _settle_only])
async def test_left_at_any_step_all_is_there_and_the_next_call_goes_on(
    connection: Connection,
    pool: Pool,
    store: S3ObjectStore,
    trail: list[tuple[Any, ...]],
    make_archiver: MakeArchiver,
    campaign_id: str,
    step: Step,
) -> None:
    decided = await decisions(connection, campaign_id)
    await step(make_archiver(), await audit_range(connection))
    assert await events_of(connection) == trail
    assert await decisions(connection, campaign_id) == decided
    await make_archiver().archive(await audit_range(connection), now=NOW)
    archive = await fetch_archive(connection, NAME)
    assert archive is not None
    assert (archive.state, archive.generation) == (State.ARCHIVED, 1)
    # Left while it comes back: nobody sees the rows that are there already.
    await archives.begin_restore(connection, NAME)
    await connection.execute(f"insert into {NAME} (id, event) values (1, 'half')")
    assert await events_of(connection) == []
    await restore(pool, store, NAME, actor=ADMIN)
    assert await events_of(connection) == trail

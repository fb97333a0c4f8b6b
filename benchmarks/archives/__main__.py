"""Old messages, or audit events, leave and come back: `python -m benchmarks.archives [--rows N] [--events N]`.

The messages are those of `benchmarks.logs`, made and ended half a year ago. Of ten events three are a login, two the end of a
session, and five those of an upload with its e-mail; each campaign has two keys. PostgreSQL, whose `fsync` is off, the bucket
(rclone's S3 on this machine's disk) and the archiver share this machine.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg
import psutil
from pydantic import SecretStr

from audit.events import Actor, AuditEvent, record_event
from benchmarks.logs.__main__ import fill
from campaigns.creation import create_campaign
from config.sections import DatabaseSettings, S3Settings
from database.connections import Pool, open_pool
from database.ranges import AUDIT_WIDTH
from database.schema import migrate
from gateway.embedded.postgres import postgres_server
from gateway.embedded.s3 import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, s3_server
from keys.ssh_keys import fetch_label_of_upload
from messages.identifiers import message_id
from processing.archives.archiving import Archived, Archiver
from processing.archives.kinds import Kind
from processing.archives.ranges import RecordRange, Terms, list_ranges
from processing.archives.reading import fetch_archived_message
from processing.archives.restoring import restore
from processing.object_store import S3ObjectStore, open_store
from rules.billing.periods import Month
from rules.characters.unsupported import UnsupportedRule
from rules.templates import Language, Template

ROWS: Final = 5_000_000
_SHOWN: Final = 30
_FILL_EVENTS: Final = """
insert into audit_events (at, event, campaign_id, upload_id, connection_id, actor, source_address, details)
select now() - interval '180 days' + n * interval '1 second',
    (array['login_accepted', 'upload_received', 'upload_checked', 'upload_decided', 'notification_sent', 'report_downloaded',
        'session_ended', 'login_accepted', 'login_accepted', 'session_ended'])[n % 10 + 1],
    'c' || n / 10 % 2000, case when n % 10 between 1 and 5 then 'upload_' || lpad((n / 10 * 10)::text, 32, '0') end,
    case when n % 10 in (0, 1, 6, 7, 8, 9) then md5((n / 10)::text) end,
    case when n % 10 in (0, 1, 6, 7, 8, 9) then 'SHA256:' || left(repeat(md5((n / 10 % 4000)::text), 2), 43) end,
    case when n % 10 in (0, 1, 6, 7, 8, 9) then '192.0.2.7'::inet end,
    jsonb_build_object('bytes', n, 'seconds', n % 60, 'reason', 'client', 'sha256', md5(n::text))
from generate_series(0, $1::integer - 1) n
"""
_OPERATOR: Final = Actor(name="benchmark")


@contextmanager
def watch(what: str) -> Iterator[None]:
    """Tell how long the block takes, and how much more memory this process has meanwhile, at most."""
    process, done, peak = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def look() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    begun = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - begun
        done.set()
        looking.join()
        print(
            f"{what}: {seconds:.1f} s, {max(0, peak[0] - before) / 1e6:.0f} MB more memory at most",
            flush=True,
        )


async def make_old(url: str, rows: int) -> None:
    """So many messages of half a year ago, alone in the first range."""
    async with open_pool(DatabaseSettings(url=SecretStr(url)), name="benchmark") as pool:
        template = Template("Clinic", {Language.ENGLISH: "Dear {{name}}, {{date}}, {{place}}"})
        async with pool.acquire() as connection, connection.transaction():
            created = await create_campaign(
                connection, name="Old", template=template, notify_email="a@a.gov.sg",
                unsupported=UnsupportedRule(), actor=_OPERATOR,
            )  # fmt: skip
    filling = await asyncpg.connect(url)
    try:
        await fill(filling, created.id, rows)
        await filling.execute(
            "update batches set created_at = created_at - interval '180 days',"
            " finished_at = finished_at - interval '180 days'"
        )
        await filling.execute("select setval(pg_get_serial_sequence('batches', 'batch_no'), 4000000, false)")
        await filling.execute("select add_message_ranges()")
        await filling.execute("set session_replication_role = origin")
        await filling.execute("checkpoint")
    finally:
        await filling.close()


async def make_old_events(url: str, count: int) -> None:
    """So many events of half a year ago, alone in the first range."""
    filling = await asyncpg.connect(url)
    try:
        await filling.execute("set synchronous_commit = off")
        await filling.execute(_FILL_EVENTS, count, timeout=3600)
        await filling.execute("select setval('audit_events_id_seq', $1, false)", AUDIT_WIDTH)
        await filling.execute("select add_audit_ranges()")
        await filling.execute("vacuum analyze audit_events")
        await filling.execute("checkpoint")
    finally:
        await filling.close()


@asynccontextmanager
async def writing(pool: Pool) -> AsyncIterator[None]:
    """Meanwhile somebody records an event each 10 ms: tell what the slowest of them took."""
    times = [0.0]

    async def write() -> None:
        while True:
            begun = time.perf_counter()
            async with pool.acquire() as connection:
                await record_event(connection, AuditEvent.KEY_ADDED, actor=_OPERATOR)
            times.append(time.perf_counter() - begun)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        print(
            f"  {len(times) - 1:,} events recorded meanwhile: {statistics.median(times) * 1000:.1f} ms, "
            f"at most {max(times) * 1000:.0f} ms"
        )


async def measure_events(pool: Pool, store: S3ObjectStore) -> None:
    """Archive, ask what is kept, restore."""
    async with pool.acquire() as connection:
        range_ = next(each for each in await list_ranges(connection) if each.kind is Kind.AUDIT_EVENTS)
    async with writing(pool):
        done = await _archive(pool, store, range_)
    async with pool.acquire() as connection:
        kept = await connection.fetchrow(
            "select count(*), pg_total_relation_size('kept_events') / 1e6 from kept_events"
        )
        assert kept is not None
        print(f"  {kept[0]:,} events are kept, {kept[1]:,.0f} MB")
        begun = time.perf_counter()
        for number in range(_SHOWN):
            assert await fetch_label_of_upload(connection, "c1", f"upload_{number * 10:032}") == ""
    print(f"asked of what is kept: {(time.perf_counter() - begun) / _SHOWN * 1000:.1f} ms")
    async with writing(pool):
        with watch("restored"):
            await restore(pool, store, done.name, actor=_OPERATOR)


async def _archive(pool: Pool, store: S3ObjectStore, range_: RecordRange) -> Archived:
    with watch("archived"):
        archiver = Archiver(pool, store, Terms(Month.of(datetime.now(UTC)), None), actor=_OPERATOR)
        done = await archiver.archive(range_, now=datetime.now(UTC))
    rows = " and ".join(f"{count:,} {table}" for table, count in done.rows.items())
    print(
        f"  {rows}: {range_.byte_count / 1e6:,.0f} MB of tables became "
        f"{done.byte_count / 1e6:,.0f} MB in {done.files} files"
    )
    return done


async def measure(pool: Pool, store: S3ObjectStore) -> None:
    """Archive, show some messages, restore."""
    async with pool.acquire() as connection:
        range_ = (await list_ranges(connection))[0]
        batch = await connection.fetchrow(
            "select id, total_messages from batches order by total_messages desc limit 1"
        )
    assert batch is not None
    done = await _archive(pool, store, range_)
    choice, times = random.Random(1), []
    for _ in range(_SHOWN):
        row = choice.randrange(2, batch["total_messages"] + 2)
        begun = time.perf_counter()
        async with pool.acquire() as connection:
            assert await fetch_archived_message(connection, store, message_id(batch["id"], row)) is not None
        times.append(time.perf_counter() - begun)
    print(
        f"a message shown: {statistics.median(times) * 1000:.0f} ms, at most {max(times) * 1000:.0f} ms of {_SHOWN}"
    )
    with watch("restored"):
        await restore(pool, store, done.name, actor=_OPERATOR)


async def run(rows: int, events: int) -> None:
    """Make them, and measure."""
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_server(Path(folder) / "db", durable=False) as server,
        s3_server(Path(folder) / "s3", bucket="benchmark") as s3,
    ):
        url = server.socket_url("postgres")
        await migrate(DatabaseSettings(url=SecretStr(url)))
        if rows:
            await make_old(url, rows)
        if events:
            await make_old_events(url, events)
        settings = S3Settings(
            endpoint_url=s3.endpoint_url,
            bucket="benchmark",
            region=REGION,
            access_key_id=SecretStr(ACCESS_KEY_ID),
            secret_access_key=SecretStr(SECRET_ACCESS_KEY),
        )
        database = DatabaseSettings(url=SecretStr(url))
        async with (
            open_pool(database, name="benchmark", command_timeout=600) as pool,
            open_store(settings) as store,
        ):
            if rows:
                await measure(pool, store)
            if events:
                await measure_events(pool, store)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.archives", description="How fast messages leave."
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--events", type=int, default=0, help="audit events; --rows 0: nothing else")
    given = parser.parse_args()
    asyncio.run(run(given.rows, given.events))


if __name__ == "__main__":
    main()

"""Old messages leave for the bucket and come back: `python -m benchmarks.archives [--rows N]`.

The messages are those of `benchmarks.logs`, made and ended half a year ago. PostgreSQL, whose `fsync` is off, the bucket
(rclone's S3 on this machine's disk) and the archiver share this machine.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg
import psutil
from pydantic import SecretStr

from audit.events import Actor
from benchmarks.logs.__main__ import fill
from campaigns.creation import create_campaign
from config.sections import DatabaseSettings, S3Settings
from database.connections import Pool, open_pool
from database.schema import migrate
from gateway.embedded.postgres import postgres_server
from gateway.embedded.s3 import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, s3_server
from messages.identifiers import message_id
from processing.archives.archiving import Archiver
from processing.archives.ranges import Terms, list_ranges
from processing.archives.reading import fetch_archived_message
from processing.archives.restoring import restore
from processing.object_store import S3ObjectStore, open_store
from rules.billing.periods import Month
from rules.characters.unsupported import UnsupportedRule
from rules.templates import Language, Template

ROWS: Final = 5_000_000
_SHOWN: Final = 30
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


async def measure(pool: Pool, store: S3ObjectStore) -> None:
    """Archive, show some messages, restore."""
    async with pool.acquire() as connection:
        range_ = (await list_ranges(connection))[0]
        batch = await connection.fetchrow(
            "select id, total_messages from batches order by total_messages desc limit 1"
        )
    assert batch is not None
    with watch("archived"):
        archiver = Archiver(pool, store, Terms(Month.of(datetime.now(UTC)), None), actor=_OPERATOR)
        done = await archiver.archive(range_, now=datetime.now(UTC))
    print(
        f"  {done.rows:,} messages and {done.attempts:,} attempts: {range_.byte_count / 1e6:,.0f} MB of tables became "
        f"{done.byte_count / 1e6:,.0f} MB in {done.files} files"
    )
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


async def run(rows: int) -> None:
    """Make them, and measure."""
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_server(Path(folder) / "db", durable=False) as server,
        s3_server(Path(folder) / "s3", bucket="benchmark") as s3,
    ):
        url = server.socket_url("postgres")
        await migrate(DatabaseSettings(url=SecretStr(url)))
        await make_old(url, rows)
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
            await measure(pool, store)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.archives", description="How fast messages leave."
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    asyncio.run(run(parser.parse_args().rows))


if __name__ == "__main__":
    main()

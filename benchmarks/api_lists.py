"""Pages of the HTTP API over many messages: `python -m benchmarks.api_lists [--singles N] [--pages N]`.

One campaign has ten million single sends, another a batch of 474,611 rows, all sent; an API process serves both. Pages are asked
for one after the other: walked from the newest on, and from places all over. Each is timed from the call's first byte to its
answer's last, a connection of its own with it; beside it stands what it took of the processors, in the API's process and the
database's, which says more on a busy machine. The rows are written by statements that generate them, as in no other place.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

import asyncpg
import psutil

from benchmarks.sending_rig import FRAME
from config.environment import Environment
from gateway.embedded.server_process import free_port
from messages.documents import api_time
from messages.identifiers import message_id
from tests.api.client import APIClient
from tests.api.conftest import make_api_key
from tests.chaos.testbed.testbed import DATABASE, Testbed, open_testbed

SINGLES: Final = 10_000_000
ROWS: Final = 474_611
PAGES: Final = 100
# What 95 of 100 pages keep (issue 13, Show 3 and 4).
TARGET: Final = 0.5
_AT_ONCE: Final = 1_000_000
_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)

# Ids as single sends have them: version 7, three in each 30 ms.
_INSERT_SINGLES: Final = """
insert into batches (batch_no, id, campaign_id, kind, original_file_name, total_messages, created_at, frame, taken_at, cursor_row,
    success, finished_at)
select n, 'batch_' || substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-7' || substr(hash, 1, 3) || '-8' || substr(hash, 4, 3)
    || '-' || substr(hash, 7, 12), $3, 'single', '', 1, at, $4, at, 1, 1, at
from (
    select n, at, lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') as hex, md5(n::text) as hash
    from (
        select n, $5::timestamptz + n / 3 * interval '30 ms' as at from generate_series($1::integer, $2::integer) n
    ) numbered
) named
"""
_INSERT_MESSAGES: Final = """
insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding, created_at)
select $1, n, '658' || lpad((n::bigint * 7919 % 10000000)::text, 7, '0'), 'english',
    jsonb_build_object('name', 'Emily Yeo', 'topic', 'letter ' || n), 1, 'GSM-7', $3
from generate_series(2, $2 + 1) n
"""
_INSERT_MESSAGES_OF_SINGLES: Final = """
insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding, created_at)
select batch_no, 1, '658' || lpad((batch_no::bigint * 7919 % 10000000)::text, 7, '0'), 'english',
    jsonb_build_object('name', 'Emily Yeo', 'topic', 'code ' || batch_no), 1, 'GSM-7', created_at
from batches where batch_no between $1 and $2
"""
_INSERT_ATTEMPTS: Final = """
insert into attempts (batch_no, row_number, attempt, status, created_at, updated_at, sent_at, delivered_at, provider_id)
select batch_no, row_number, 1, 5, created_at, created_at, created_at, created_at, 'SM' || md5(batch_no || '-' || row_number)
from messages where batch_no between $1 and $2
"""


async def fill_singles(connection: "asyncpg.Connection[asyncpg.Record]", campaign: str, count: int) -> None:
    """So many single sends of the campaign, all of them delivered."""
    for first in range(1, count + 1, _AT_ONCE):
        last = min(first + _AT_ONCE - 1, count)
        await connection.execute(_INSERT_SINGLES, first, last, campaign, FRAME, _BEGIN, timeout=3600)
        await connection.execute("select add_message_ranges()")
        await connection.execute(_INSERT_MESSAGES_OF_SINGLES, first, last, timeout=3600)
        await connection.execute(_INSERT_ATTEMPTS, first, last, timeout=3600)
        print(f"{last:,} single sends are there", flush=True)


async def fill_batch(connection: "asyncpg.Connection[asyncpg.Record]", campaign: str, number: int) -> str:
    """A batch of the campaign with that number, all of it delivered; its id."""
    batch_id = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
    await connection.execute(
        "insert into batches (batch_no, id, campaign_id, original_file_name, total_messages, created_at, frame, taken_at,"
        " cursor_row, success) values ($1, $2, $3, 'letters.csv', $4, $5, $6, $5, $4 + 1, $4)",
        *(number, batch_id, campaign, ROWS, _BEGIN, FRAME),
    )
    await connection.execute("select add_message_ranges()")
    await connection.execute(_INSERT_MESSAGES, number, ROWS, _BEGIN, timeout=3600)
    await connection.execute(_INSERT_ATTEMPTS, number, number, timeout=3600)
    return batch_id


async def fill(testbed: Testbed, singles: int) -> str:
    """All rows, as they are once the database has had its time to look after them; the id of the large batch."""
    async with testbed.connected() as connection:
        # The rows are written for this measure alone, and needn't outlast a power cut.
        for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '8GB'"):
            await connection.execute(f"alter system set {setting}")
        await connection.execute("select pg_reload_conf()")
        # No trigger and no foreign key: the counts are written as they end.
        await connection.execute("set session_replication_role = replica")
        await fill_singles(connection, testbed.campaigns[0], singles)
        batch_id = await fill_batch(connection, testbed.campaigns[1], singles + 1)
        await connection.execute(
            "select setval(pg_get_serial_sequence('batches', 'batch_no'), $1)", singles + 1
        )
        for table in ("batches", "messages", "attempts"):
            await connection.execute(f"vacuum (analyze) {table}", timeout=3600)
        return batch_id


@dataclass(frozen=True, slots=True)
class Processors:
    """What the processes that answer have taken of the processors."""

    pids: Sequence[int]

    def seconds(self) -> float:
        """Of those that live: the database keeps one for each connection, and the API keeps its connections."""
        total = 0.0
        for pid in self.pids:
            for process in (parent := psutil.Process(pid), *parent.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    total += times.user + times.system
        return total


class Pages:
    """Pages of one list, and the seconds that each took."""

    def __init__(
        self, client: APIClient, path: str, query: str, processors: Processors | None = None
    ) -> None:
        self._client = client
        self._processors = processors
        self._before = processors.seconds() if processors else 0.0
        self._path = f"{path}?{query}"
        self.seconds: list[float] = []
        self.messages = 0

    async def ask(self, cursor: str | None, name: str = "after") -> str | None:
        """One page; the cursor of the next one, or None where there is none."""
        path = self._path if cursor is None else f"{self._path}&{name}={quote(cursor)}"
        began = time.perf_counter()
        answer = await self._client.get(path)
        self.seconds.append(time.perf_counter() - began)
        if answer.status != 200:
            message = f"{self._path} was answered {answer.status}"
            raise RuntimeError(message)
        page = answer.json
        self.messages += len(page["data"])
        return str(page["pageData"]["endCursor"]) if page["pageData"]["hasNextPage"] else None

    async def walk(self, pages: int) -> None:
        """From the newest on."""
        cursor = await self.ask(None)
        while cursor is not None and len(self.seconds) < pages:
            cursor = await self.ask(cursor)

    async def jump(self, cursors: Sequence[str]) -> None:
        """From each of these places, older ones and newer ones in turn."""
        for number, cursor in enumerate(cursors):
            await self.ask(cursor, "before" if number % 2 else "after")

    def tell(self, what: str) -> bool:
        """Print the figures; whether the target is met."""
        ordered = sorted(self.seconds)
        taken = ""
        if self._processors:
            each = (self._processors.seconds() - self._before) / len(ordered)
            taken = f"; processors {each * 1000:4.0f} ms a page"
        p50, p95 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
        print(
            f"{what:58} {len(ordered):4} pages, {self.messages:7,} messages: p50 {p50 * 1000:4.0f} ms, "
            f"p95 {p95 * 1000:4.0f} ms, most {ordered[-1] * 1000:4.0f} ms{taken}",
            flush=True,
        )
        return p95 <= TARGET


def cursor_of(at: datetime, identifier: str) -> str:
    """As callers get it."""
    text = json.dumps([api_time(at), identifier], separators=(",", ":"))
    return base64.b64encode(text.encode()).decode()


async def places(testbed: Testbed, singles: int, count: int) -> list[str]:
    """Cursors of so many single sends all over the campaign."""
    numbers = random.Random(1).sample(range(1, singles + 1), count)
    rows = await testbed.fetch("select id, created_at from batches where batch_no = any($1)", numbers)
    return [cursor_of(row["created_at"], message_id(row["id"], 1)) for row in rows]


async def measure(singles: int, pages: int) -> bool:
    """Fill, serve, ask. Whether each kind of page keeps the target."""
    async with open_testbed(campaigns=2, proxied=False) as testbed:
        port = free_port()
        node = await testbed.add_node("api", api__port=str(port))
        began = time.perf_counter()
        batch_id = await fill(testbed, singles)
        size = await testbed.fetch_value("select pg_size_pretty(pg_database_size($1))", DATABASE)
        print(
            f"{singles:,} single sends and a batch of {ROWS:,} rows: {size}, after {time.perf_counter() - began:.0f} s"
        )
        async with testbed.connected() as connection:
            keys = [
                await make_api_key(connection, campaign, Environment.PRODUCTION)
                for campaign in testbed.campaigns
            ]
        of_singles, of_batch = (
            APIClient(port, campaign, key) for campaign, key in zip(testbed.campaigns, keys, strict=True)
        )
        cursors = await places(testbed, singles, min(pages, singles))
        path = f"/batch/{batch_id}/messages"
        rows = [cursor_of(_BEGIN, str(row)) for row in random.Random(2).sample(range(2, ROWS + 2), pages)]
        assert testbed.postgres.pid is not None
        processors = Processors([node.pid, testbed.postgres.pid])
        results = []
        for what, client, where, query, jumps in (
            ("singles, 1,000 a page", of_singles, "/messages", "limit=1000", cursors),
            ("singles, search=9123, 50 a page", of_singles, "/messages", "limit=50&search=9123", cursors),
            ("singles, search=12, 1,000 a page", of_singles, "/messages", "limit=1000&search=12", cursors),
            (
                "singles, a search that finds nothing",
                of_singles,
                "/messages",
                "limit=50&search=777777777",
                cursors,
            ),
            ("the batch, 1,000 a page", of_batch, path, "limit=1000", rows),
            ("the batch, search=9123, 1,000 a page", of_batch, path, "limit=1000&search=9123", rows),
            ("its campaign, 1,000 a page", of_batch, "/messages", "limit=1000", ()),
            (
                "its campaign, a search that finds nothing",
                of_batch,
                "/messages",
                "limit=50&search=777777777",
                (),
            ),
        ):
            walked = Pages(client, where, query, processors)
            await walked.walk(pages)
            results.append(walked.tell(f"{what}, walked"))
            if jumps:
                jumped = Pages(client, where, query, processors)
                await jumped.jump(jumps)
                results.append(jumped.tell(f"{what}, from anywhere"))
        return all(results)


def main() -> int:
    """Exit status 1 where a kind of page misses the target."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.api_lists", description=__doc__)
    options.add_argument("--singles", type=int, default=SINGLES)
    options.add_argument("--pages", type=int, default=PAGES, help="of each kind")
    chosen = options.parse_args()
    met = asyncio.run(measure(chosen.singles, chosen.pages))
    print(f"p95 within {TARGET * 1000:.0f} ms a page: {'yes' if met else 'NO'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

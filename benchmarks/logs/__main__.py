"""A month's log of a large campaign: `python -m benchmarks.logs [--rows N]`.

The rows are a batch of half of them, one of 4 in 10, and single sends, all sent in one month; one in fifty was tried twice. They
are read as the console reads them, piece by piece, once as CSV, and a part of them as XLSX. PostgreSQL shares this machine.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import asyncpg
import psutil
from pydantic import SecretStr

from audit.events import Actor
from campaigns.campaigns import Channel, fetch_known_campaign
from campaigns.creation import create_campaign
from config.environment import Environment
from config.sections import BillingSettings, DatabaseSettings
from database.connections import Pool, open_pool
from database.schema import migrate
from gateway.embedded.postgres import postgres_server
from messages.logs.charges import Charges
from messages.logs.columns import column_names
from messages.logs.rows import LogPiece, LogQuery, cells_of, read_log_cells, read_log_csv
from messages.logs.xlsx import XLSXWriter
from rules.characters.unsupported import UnsupportedRule
from rules.templates import Language, Template

ROWS: Final = 1_000_000
# Rows a second of CSV (issue 16, Show 3).
TARGET: Final = 50_000
_AT: Final = datetime(2026, 10, 5, 3, tzinfo=UTC)
_FRAME: Final = '{"before": "", "after": {"english": ""}}'
_INSERT_BATCHES: Final = """
insert into batches (id, campaign_id, kind, original_file_name, total_messages, created_at, frame, taken_at, cursor_row, success,
    finished_at)
select 'batch_' || gen_random_uuid(), $1, $2, $3, $4, at, $6::jsonb, at, $4 + 1, $4, at
from (select $5::timestamptz + n * interval '1 second' as at from generate_series(1, $7::integer) n) times
"""
_INSERT_MESSAGES: Final = """
insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding, created_at)
select batch_no, n, case n % 20 when 0 then '44791112' else '6581' end || lpad((n::bigint * 7919 % 1000000)::text, 6, '0'),
    'english', jsonb_build_object('name', 'Emily Yeo, ' || n, 'date', '24 November', 'place', 'Clinic "B"'), 1,
    'GSM-7', created_at
from batches, generate_series(2, total_messages + 1) n
"""
_INSERT_ATTEMPTS: Final = """
insert into attempts (batch_no, row_number, attempt, status, error, created_at, updated_at, sent_at, delivered_at, provider_id)
select batch_no, row_number, a, case when a = 1 and row_number % 50 = 0 then 6 else 5 end,
    case when a = 1 and row_number % 50 = 0 then 'recipient_unavailable' end, created_at, created_at, created_at, created_at,
    'SM' || md5(batch_no || '-' || row_number)
from messages, generate_series(1, case row_number % 50 when 0 then 2 else 1 end) a
"""


async def fill(connection: "asyncpg.Connection[asyncpg.Record]", campaign: str, rows: int) -> None:
    """So many messages of the campaign."""
    # No trigger: the counts are written as they end.
    await connection.execute("set session_replication_role = replica")
    singles = rows // 10
    for kind, name, total, count in (
        ("batch", "october.csv", rows // 2, 1),
        ("batch", "more.csv", rows - rows // 2 - singles, 1),
        ("single", "", 1, singles),
    ):
        await connection.execute(_INSERT_BATCHES, campaign, kind, name, total, _AT, _FRAME, count)
    for statement in (_INSERT_MESSAGES, _INSERT_ATTEMPTS, "vacuum analyze"):
        await connection.execute(statement, timeout=3600)


async def measure(pieces: AsyncIterator[LogPiece], peak: list[int]) -> AsyncIterator[LogPiece]:
    """The same pieces, while the memory of this process is looked at."""
    async for piece in pieces:
        peak.append(psutil.Process().memory_info().rss)
        yield piece


async def run(rows: int, xlsx_rows: int) -> bool:
    """Fill and read; whether the target was reached."""
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_server(Path(folder) / "db", durable=False) as server,
    ):
        url = server.socket_url("postgres")
        await migrate(DatabaseSettings(url=SecretStr(url)))
        async with open_pool(DatabaseSettings(url=SecretStr(url)), name="benchmark") as pool:
            template = Template("Clinic", {Language.ENGLISH: "Dear {{name}}, {{date}}, {{place}}"})
            async with pool.acquire() as connection, connection.transaction():
                created = await create_campaign(
                    connection, name="Logs", template=template, notify_email="a@a.gov.sg",
                    unsupported=UnsupportedRule(), actor=Actor(name="benchmark"),
                )  # fmt: skip
            filling = await asyncpg.connect(url)
            await fill(filling, created.id, rows)
            await filling.close()
            return await _read(pool, created.id, xlsx_rows)


async def _read(pool: Pool, campaign_id: str, xlsx_rows: int) -> bool:
    async with pool.acquire() as connection:
        campaign = await fetch_known_campaign(connection, campaign_id)
    charges = Charges.of(BillingSettings(), Environment.PRODUCTION, Channel.PUBLIC)
    query = LogQuery(campaign, charges, date(2026, 10, 1), date(2026, 10, 31))
    before = psutil.Process().memory_info().rss
    peak: list[int] = []
    count = size = 0
    begun, processor = time.perf_counter(), time.process_time()
    async for piece in measure(read_log_csv(pool.acquire, query), peak):
        count, size = count + piece.rows, size + len(piece.text)
    seconds, own = time.perf_counter() - begun, time.process_time() - processor
    print(
        f"CSV: {count:,} rows, {size / 1e6:,.0f} MB in {seconds:.1f} s: {count / seconds:,.0f} rows/s;"
        f" this process used {own:.1f} s of a processor, and {(max(peak) - before) / 1e6:.0f} MB more memory at most"
    )
    reached = count / seconds >= TARGET
    before, peak, count = psutil.Process().memory_info().rss, [], 0
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as target:
        writer = XLSXWriter(target, column_names(query.parameters))
        async for piece in measure(read_log_cells(pool.acquire, query), peak):
            for cells in cells_of(piece):
                writer.add(cells)
            count += piece.rows
            if count >= xlsx_rows:
                break
        writer.close()
    seconds = time.perf_counter() - begun
    print(
        f"XLSX: {count:,} rows in {seconds:.1f} s: {count / seconds:,.0f} rows/s;"
        f" {(max(peak) - before) / 1e6:.0f} MB more memory at most"
    )
    return reached


def main() -> int:
    """Run; 1 where the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.logs", description="How fast logs are read.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--xlsx", type=int, default=100_000, help="rows of the XLSX file")
    arguments = parser.parse_args()
    return 0 if asyncio.run(run(arguments.rows, arguments.xlsx)) else 1


if __name__ == "__main__":
    sys.exit(main())

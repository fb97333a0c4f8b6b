"""How many uploads a second get their verdict and e-mail, with one and two worker processes, of 10 and of 10,000 rows."""

import argparse
import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from pydantic import SecretStr

from audit.events import Actor
from benchmarks.files import TEMPLATE, clean
from campaigns.creation import create_campaign
from config.identifiers import new_identifier
from config.logs import LogSettings, configure_logs
from config.sections import DatabaseSettings, S3Settings, SFTPSettings
from database.connections import Connection, open_pool
from gateway.embedded.s3 import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from gateway.embedded.stack import BUCKET
from gateway.processes.front import intake_settings
from processing.intake import FinishedSpool, Intake, Sender
from processing.object_store import open_store
from rules.characters.unsupported import UnsupportedRule
from tests.chaos.testbed.testbed import (
    DATABASE,
    Testbed,
    open_testbed,
    until,
)

SMALL, LARGE = 200, 40


async def measure(processes: int, rows: int, uploads: int) -> float:
    """Uploads a second between the first verdict's start and the last e-mail. All uploads wait before the worker starts."""
    async with open_testbed(campaigns=1, proxied=False) as testbed:
        await _fill(testbed, rows, uploads)
        node = await testbed.add_node("worker", start=False, worker__processes=str(processes))
        await node.begin()

        async def finished() -> bool:
            return await testbed.holds(
                "select count(*) = $1 from uploads where notified_at is not null", uploads
            )

        await until(finished, "all uploads decided and notified", 600)
        seconds = float(
            await testbed.fetch_value(
                "select extract(epoch from max(notified_at) - min(deciding_since)) from uploads"
            )
        )
    rate = uploads / seconds
    print(
        f"  {processes} worker process{'es' * (processes > 1):<3} {rows:>6,} rows   {rate:7.1f} uploads/s",
        flush=True,
    )
    return rate


async def _fill(testbed: Testbed, rows: int, uploads: int) -> None:
    """Let the intake take `uploads` different uploads of `rows` rows, which then wait for a worker."""
    async with AsyncExitStack() as stack:
        database = DatabaseSettings(url=SecretStr(testbed.postgres.socket_url(DATABASE)))
        pool = await stack.enter_async_context(open_pool(database, name="bench"))
        s3 = S3Settings(
            endpoint_url=testbed.s3.endpoint_url,
            bucket=BUCKET,
            region=REGION,
            access_key_id=SecretStr(ACCESS_KEY_ID),
            secret_access_key=SecretStr(SECRET_ACCESS_KEY),
        )
        store = await stack.enter_async_context(open_store(s3))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        async with pool.acquire() as connection, connection.transaction():
            campaign = await create_campaign(
                connection,
                name="Bench",
                template=TEMPLATE,
                notify_email="bench@agency.example",
                unsupported=UnsupportedRule(),
                actor=Actor(),
            )
        intake = Intake(pool, store, intake_settings(SFTPSettings()))
        for number in range(uploads):
            data = clean(rows=rows, seed=number)
            path = folder / "upload.csv"
            await asyncio.to_thread(path.write_bytes, data)
            spool = FinishedSpool(
                new_identifier("upload"),
                Sender(campaign.id, Actor()),
                f"{time.time_ns()}.csv",
                path,
                len(data),
                None,
                let_in,
            )
            await intake.store(spool)


async def let_in(_connection: Connection) -> None:
    """Whoever sends may send: there is no key here."""


async def _measure_all() -> None:
    print("uploads decided and notified a second")
    for rows, uploads in ((10, SMALL), (10_000, LARGE)):
        one = await measure(1, rows, uploads)
        two = await measure(2, rows, uploads)
        print(f"  two processes against one, {rows:,} rows: {two / one:.2f} x", flush=True)


def main() -> None:
    """Measure."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    configure_logs(LogSettings(level="warning"))
    asyncio.run(_measure_all())


if __name__ == "__main__":
    main()

"""Seconds from the client's CLOSE to the stored verdict, as a ratio to the bare COPY of the same rows in the same run.

The worker is a process of its own, as in a node. The clock starts where CLOSE calls the intake, and stops at the commit of
which PostgreSQL notifies the sending core.
"""

import asyncio
import io
import os
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg

from audit.events import Actor
from benchmarks.files import TEMPLATE, clean
from config.environment import Environment
from config.identifiers import new_identifier
from config.logs import LogSettings, configure_logs
from config.sections import MessageSettings
from config.settings import Settings
from database.connections import Connection, Pool, open_pool
from database.schema import migrate
from gateway.embedded.stack import EmbeddedStack, embedded_stack
from gateway.processes.front import intake_settings
from processing.columns.results import MESSAGE_COLUMNS
from processing.intake import FinishedSpool, Intake, Sender
from processing.object_store import open_store
from processing.rule_settings import make_rules
from processing.verdicts.judge import judge
from rules.templates import Template

CAMPAIGN = "campaign_bench"
ROUNDS = 5
_DEADLINE = 120


def settings_of(stack: EmbeddedStack) -> Settings:
    """The settings that lead to the embedded servers, in the production environment: no limit of 20 rows."""
    nested: dict[str, dict[str, str]] = {}
    for variable, value in stack.settings().items():
        section, _, name = variable.removeprefix("SFTP_GATEWAY_").lower().partition("__")
        if name:
            nested.setdefault(section, {})[name] = value
    return Settings.model_validate({**nested, "environment": Environment.PRODUCTION})


async def make_campaign(pool: Pool, template: Template) -> None:
    """An active campaign with that template."""
    await pool.execute(
        "insert into campaigns (id, name, header, notify_email) values ($1, $2, $2, 'bench@agency.example')",
        CAMPAIGN,
        template.header,
    )
    for position, (language, body) in enumerate(template.bodies.items()):
        await pool.execute(
            "insert into template_bodies values ($1, $2, $3, $4)", CAMPAIGN, language.value, body, position
        )


async def bare_copy(connection: "asyncpg.Connection[asyncpg.Record]", copy_text: bytes) -> float:
    """Seconds of COPY of these rows into an empty table with the one key, and nothing else."""
    await connection.execute(
        "drop table if exists bare; create table bare (like messages including indexes);"
        " alter table bare alter batch_no set default 1, alter created_at set default now(), alter status set default 'created'"
    )
    await connection.execute("checkpoint")
    started = time.perf_counter()
    await connection.copy_to_table(
        "bare", source=io.BytesIO(copy_text), columns=MESSAGE_COLUMNS, format="text"
    )
    elapsed = time.perf_counter() - started
    await connection.execute("drop table bare")
    return elapsed


async def let_in(_connection: Connection) -> None:
    """Whoever sends may send: there is no key here."""


async def close_to_verdict(
    connection: "asyncpg.Connection[asyncpg.Record]", intake: Intake, path: Path, data: bytes
) -> float:
    """Seconds from CLOSE to the commit of batch and messages."""
    decided: asyncio.Queue[object] = asyncio.Queue()
    await connection.execute("checkpoint")

    def note(*_: object) -> None:
        decided.put_nowait(None)

    await connection.add_listener("sftp_gateway_batches", note)
    await asyncio.to_thread(path.write_bytes, data)
    spool = FinishedSpool(
        new_identifier("upload"),
        Sender(CAMPAIGN, Actor()),
        f"{time.time_ns()}.csv",
        path,
        len(data),
        None,
        let_in,
    )
    started = time.perf_counter()
    await intake.store(spool)
    await asyncio.wait_for(decided.get(), _DEADLINE)
    elapsed = time.perf_counter() - started
    await connection.remove_listener("sftp_gateway_batches", note)
    await connection.execute("truncate messages")
    return elapsed


async def measure(folder: Path) -> None:
    """Print the seconds of both, round by round in turn, and the ratio of their medians."""
    data = clean()
    with embedded_stack(folder) as servers:
        settings = settings_of(servers)
        await migrate(settings.database)
        copy_text = io.BytesIO()
        rules = make_rules(TEMPLATE, Environment.PRODUCTION, MessageSettings())
        verdict = judge(
            io.BytesIO(data),
            rules,
            messages=copy_text,
            report=None,
        )
        assert verdict.valid, verdict
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(open_pool(settings.database, name="bench"))
            store = await stack.enter_async_context(open_store(settings.s3))
            connection = await asyncpg.connect(settings.database.url.get_secret_value())
            await make_campaign(pool, TEMPLATE)
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", "worker", env=variables(servers)
            )
            try:
                intake = Intake(pool, store, intake_settings(settings.sftp))
                await close_to_verdict(connection, intake, folder / "upload.csv", data)
                await bare_copy(connection, copy_text.getvalue())
                pairs = [
                    (
                        await bare_copy(connection, copy_text.getvalue()),
                        await close_to_verdict(connection, intake, folder / "upload.csv", data),
                    )
                    for _ in range(ROUNDS)
                ]
            finally:
                worker.terminate()
                await worker.wait()
                await connection.close()
    bare, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{verdict.total_messages:,} rows, {len(data) / 1e6:.1f} MB, median of {ROUNDS} rounds")
    print(f"  bare COPY of the same rows     {bare:6.2f} s")
    print(f"  CLOSE to the stored verdict    {whole:6.2f} s   = {whole / bare:.2f} x bare COPY")


def variables(servers: EmbeddedStack) -> dict[str, str]:
    """The environment of a worker on these servers."""
    return {
        **os.environ,
        **servers.settings(),
        "SFTP_GATEWAY_ENVIRONMENT": "production",
        "SFTP_GATEWAY_OPS__PORT": "0",
        "SFTP_GATEWAY_LOG__LEVEL": "warning",
    }


def main() -> None:
    """Measure in a temporary folder."""
    configure_logs(LogSettings(level="warning"))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()

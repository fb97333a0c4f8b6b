"""Message logs that are made in the background: whole or not there, once whatever dies, and gone after their days."""

import asyncio
import csv
import io
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

import openpyxl
import pytest
from pydantic import SecretStr

from config.environment import Environment
from config.fault_points import POINTS
from config.sections import BillingSettings, RetentionSettings
from config.settings import Settings
from database.connections import Connection, Pool, open_pool
from database.grants import DatabaseRole, grant_statements
from database.job_queue import RunningJob, TryAgain
from messages.statuses import MessageStatus
from processing.errors import ObjectMissing, StoreUnavailable
from processing.exports.exports import (
    ENTRYPOINT,
    Export,
    Form,
    LogRequest,
    count_unfinished,
    fetch_export,
    list_exports,
    request_export,
)
from processing.exports.job import AWAY, FAILED, ExportJob
from processing.exports.sweep import sweep_exports
from processing.object_store import Description, ObjectStore, S3ObjectStore
from processing.retention import remove_expired
from tests.messages.builders import NOW, make_batch
from tests.processing.conftest import read_object

WEEK: Final = timedelta(days=7)
ROWS: Final = 500
REQUEST: Final = LogRequest(date(2026, 11, 1), date(2026, 11, 30), Form.CSV)
# Makes the file, in a process of its own.
CHILD: Final = """
import asyncio, sys
from datetime import timedelta
from config.settings import load_settings
from database.connections import open_pool
from database.job_queue import RunningJob
from processing.exports.job import ExportJob
from processing.object_store import open_store

async def make():
    settings = load_settings(None)
    async with open_pool(settings.database, name="test") as pool, open_store(settings.s3) as store:
        job = ExportJob(
            pool, store, settings.billing, settings.environment, kept_for=timedelta(days=7), is_stopping=lambda: False
        )
        await job(RunningJob(sys.argv[1], 0))

asyncio.run(make())
"""


class BrokenStore(S3ObjectStore):
    """A bucket that is away."""

    def __init__(self) -> None:
        """Nothing is asked of it."""

    async def put(
        self,
        key: str,
        source: BinaryIO,
        *,
        download_name: str,
        sha256: str | None = None,
        description: Description | None = None,
    ) -> str:
        raise StoreUnavailable("the object store can't be reached")


class SlowStore(S3ObjectStore):
    """A bucket that has taken an object and doesn't say so until told."""

    def __init__(self, store: S3ObjectStore) -> None:
        self._store = store
        self.has_put, self.let_go = asyncio.Event(), asyncio.Event()

    async def put(
        self,
        key: str,
        source: BinaryIO,
        *,
        download_name: str,
        sha256: str | None = None,
        description: Description | None = None,
    ) -> str:
        put = await self._store.put(
            key, source, download_name=download_name, sha256=sha256, description=description
        )
        self.has_put.set()
        await self.let_go.wait()
        return put


def make_job(pool: Pool, store: ObjectStore, *, is_stopping: Callable[[], bool] = lambda: False) -> ExportJob:
    return ExportJob(
        pool, store, BillingSettings(), Environment.PRODUCTION, kept_for=WEEK, is_stopping=is_stopping
    )


@pytest.fixture
async def ask(connection: Connection, campaign_id: str) -> Callable[[LogRequest], Awaitable[str]]:
    """Asks for a file of a campaign with some messages."""
    batch = await make_batch(connection, campaign_id, [MessageStatus.SUCCESS] * 2, at=NOW)
    await connection.execute(
        'insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding)'
        " select batch_no, n, recipient, language, \"values\", segments, encoding from messages, generate_series(4, $1) n"
        " where row_number = 2",
        ROWS + 1,
    )  # fmt: skip
    await connection.execute(
        "update batches set total_messages = $2 where batch_no = $1", batch.batch_no, ROWS
    )

    async def ask(request: LogRequest) -> str:
        user_id = await connection.fetchval("select creator_id from campaigns where id = $1", campaign_id)
        async with connection.transaction():
            return await request_export(
                connection, campaign_id, user_id, request, file_name="log", rows_expected=ROWS, kept_for=WEEK
            )

    return ask


async def fetched(connection: Connection, export_id: str) -> Export:
    export = await fetch_export(connection, export_id)
    assert export is not None
    return export


async def content(store: S3ObjectStore, export: Export) -> bytes:
    assert export.object_key is not None
    made = await read_object(store, export.object_key)
    assert export.byte_count == len(made)
    return made


Ask = Callable[[LogRequest], Awaitable[str]]


@pytest.fixture
async def workers_pool(settings: Settings, connection: Connection) -> AsyncIterator[Pool]:
    """A pool that has the worker's rights and no others."""
    for role in DatabaseRole:
        if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
            await connection.execute(f"create role {role} login")
    await connection.execute("\n".join(grant_statements()))
    url = re.sub(r"//\w+@", f"//{DatabaseRole.WORKER}@", settings.database.url.get_secret_value())
    async with open_pool(
        settings.database.model_copy(update={"url": SecretStr(url)}), name="worker"
    ) as opened:
        yield opened


async def test_a_file_is_made_in_both_forms(
    workers_pool: Pool, connection: Connection, store: S3ObjectStore, ask: Ask
) -> None:
    for form in Form:
        export_id = await ask(LogRequest(REQUEST.first, REQUEST.last, form))
        await make_job(workers_pool, store)(RunningJob(export_id, 0))
        export = await fetched(connection, export_id)
        assert (export.is_ready, export.rows_done, export.error) == (True, ROWS, None)
        made = await content(store, export)
        if form is Form.CSV:
            assert len(list(csv.reader(io.StringIO(made.decode("utf-8-sig"))))) == ROWS + 1
        else:
            sheet = openpyxl.load_workbook(io.BytesIO(made), read_only=True).worksheets[0]
            rows = sheet.iter_rows(values_only=True)
            statuses = [row[9] for row in rows]
            assert statuses == ["status", "success", "success", *["enqueued"] * (ROWS - 2)]
    some = LogRequest(
        REQUEST.first, REQUEST.last, Form.CSV, statuses=frozenset({MessageStatus.SUCCESS}), is_masked=True
    )
    export_id = await ask(some)
    export = await fetched(connection, export_id)
    assert export.request == some
    await make_job(workers_pool, store)(RunningJob(export_id, 0))
    assert (await content(store, await fetched(connection, export_id))).count(b"success") == 2


async def test_killed_at_any_point_it_is_made_once(
    pool: Pool, connection: Connection, store: S3ObjectStore, ask: Ask,
    gateway_variables: dict[str, str], tmp_path: Path,
) -> None:  # fmt: skip
    export_id = await ask(REQUEST)
    points = [point for point in POINTS if point.startswith("export.")]
    # From its beginning on nothing but a file without a name is there until it is written.
    points.remove("export.begun")
    environment = {**os.environ, **gateway_variables, "GATEWAY_FAULT_POINTS": str(tmp_path)}
    finished_at: datetime | None = None
    for point in points:
        (tmp_path / point).touch()
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, export_id, env=environment)
        assert await asyncio.wait_for(child.wait(), 60) == -9, point
        assert not (tmp_path / point).exists()
        finished_at = (await fetched(connection, export_id)).finished_at
        assert (finished_at is not None) == (point == "export.committed"), point
    await make_job(pool, store)(RunningJob(export_id, 1))
    export = await fetched(connection, export_id)
    assert export.finished_at == finished_at
    assert (await content(store, export)).count(b"\n") == ROWS + 1


async def test_two_workers_at_one_file_tell_of_it_once(
    pool: Pool, connection: Connection, store: S3ObjectStore, ask: Ask
) -> None:
    export_id = await ask(REQUEST)
    slow = SlowStore(store)
    first = asyncio.create_task(make_job(pool, slow)(RunningJob(export_id, 0)))
    await asyncio.wait_for(slow.has_put.wait(), 30)
    await make_job(pool, store)(RunningJob(export_id, 1))
    finished_at = (await fetched(connection, export_id)).finished_at
    assert finished_at is not None
    slow.let_go.set()
    await asyncio.wait_for(first, 30)
    assert (await fetched(connection, export_id)).finished_at == finished_at
    assert (await fetched(connection, export_id)).rows_done == ROWS
    assert (await content(store, await fetched(connection, export_id))).count(b"\n") == ROWS + 1


async def test_trouble_is_waited_out_a_fault_is_told_and_a_worker_that_stops_leaves_it(
    pool: Pool, connection: Connection, store: S3ObjectStore, ask: Ask
) -> None:
    export_id = await ask(REQUEST)
    away = make_job(pool, BrokenStore())
    with pytest.raises(TryAgain):
        await away(RunningJob(export_id, 0))
    with pytest.raises(TryAgain, match="stops"):
        await make_job(pool, store, is_stopping=lambda: True)(RunningJob(export_id, 0))
    export = await fetched(connection, export_id)
    assert export.finished_at is None
    assert await count_unfinished(connection, export.user_id) == 1
    await connection.execute("update log_exports set requested_at = now() - interval '6 hours'")
    await away(RunningJob(export_id, 9))
    export = await fetched(connection, export_id)
    assert (export.is_ready, export.error) == (False, AWAY)
    gone = await ask(LogRequest(REQUEST.first, REQUEST.last, Form.CSV, batch_id="batch_x"))
    await make_job(pool, store)(RunningJob(gone, 0))
    assert (await fetched(connection, gone)).error == FAILED
    held = await ask(REQUEST)
    await make_job(pool, store)(RunningJob(held, 0, is_given_up=True))
    assert (await fetched(connection, held)).error == FAILED
    assert await count_unfinished(connection, export.user_id) == 0


async def test_what_has_lost_its_job_gets_another_and_what_is_old_goes(
    pool: Pool, connection: Connection, store: S3ObjectStore, ask: Ask, campaign_id: str
) -> None:
    lost, late, done = [await ask(REQUEST) for _ in range(3)]
    assert await sweep_exports(connection, timedelta(0)) == 0
    await make_job(pool, store)(RunningJob(done, 0))
    await connection.execute("delete from pgqueuer")
    await connection.execute(
        "update log_exports set requested_at = now() - interval '25 hours' where id = $1", late
    )
    assert await sweep_exports(connection, timedelta(0)) == 1
    queued = await connection.fetch("select entrypoint, payload from pgqueuer")
    assert [(row["entrypoint"], row["payload"].decode()) for row in queued] == [(ENTRYPOINT, lost)]
    assert (await fetched(connection, late)).error == AWAY
    export = await fetched(connection, done)
    assert export.finished_at is not None
    assert timedelta(0) <= export.expires_at - export.finished_at - WEEK < timedelta(seconds=1)
    await remove_expired(pool, store, RetentionSettings())
    assert await content(store, export)
    assert export.object_key is not None
    await connection.execute("update log_exports set expires_at = now() where id = $1", done)
    assert await fetch_export(connection, done) is None
    assert [each.id for each in await list_exports(connection, export.user_id, campaign_id)] == [lost, late]
    await remove_expired(pool, store, RetentionSettings())
    assert await connection.fetchval("select count(*) from log_exports") == 2
    with pytest.raises(ObjectMissing):
        await store.fetch(export.object_key, io.BytesIO())

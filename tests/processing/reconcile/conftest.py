"""Uploads that were taken and decided, and a database that has forgotten them, as one that was restored."""

import io
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from audit.events import Actor
from config.identifiers import new_identifier
from config.sections import MessageSettings
from config.settings import Settings
from database.connections import Pool
from database.job_queue import RunningJob
from processing.awaited.job import AwaitedVerdictJob
from processing.checked.job import CheckJob
from processing.intake import AwaitedSpool, CheckedSpool, Intake, Sender
from processing.object_store import S3ObjectStore, sha256_of
from processing.reconcile.holds import release_any
from processing.reconcile.run import Became, Found, Scope, reconcile
from processing.rule_settings import make_rules
from processing.uploads import Source, Upload, fetch_upload
from processing.verdicts.process import VerdictProcesses
from tests.conftest import ADMIN
from tests.processing.conftest import CAMPAIGN, GOOD, let_in

USER = "user_1"


def scope_of(**changes: object) -> Scope:
    """All of the bucket, a minute from now: so nothing is too new."""
    values: dict[str, object] = {
        "since": None,
        "now": datetime.now(UTC) + timedelta(minutes=1),
        "twins_within": timedelta(hours=24),
        "max_upload_bytes": 30 * 1024 * 1024,
        "dry_run": False,
        "actor": ADMIN,
    }
    return Scope(**{**values, **changes})  # type: ignore[arg-type]


Run = Callable[..., Awaitable[list[Found]]]


@pytest.fixture
def compare(pool: Pool, store: S3ObjectStore) -> Run:
    """All that a run finds, with these fields of its scope changed."""

    async def run(**changes: object) -> list[Found]:
        return [found async for found in reconcile(pool, store, scope_of(**changes))]

    return run


async def forget(pool: Pool, *upload_ids: str) -> None:
    """Take the uploads, and all that came of them, out of the database."""
    for statement in (
        "delete from pgqueuer where convert_from(payload, 'utf8') like any (select i || '%' from unnest($1::text[]) i)",
        "delete from notifications where upload_id = any ($1)",
        "delete from messages m using batches b where b.batch_no = m.batch_no and b.upload_id = any ($1)",
        "delete from batches where upload_id = any ($1)",
        "delete from audit_events where upload_id = any ($1)",
        "delete from uploads where id = any ($1)",
    ):
        await pool.execute(statement, list(upload_ids))


@pytest.fixture
def check_job(pool: Pool, store: S3ObjectStore, settings: Settings, verdicts: VerdictProcesses) -> CheckJob:
    return CheckJob(
        pool, store, settings.worker,
        lambda template: make_rules(template, settings.environment, MessageSettings()), verdicts,
    )  # fmt: skip


@pytest.fixture
def awaited_job(
    pool: Pool, store: S3ObjectStore, settings: Settings, verdicts: VerdictProcesses
) -> AwaitedVerdictJob:
    return AwaitedVerdictJob(
        pool, store, settings.worker,
        lambda template: make_rules(template, settings.environment, MessageSettings()), verdicts,
    )  # fmt: skip


async def take_by_console(intake: Intake) -> str:
    """A file of the console. Returns its id."""
    upload_id, content = new_identifier("upload"), io.BytesIO(GOOD)
    await intake.store_checked(
        CheckedSpool(
            upload_id, Sender(CAMPAIGN, Actor(USER)), USER, "clinic.csv", content, len(GOOD), sha256_of(content).hex(), let_in
        )
    )  # fmt: skip
    return upload_id


@asynccontextmanager
async def taken_by_api(intake: Intake, pool: Pool) -> AsyncIterator[str]:
    """An upload of the API whose sender waits until the end of the block. Yields its id."""
    waiter, upload_id, content = secrets.randbits(63), new_identifier("upload"), io.BytesIO(GOOD)
    async with pool.acquire() as connection:
        await connection.execute("select pg_advisory_lock($1)", waiter)
        try:
            await intake.store_awaited(
                AwaitedSpool(
                    upload_id, Sender(CAMPAIGN, Actor("api key x")), Source.API, "clinic.csv", content, len(GOOD),
                    sha256_of(content).hex(), waiter, let_in,
                )
            )  # fmt: skip
            yield upload_id
        finally:
            await connection.execute("select pg_advisory_unlock($1)", waiter)


async def run(job: AwaitedVerdictJob | CheckJob, upload_id: str) -> None:
    """Run the upload's job."""
    await job(RunningJob(upload_id, 0))


def told(found: Sequence[Found]) -> list[tuple[str | None, Became, str | None]]:
    return sorted((each.upload_id, each.became, each.outcome) for each in found)


async def row_of(pool: Pool, upload_id: str) -> dict[str, object]:
    row = await pool.fetchrow("select * from uploads where id = $1", upload_id)
    assert row is not None
    return dict(row)


async def upload_of(pool: Pool, upload_id: str) -> Upload:
    async with pool.acquire() as connection:
        found = await fetch_upload(connection, upload_id)
    assert found is not None
    return found


async def made(pool: Pool) -> tuple[int, int, int, int]:
    """How many batches, messages, notifications and jobs there are."""
    row = await pool.fetchrow(
        "select (select count(*) from batches), (select count(*) from messages), (select count(*) from notifications),"
        " (select count(*) from pgqueuer)"
    )
    assert row is not None
    return tuple(row)


async def let_go(pool: Pool, upload_id: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await release_any(connection, await upload_of(pool, upload_id), actor=ADMIN)

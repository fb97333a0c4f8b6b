"""A campaign, a store and an intake on the test's own servers."""

import asyncio
import io
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

import pytest

from audit.events import Actor
from config.identifiers import new_identifier
from config.sections import MessageSettings
from config.settings import Settings
from database.connections import Connection, Pool
from database.job_queue import RunningJob
from processing.intake import FinishedSpool, Intake, IntakeSettings, Sender
from processing.job import VerdictJob, verdict_limits
from processing.object_store import Description, ObjectStore, S3ObjectStore, open_store
from processing.refusals import RefusalBudgets
from processing.rule_settings import make_rules
from processing.verdicts.process import VerdictProcesses

T = TypeVar("T")
CAMPAIGN = "campaign_test"
GOOD = b"recipient,language,name\r\n6591234567,english,Tan\r\n6591234568,chinese,\xe9\x99\x88\r\n"
BAD = b"recipient,language,name\r\n+6591234567,english,Tan\r\n6591234568,english,[x]\r\n6591234569,english,Lee\r\n"
INTAKE_SETTINGS = IntakeSettings(
    acknowledge_timeout=3,
    max_upload_bytes=30 * 1024 * 1024,
    refusal_budgets=RefusalBudgets(names_and_sizes=20, interrupted=20),
)


async def let_in(_connection: Connection) -> None:
    """Whoever sends may send."""


class HoldingStore:
    """A bucket that keeps whoever fetches waiting until told."""

    def __init__(self, store: S3ObjectStore) -> None:
        self._store = store
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()

    async def put(
        self,
        key: str,
        source: BinaryIO,
        *,
        download_name: str,
        sha256: str | None = None,
        description: Description | None = None,
    ) -> str:
        return await self._store.put(
            key, source, download_name=download_name, sha256=sha256, description=description
        )

    async def fetch(self, key: str, target: BinaryIO) -> None:
        self.asked.set()
        await self.let_go.wait()
        await self._store.fetch(key, target)

    async def read(self, key: str, use: Callable[[Iterator[bytes]], T], *, start: int = 0) -> T:
        return await self._store.read(key, use, start=start)

    def stream(self, key: str) -> AsyncGenerator[bytes, None]:
        return self._store.stream(key)

    async def sign_link(self, key: str) -> str:
        return await self._store.sign_link(key)

    async def delete(self, key: str) -> None:
        await self._store.delete(key)

    async def delete_older(self, prefix: str, before: datetime, *, keep: Collection[str] = ()) -> int:
        return await self._store.delete_older(prefix, before, keep=keep)


MakeSpool = Callable[..., FinishedSpool]


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[S3ObjectStore]:
    async with open_store(settings.s3) as opened:
        yield opened


@pytest.fixture
async def campaign(pool: Pool) -> str:
    """An active campaign with an English and a Chinese body."""
    await pool.execute(
        "insert into campaigns (id, name, header, notify_email) values ($1, 'Clinic', 'Clinic', 'ops@agency.example')",
        CAMPAIGN,
    )
    await pool.execute(
        "insert into template_bodies values ($1, 'english', 'Dear {{name}}', 0), ($1, 'chinese', '{{name}}你好', 1)",
        CAMPAIGN,
    )
    return CAMPAIGN


@pytest.fixture
def intake(pool: Pool, store: S3ObjectStore) -> Intake:
    return Intake(pool, store, INTAKE_SETTINGS)


@pytest.fixture
def make_spool(tmp_path: Path, campaign: str) -> MakeSpool:
    """A finished spool of these bytes; other fields by name."""

    def make(data: bytes = GOOD, **changes: object) -> FinishedSpool:
        upload_id = new_identifier("upload")
        path = tmp_path / upload_id
        path.write_bytes(data)
        spool = FinishedSpool(
            upload_id=upload_id,
            sender=Sender(campaign, Actor("SHA256:abc", "connection-1", "192.0.2.7")),
            file_name="appointments.csv",
            path=path,
            byte_count=len(data),
            modified_at=datetime(2026, 1, 2, tzinfo=UTC),
            find_unauthorized=let_in,
        )
        return replace(spool, **changes)  # type: ignore[arg-type]

    return make


def make_verdict_job(
    pool: Pool, store: ObjectStore, settings: Settings, verdicts: VerdictProcesses
) -> VerdictJob:
    """A worker's job as a worker composes it."""
    return VerdictJob(
        pool,
        store,
        settings.worker,
        lambda template: make_rules(template, settings.environment, MessageSettings()),
        verdicts,
    )


@pytest.fixture
async def verdicts(settings: Settings) -> AsyncIterator[VerdictProcesses]:
    """A child process for verdicts, as a worker has them."""
    async with VerdictProcesses(verdict_limits(settings.worker), 1) as processes:
        yield processes


@pytest.fixture
def make_job(
    pool: Pool, store: S3ObjectStore, settings: Settings, verdicts: VerdictProcesses
) -> Callable[..., VerdictJob]:
    """A worker's job with these worker settings."""

    def make(
        store: S3ObjectStore = store, verdicts: VerdictProcesses = verdicts, **changes: float
    ) -> VerdictJob:
        worker = settings.worker.model_copy(update=changes)
        return make_verdict_job(pool, store, settings.model_copy(update={"worker": worker}), verdicts)

    return make


@pytest.fixture
def job(make_job: Callable[..., VerdictJob]) -> VerdictJob:
    """A worker's job."""
    return make_job()


async def run_job(job: VerdictJob, *spools: FinishedSpool) -> None:
    """Run the job of each upload, one after the other."""
    for spool in spools:
        await job(RunningJob(spool.upload_id, 0))


@contextmanager
def machine_without_processes() -> Iterator[None]:
    """Let no child of this process start within the block: the system refuses it, since there is no such program."""
    with pytest.MonkeyPatch.context() as machine:
        machine.setattr(sys, "executable", "/nowhere/python")
        yield


async def read_object(store: S3ObjectStore, key: str) -> bytes:
    """What the store keeps under this key."""
    target = io.BytesIO()
    await store.fetch(key, target)
    return target.getvalue()

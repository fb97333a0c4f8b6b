"""A campaign, a store and an intake on the test's own servers."""

import io
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from audit.events import Actor
from config.identifiers import new_identifier
from config.settings import Settings
from database.connections import Connection, Pool
from processing.intake import FinishedSpool, Intake, IntakeSettings, Sender
from processing.object_store import S3ObjectStore, open_store
from processing.refusals import RefusalBudgets

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

"""What uploads of the console need: a user, an intake that takes them, and the worker's job."""

import io
from collections.abc import Awaitable, Callable

import pytest

from audit.events import Actor
from campaigns.people.users import ensure_user
from config.identifiers import new_identifier
from config.sections import MessageSettings
from config.settings import Settings
from database.connections import Pool
from processing.awaited.job import AwaitedVerdictJob
from processing.checked.job import CheckJob
from processing.intake import CheckedSpool, Intake, Sender
from processing.object_store import S3ObjectStore, sha256_of
from processing.rule_settings import make_rules
from processing.verdicts.process import VerdictProcesses
from tests.processing.conftest import GOOD, let_in

Take = Callable[..., Awaitable[str]]


@pytest.fixture
async def user_id(pool: Pool) -> str:
    async with pool.acquire() as connection, connection.transaction():
        return (await ensure_user(connection, "amy@clinic.gov.sg")).id


@pytest.fixture
def check_job(pool: Pool, store: S3ObjectStore, settings: Settings, verdicts: VerdictProcesses) -> CheckJob:
    """A worker's job as a worker composes it."""
    return CheckJob(
        pool, store, settings.worker,
        lambda template: make_rules(template, settings.environment, MessageSettings()), verdicts,
    )  # fmt: skip


@pytest.fixture
def take(intake: Intake, campaign: str, user_id: str) -> Take:
    """Take an upload in. Returns its id."""

    async def taken(content: bytes = GOOD) -> str:
        upload_id = new_identifier("upload")
        await intake.store_checked(
            CheckedSpool(
                upload_id, Sender(campaign, Actor(user_id, None, "192.0.2.7")), user_id, "clinic.csv", io.BytesIO(content),
                len(content), sha256_of(io.BytesIO(content)).hex(), let_in,
            )
        )  # fmt: skip
        return upload_id

    return taken


@pytest.fixture
def awaited_job(
    pool: Pool, store: S3ObjectStore, settings: Settings, verdicts: VerdictProcesses
) -> AwaitedVerdictJob:
    """The job of uploads whose senders wait, which is older than the console."""
    return AwaitedVerdictJob(
        pool, store, settings.worker,
        lambda template: make_rules(template, settings.environment, MessageSettings()), verdicts,
    )  # fmt: skip

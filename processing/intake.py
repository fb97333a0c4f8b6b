"""The way in: a finished spool becomes a stored object, an upload and its job, or one clear error.

`sftpd` calls it directly, where other rooms pass only an id on through PostgreSQL. It knows nothing of SFTP.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias, TypeVar

import asyncpg

from audit.events import Actor, AuditEvent, record_event
from config.fault_points import reach
from config.identifiers import new_identifier
from config.logs import get_logger
from database.connections import Connection, Pool, database_troubles
from database.errors import ServiceUnreachable
from processing import metrics, uploads
from processing.awaited.uploads import NewAwaited, record_awaited
from processing.checked.uploads import NewChecked
from processing.checked.uploads import record_received as record_checked
from processing.errors import ProcessingError, StoreUnavailable
from processing.object_store import ObjectStore, original_key
from processing.reconcile.marks import put_not_taken_mark
from processing.reconcile.receipts import Receipt, Taken, describe, receipt_of
from processing.refusals import RefusalBudgets, has_budget, record_refusal
from processing.uploads import NewUpload, Source
from processing.verdicts.queueing import (
    AWAITED_ENTRYPOINT,
    CHECKED_ENTRYPOINT,
    HourlyBudget,
    enqueue_verdict,
)
from rules.codes import FindingCode

logger = get_logger("processing")

# The pause between two tries of one step, in seconds.
_PAUSE: Final = 0.25
# Parts of `acknowledge_timeout`: for a last question to the database, whether the upload was taken after all; for a mark.
_LAST_QUESTION: Final = 0.07
_LAST_MARK: Final = 0.03
_UNWELCOME: Final = "this campaign can't receive uploads any more"
_T = TypeVar("_T")

# Asked inside the transaction that takes an upload. It returns the exception that `store` then raises, or None.
Authority = Callable[[Connection], Awaitable[Exception | None]]


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """How the intake behaves towards any source of uploads. Whoever composes the process fills it in.

    `acknowledge_timeout`: seconds in all that a sender waits for its answer. `max_upload_bytes`: the size that the e-mail
    of an upload too large names. `refusal_budgets`: how many refusals an hour of one campaign are told singly, before one
    e-mail stands for all the rest. `verdict_budget`: what of one campaign is judged in an hour; None: all of it.
    """

    acknowledge_timeout: float
    max_upload_bytes: int
    refusal_budgets: RefusalBudgets
    verdict_budget: HourlyBudget | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: a campaign, through one connection."""

    campaign_id: str
    actor: Actor


@dataclass(frozen=True, slots=True)
class FinishedSpool:
    """An upload that its client has completed. The file at `path` is not changed any more; the caller removes it.

    `modified_at` is the time that the client set on the file, aware UTC. `find_unauthorized` is asked of the database in
    the transaction that takes the upload, and must lock what it relies on: whoever takes the authority away then does so
    before that transaction, which takes nothing, or after it. What lets a sender in is the business of each way in.
    """

    upload_id: str
    sender: Sender
    file_name: str
    path: Path
    byte_count: int
    modified_at: datetime | None
    find_unauthorized: Authority


@dataclass(frozen=True, slots=True)
class AwaitedSpool:
    """An upload that has come in whole by another way than SFTP, and whose sender waits for the outcome.

    `file` is open, holds the upload from its beginning and isn't changed any more; the caller closes it. `sha256` (hex) is its
    content's. `waiter`: the lock that the caller holds, see `processing.awaited`. `find_unauthorized`: as of a FinishedSpool;
    it may write what belongs to the taking of the upload. `creator_id`: see `NewAwaited`.
    """

    upload_id: str
    sender: Sender
    source: Source
    file_name: str
    file: BinaryIO
    byte_count: int
    sha256: str
    waiter: int
    find_unauthorized: Authority
    creator_id: str | None = None


@dataclass(frozen=True, slots=True)
class CheckedSpool:
    """An upload of the console, which is checked first and sent only when somebody says so: see `processing.checked`.

    `file`, `sha256` and `find_unauthorized` are as of an AwaitedSpool; `creator_id` is the user who sent it.
    """

    upload_id: str
    sender: Sender
    creator_id: str
    file_name: str
    file: BinaryIO
    byte_count: int
    sha256: str
    find_unauthorized: Authority


AnySpool: TypeAlias = FinishedSpool | AwaitedSpool | CheckedSpool


class IntakeError(ProcessingError):
    """The upload was not taken; the text is one line for the client, without secrets or personal data."""


class IntakeUnavailable(IntakeError):  # noqa: N818 - read as a fact
    """Bucket or database did not answer in time: the client may try again; nothing was accepted."""


class Intake:
    """Takes uploads in. A process has one; its calls run side by side."""

    def __init__(self, pool: Pool, store: ObjectStore, settings: IntakeSettings) -> None:
        self._pool = pool
        self._store = store
        self._settings = settings

    async def store(self, spool: FinishedSpool) -> None:
        """Store object, upload and job durably, within `acknowledge_timeout` seconds in all.

        Returns only when all three are there to stay: then the sender may be told so. Raises IntakeUnavailable otherwise,
        IntakeError where the campaign has lost its access, or what `find_unauthorized` returned.
        """
        await self._store_all(spool)

    async def store_awaited(self, spool: AwaitedSpool) -> None:
        """Do the same for an upload whose sender goes on to wait for the outcome."""
        await self._store_all(spool)

    async def store_checked(self, spool: CheckedSpool) -> None:
        """Do the same for an upload that is only checked for now."""
        await self._store_all(spool)

    async def _store_all(self, spool: AnySpool) -> None:
        log = logger.bind(
            upload_id=spool.upload_id,
            campaign_id=spool.sender.campaign_id,
            connection_id=spool.sender.actor.connection_id,
        )
        timeout = self._settings.acknowledge_timeout
        sha256: str | None = None
        with metrics.INTAKE_SECONDS.time():
            try:
                async with asyncio.timeout(timeout * (1 - _LAST_QUESTION - _LAST_MARK)):
                    reach("spool.closed")
                    receipt = _receipt(spool)
                    digest = await _until_done(lambda: self._put_spool(spool, receipt))
                    reach("intake.object_stored")
                    sha256 = digest
                    await _until_done(lambda: self._record(spool, receipt, digest))
                    reach("intake.committed")
            except TimeoutError:
                if sha256 is None or not await self._is_taken(spool.upload_id, timeout * _LAST_QUESTION):
                    away = "s3" if sha256 is None else "database"
                    await self._mark_not_taken(spool, timeout * _LAST_MARK)
                    metrics.UPLOADS_NOT_STORED.labels(away).inc()
                    log.warning("upload_not_stored", away=away)
                    message = "the upload could not be stored and was not accepted; please send it again in a few minutes"
                    raise IntakeUnavailable(message) from None
            except Exception:
                await self._mark_not_taken(spool, timeout * _LAST_MARK)
                raise
        metrics.UPLOADS_RECEIVED.inc()
        metrics.BYTES_RECEIVED.inc(spool.byte_count)
        log.info("upload_received", bytes=spool.byte_count, sha256=sha256)

    async def refuse(
        self,
        sender: Sender,
        file_name: str,
        code: FindingCode,
        *,
        byte_count: int,
        path: Path | None = None,
        upload_id: str | None = None,
    ) -> str | None:
        """Record an upload refused before any row was read, and its reject e-mail. Returns the upload's id.

        `code` is file_too_large, file_not_csv or upload_interrupted. For the last, `path` is what has come in, which is kept so
        that ops can release it. Beyond the hour's budget the refusal is only counted, nothing is kept, and this returns None.
        Processes that may all tell of the same upload give the same `upload_id`, and only the first one's call is told.
        Raises IntakeUnavailable.
        """
        upload_id = upload_id or new_identifier("upload")
        metrics.UPLOADS_REFUSED.labels(code.value).inc()
        try:
            async with asyncio.timeout(self._settings.acknowledge_timeout):
                key = sha256 = None
                receipt = receipt_of(
                    upload_id, sender.campaign_id, Source.SFTP, file_name, sender.actor, datetime.now(UTC),
                    taken=Taken.INTERRUPTED,
                )  # fmt: skip
                if path is not None and await _until_done(lambda: self._has_budget(sender.campaign_id, code)):
                    key = original_key(sender.campaign_id, upload_id)
                    with path.open("rb") as kept:
                        sha256 = await _until_done(lambda: self._put(kept, receipt))
                refused = NewUpload(
                    id=upload_id,
                    campaign_id=sender.campaign_id,
                    actor=sender.actor,
                    file_name=file_name,
                    byte_count=byte_count,
                    sha256=sha256,
                    object_key=key,
                    received_at=receipt.received_at,
                )
                is_told = await _until_done(lambda: self._record_refusal(refused, code))
        except TimeoutError:
            logger.warning("refusal_not_recorded", code=code.value, campaign_id=sender.campaign_id)
            raise IntakeUnavailable("the refusal could not be recorded") from None
        if not is_told:
            return None
        logger.info(
            "upload_refused",
            upload_id=upload_id,
            campaign_id=sender.campaign_id,
            connection_id=sender.actor.connection_id,
            code=code.value,
            bytes=byte_count,
        )
        return upload_id

    async def _is_taken(self, upload_id: str, timeout: float) -> bool:
        """Whether the COMMIT that the time-out cut short was carried out. False where the database doesn't tell in time."""
        try:
            with database_troubles():
                async with asyncio.timeout(timeout), self._pool.acquire() as connection:
                    return await uploads.has_upload(connection, upload_id)
        except ServiceUnreachable:
            return False

    async def _mark_not_taken(self, spool: AnySpool, timeout: float) -> None:
        """Say beside the object that its sender was told that it wasn't taken. Where that can't be said, it is without harm."""
        mark = put_not_taken_mark(self._store, spool.sender.campaign_id, spool.upload_id)
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            await asyncio.wait_for(mark, timeout)

    async def _put_spool(self, spool: AnySpool, receipt: Receipt) -> str:
        match spool:
            case FinishedSpool():
                with spool.path.open("rb") as source:
                    return await self._put(source, receipt)
            case AwaitedSpool() | CheckedSpool():
                return await self._put(spool.file, receipt, spool.sha256)

    async def _put(self, source: BinaryIO, receipt: Receipt, sha256: str | None = None) -> str:
        key, told = original_key(receipt.campaign_id, receipt.upload_id), describe(receipt)
        return await self._store.put(key, source, download_name="upload.csv", sha256=sha256, description=told)

    async def _record(self, spool: AnySpool, receipt: Receipt, sha256: str) -> None:
        """Write upload and job in one transaction. A second call, after an unclear COMMIT, finds the upload by its id."""
        with database_troubles():
            async with self._pool.acquire() as connection:
                try:
                    async with connection.transaction():
                        await _record_upload(
                            connection, spool, receipt, sha256, self._settings.verdict_budget
                        )
                except asyncpg.UniqueViolationError:
                    if not await uploads.has_upload(connection, spool.upload_id):
                        # Not the upload's own id was taken but another key, as after a restore with stale sequences: it failed.
                        raise

    async def _has_budget(self, campaign_id: str, code: FindingCode) -> bool:
        with database_troubles():
            async with self._pool.acquire() as connection:
                return await has_budget(connection, campaign_id, code, self._settings.refusal_budgets)

    async def _record_refusal(self, refused: NewUpload, code: FindingCode) -> bool:
        with database_troubles():
            async with self._pool.acquire() as connection:
                try:
                    async with connection.transaction():
                        return await record_refusal(
                            connection,
                            refused,
                            code,
                            max_upload_bytes=self._settings.max_upload_bytes,
                            budgets=self._settings.refusal_budgets,
                        )
                except asyncpg.UniqueViolationError:
                    if not await uploads.has_upload(connection, refused.id):
                        raise
                    return True


async def _record_upload(
    connection: Connection,
    spool: AnySpool,
    receipt: Receipt,
    sha256: str,
    budget: HourlyBudget | None,
) -> None:
    campaign_id, actor = spool.sender.campaign_id, spool.sender.actor
    unauthorized = await spool.find_unauthorized(connection)
    if unauthorized is not None:
        if await uploads.has_upload(connection, spool.upload_id):
            # An earlier COMMIT, whose answer never came, was carried out before the authority was taken away.
            return
        raise unauthorized
    if not await _insert(connection, spool, receipt, sha256):
        if await uploads.has_upload(connection, spool.upload_id):
            # An earlier COMMIT, whose answer never came, was carried out before the access was taken away.
            return
        raise IntakeError(_UNWELCOME)
    match spool:
        case FinishedSpool():
            await enqueue_verdict(connection, spool.upload_id, campaign_id, budget)
        case AwaitedSpool():
            await enqueue_verdict(connection, spool.upload_id, campaign_id, entrypoint=AWAITED_ENTRYPOINT)
        case CheckedSpool():
            await enqueue_verdict(connection, spool.upload_id, campaign_id, entrypoint=CHECKED_ENTRYPOINT)
    await record_event(
        connection,
        AuditEvent.UPLOAD_RECEIVED,
        campaign_id=campaign_id,
        upload_id=spool.upload_id,
        actor=actor,
        details={"bytes": spool.byte_count, "sha256": sha256},
    )
    reach("intake.before_commit")


async def _insert(connection: Connection, spool: AnySpool, receipt: Receipt, sha256: str) -> bool:
    """Write the upload's row. False, and no row, where its campaign has lost its access."""
    upload_id, campaign_id, actor = spool.upload_id, spool.sender.campaign_id, spool.sender.actor
    name, size, received_at = spool.file_name, spool.byte_count, receipt.received_at
    key = original_key(campaign_id, upload_id)
    match spool:
        case FinishedSpool():
            upload = NewUpload(
                upload_id, campaign_id, actor, name, size, sha256, key, received_at, spool.modified_at
            )
            return await uploads.record_received(connection, upload)
        case AwaitedSpool():
            awaited = NewAwaited(
                upload_id, campaign_id, actor, spool.source, name, size, sha256, key, received_at, spool.waiter,
                spool.creator_id,
            )  # fmt: skip
            return await record_awaited(connection, awaited)
        case CheckedSpool():
            checked = NewChecked(
                upload_id, campaign_id, actor, spool.creator_id, name, size, sha256, key, received_at
            )
            return await record_checked(connection, checked)


def _receipt(spool: AnySpool) -> Receipt:
    """What the object is to know of the upload, received now."""
    is_sftp = isinstance(spool, FinishedSpool)
    source = Source.SFTP if is_sftp else spool.source if isinstance(spool, AwaitedSpool) else Source.CONSOLE
    return receipt_of(
        spool.upload_id, spool.sender.campaign_id, source, spool.file_name, spool.sender.actor, datetime.now(UTC),
        modified_at=spool.modified_at if isinstance(spool, FinishedSpool) else None,
        creator_id=None if isinstance(spool, FinishedSpool) else spool.creator_id,
    )  # fmt: skip


async def _until_done(step: Callable[[], Awaitable[_T]]) -> _T:
    """Try a step again while its service is away; the caller's time-out ends it."""
    while True:
        try:
            return await step()
        except (StoreUnavailable, ServiceUnreachable) as error:
            logger.warning("intake_step_repeated", reason=str(error))
            await asyncio.sleep(_PAUSE)

"""Outcomes that are held since a restore: their uploads may have been answered, and their messages sent, before it.

A held upload has the outcome that its mark tells, without an e-mail and without a batch's rows. Ops look whether it was told and
sent, by the provider's log or the agency's word. Then they release it, which judges it anew, or refuse it: the outcome stands,
and nothing of it goes out any more.
"""

from audit.events import NOBODY, Actor, AuditEvent, record_event
from config.logs import get_logger
from database.connections import Connection, Pool, database_troubles
from processing.errors import ReopeningRefused
from processing.object_store import ObjectStore
from processing.reconcile.marks import Mark, Marked, fetch_mark
from processing.reconcile.uploads import (
    Undecided,
    fetch_hold,
    hold_undecided,
    is_of_before_start,
    outcome_columns,
    refuse_held,
    release_held,
    release_held_unmailed,
)
from processing.uploads import Source, Upload
from processing.verdicts.queueing import CHECKED_ENTRYPOINT, enqueue_verdict, release_upload

logger = get_logger("processing")

# Marks after which an e-mail or a message may have left.
DECIDED = frozenset({Marked.ACCEPTED, Marked.REJECTED, Marked.FAILED})


async def hold_by_mark(
    connection: Connection, campaign_id: str, upload_id: str, mark: Mark, *, actor: Actor
) -> bool:
    """Give an upload without an outcome the one that its mark tells, and hold it. False where it has one meanwhile."""
    columns = outcome_columns(mark)
    async with connection.transaction():
        if not await hold_undecided(connection, upload_id, columns):
            return False
        await record_event(
            connection,
            AuditEvent.UPLOAD_RESTORED,
            campaign_id=campaign_id,
            upload_id=upload_id,
            actor=actor,
            details={"outcome": mark.says.value, "held": True, "reason": "undecided"},
        )
    return True


async def hold_if_decided_before(pool: Pool, store: ObjectStore, upload: Upload) -> bool:
    """Hold an upload that is about to be judged, though it was decided before the database was restored. Whether that is so.

    A mark made in this attempt, or in a later one, is of a life of the database that this one doesn't know. The bucket is
    only asked where the upload was received before PostgreSQL was started, as after a restore.
    """
    with database_troubles():
        async with pool.acquire() as connection:
            if not await is_of_before_start(connection, upload.id):
                return False
    mark = await fetch_mark(store, upload.campaign_id, upload.id)
    if mark is None or mark.says not in DECIDED:
        return False
    if (mark.outcome, mark.attempt) < (upload.outcome, upload.attempts):
        return False
    with database_troubles():
        async with pool.acquire() as connection:
            await hold_by_mark(connection, upload.campaign_id, upload.id, mark, actor=NOBODY)
    logger.error("upload_held", upload_id=upload.id, campaign_id=upload.campaign_id, outcome=mark.says.value)
    return True


def is_decided_elsewhere(mark: Mark | None, upload: Undecided) -> bool:
    """Whether the mark tells of an outcome that the upload's row, at rest for a while, doesn't have."""
    if mark is None or mark.says not in DECIDED:
        return False
    return (mark.outcome, mark.attempt) >= (upload.outcome, upload.attempts)


async def release_any(connection: Connection, upload: Upload, *, actor: Actor) -> None:
    """Let a held upload, or one that was taken for interrupted, be judged, told and sent. Raises ReopeningRefused."""
    if await fetch_hold(connection, upload.id) is None:
        await release_upload(connection, upload, actor=actor)
        return
    is_sftp = upload.source is Source.SFTP
    released = (
        await release_held(connection, upload.id)
        if is_sftp
        else await release_held_unmailed(connection, upload.id, upload.creator_id or "")
    )
    if not released:
        raise ReopeningRefused(f"the bytes of {upload.id} are not kept: ask the agency to send it again")
    await _record(connection, AuditEvent.UPLOAD_RELEASED, upload, actor)
    if is_sftp:
        await enqueue_verdict(connection, upload.id, upload.campaign_id)
    else:
        await enqueue_verdict(connection, upload.id, upload.campaign_id, entrypoint=CHECKED_ENTRYPOINT)


async def refuse(connection: Connection, upload: Upload, *, actor: Actor) -> None:
    """Let a held outcome stand as it is: nothing of it is told or sent again. Raises ReopeningRefused where nothing is held."""
    if not await refuse_held(connection, upload.id):
        raise ReopeningRefused(f"{upload.id} is {upload.status} and not held: there is nothing to refuse")
    await _record(connection, AuditEvent.UPLOAD_HOLD_REFUSED, upload, actor)


async def _record(connection: Connection, event: AuditEvent, upload: Upload, actor: Actor) -> None:
    await record_event(
        connection,
        event,
        campaign_id=upload.campaign_id,
        upload_id=upload.id,
        actor=actor,
        details={"outcome": upload.status.value, "held": True},
    )

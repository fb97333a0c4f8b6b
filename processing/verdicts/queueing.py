"""The uploads that wait for a verdict: how they come onto the queue, and back onto it.

A new upload comes here from the intake, a failed or interrupted one when ops reopen it, and one that has lost its job
from the sweep. The job itself is in `processing.job`; a process that only takes uploads in doesn't import it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from audit.events import Actor, AuditEvent, record_event
from config.logs import get_logger
from database.connections import Connection
from database.held_jobs import fetch_held
from database.job_queue import enqueue, subjects_without_job
from processing.errors import ReopeningRefused
from processing.uploads import (
    Reopening,
    Source,
    UndecidedUpload,
    Upload,
    UploadStatus,
    count_undecided,
    list_undecided,
    reopen_upload,
    sum_recent,
)
from rules.codes import FindingCode

ENTRYPOINT: Final = "verdict"
# Of uploads whose senders wait: workers of the release before know no such job.
AWAITED_ENTRYPOINT: Final = "verdict_api"
# Of uploads that are checked before they are sent: nor do these know this one.
CHECKED_ENTRYPOINT: Final = "verdict_console"
# Of all of them an upload is the subject.
VERDICT_ENTRYPOINTS: Final = (ENTRYPOINT, AWAITED_ENTRYPOINT, CHECKED_ENTRYPOINT)
logger = get_logger("processing")
# How many waiting uploads a sweep looks at in one statement.
_SWEPT_AT_A_TIME: Final = 1000
_TWINS_WITHIN: Final = timedelta(hours=24)


_WAYS: Final = {Source.SFTP: "SFTP", Source.API: "the HTTP API", Source.CONSOLE: "the console"}


@dataclass(frozen=True, slots=True)
class HourlyBudget:
    """What of one campaign is judged in an hour. What goes beyond it waits; nothing is refused."""

    max_bytes: int
    max_rows: int


async def enqueue_verdict(
    connection: Connection,
    upload_id: str,
    campaign_id: str,
    budget: HourlyBudget | None = None,
    *,
    entrypoint: str = ENTRYPOINT,
) -> None:
    """Put an upload, whose row is written already, on the queue in the caller's transaction.

    First come, first served, but for a campaign's own earlier uploads: each one that still waits lowers the priority by
    one, so that a hundred uploads of one campaign let another campaign's single upload pass. Beyond `budget` the job begins
    later: by an hour for each whole budget that the campaign has sent too much.
    """
    earlier = await count_undecided(connection, campaign_id) - 1
    delay = await _delay_of(connection, campaign_id, budget) if budget else timedelta(0)
    if delay:
        logger.info(
            "verdict_over_budget", upload_id=upload_id, campaign_id=campaign_id, seconds=delay.total_seconds()
        )
    await enqueue(connection, entrypoint, upload_id, priority=-max(earlier, 0), delay=delay)


async def _delay_of(connection: Connection, campaign_id: str, budget: HourlyBudget) -> timedelta:
    """How long an upload, whose row is written already, waits for its campaign's budget."""
    sent_bytes, sent_rows = await sum_recent(connection, campaign_id)
    used = max(sent_bytes / budget.max_bytes, sent_rows / budget.max_rows)
    return timedelta(hours=max(0.0, used - 1))


async def retry_upload(connection: Connection, upload: Upload, *, actor: Actor) -> None:
    """Let a failed upload be judged once more, in the caller's transaction. Raises ReopeningRefused."""
    await _reopen(connection, upload, Reopening.RETRY, AuditEvent.UPLOAD_RETRIED, actor)


async def release_upload(connection: Connection, upload: Upload, *, actor: Actor) -> None:
    """Let an upload that was taken for interrupted be judged as it is, in the caller's transaction.

    Raises ReopeningRefused.
    """
    await _reopen(connection, upload, Reopening.RELEASE, AuditEvent.UPLOAD_RELEASED, actor)


async def _reopen(
    connection: Connection, upload: Upload, reopening: Reopening, event: AuditEvent, actor: Actor
) -> None:
    if not await reopen_upload(connection, upload.id, reopening):
        held = await fetch_held(connection, VERDICT_ENTRYPOINTS, upload.id)
        if held is not None:
            raise ReopeningRefused(
                f"{upload.id} is {upload.status}, and its job is held: `sftp-gateway job retry {held.id}`"
            )
        raise ReopeningRefused(_explain_refusal(upload, reopening))
    await record_event(connection, event, campaign_id=upload.campaign_id, upload_id=upload.id, actor=actor)
    await enqueue_verdict(connection, upload.id, upload.campaign_id)


def _explain_refusal(upload: Upload, reopening: Reopening) -> str:
    """Why an upload can't be reopened."""
    if upload.finished_at is None:
        return f"{upload.id} is {upload.status} and will get its outcome by itself"
    if upload.source is not Source.SFTP:
        told = "its sender was told so at once, and only an upload of SFTP can be decided anew"
        if upload.status is UploadStatus.CHECKED:
            told = "whoever sent it says on its page whether it is sent"
        return f"{upload.id} came by {_WAYS[upload.source]} and is {upload.status}: {told}"
    is_retry = reopening is Reopening.RETRY
    fits = (
        upload.status is UploadStatus.FAILED
        if is_retry
        else upload.refusal_code == FindingCode.UPLOAD_INTERRUPTED
    )
    if fits and upload.object_key is None:
        return f"the bytes of {upload.id} are not kept: ask the agency to upload the file again"
    if is_retry:
        return f"{upload.id} is {upload.status}: only a failed upload can be retried"
    return f"{upload.id} is {upload.status}, not refused as interrupted: only such an upload can be released"


async def sweep_uploads(
    connection: Connection, older_than: timedelta, twins_within: timedelta = _TWINS_WITHIN
) -> int:
    """Put back on the queue every upload without an outcome that has no job. Returns how many.

    Uploads younger than `older_than` are left alone, and those that wait for a twin received up to `twins_within` before.
    """
    swept = 0
    last: UndecidedUpload | None = None
    while page := await list_undecided(
        connection, older_than=older_than, twins_within=twins_within, after=last, limit=_SWEPT_AT_A_TIME
    ):
        campaigns = {upload.id: upload.campaign_id for upload in page}
        lost = await subjects_without_job(connection, ENTRYPOINT, list(campaigns))
        for upload_id in lost:
            await enqueue_verdict(connection, upload_id, campaigns[upload_id])
        swept += len(lost)
        last = page[-1]
    return swept

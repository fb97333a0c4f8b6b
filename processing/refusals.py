"""Uploads refused before any row was read: so many an hour are written down and told singly, and the others are counted.

A client that sends names other than *.csv over and over would fill its agency's mailbox and our tables. So beyond the hour's
single ones a refusal leaves nothing but a count, and a job sums the counts up in one e-mail.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from audit.events import AuditEvent, record_event
from config.sizes import size_text
from database.connections import Connection, Pool, database_troubles
from database.job_queue import JobKind, RunningJob, enqueue, subjects_without_job
from notifications.notifications import Rejected, record_notification
from processing import uploads
from processing.refusal_counts import (
    count_recent_refusals,
    count_refusal,
    fetch_upload_to_sum_up_on,
    list_campaigns_with_untold,
    list_counted_campaigns,
    lock_refusals,
    take_counts,
)
from processing.uploads import NewUpload
from rules.codes import FindingCode
from rules.texts import file_reason

SUMMARY_ENTRYPOINT: Final = "refusal_summary"
# How long a summary waits for further refusals.
_SUMMARY_DELAY: Final = timedelta(hours=1)
_CONCURRENT_SUMMARIES: Final = 2
# The notification that sums up stands before an upload's own outcomes, which count from 1.
_SUMMARY_OUTCOME: Final = 0

_NAMES_AND_SIZES: Final = (FindingCode.FILE_NOT_CSV, FindingCode.FILE_TOO_LARGE)
# The codes that share one budget with each code.
_SHARED_BUDGET: Final[Mapping[FindingCode, tuple[FindingCode, ...]]] = MappingProxyType(
    {
        FindingCode.FILE_NOT_CSV: _NAMES_AND_SIZES,
        FindingCode.FILE_TOO_LARGE: _NAMES_AND_SIZES,
        FindingCode.UPLOAD_INTERRUPTED: (FindingCode.UPLOAD_INTERRUPTED,),
    }
)


@dataclass(frozen=True, slots=True)
class RefusalBudgets:
    """How many refusals an hour of one campaign are told singly: by name or size, and of interrupted uploads."""

    names_and_sizes: int
    interrupted: int

    def of(self, code: FindingCode) -> int:
        """The budget of this code and those that share it."""
        return self.interrupted if code is FindingCode.UPLOAD_INTERRUPTED else self.names_and_sizes


async def has_budget(
    connection: Connection, campaign_id: str, code: FindingCode, budgets: RefusalBudgets
) -> bool:
    """Whether the hour still has room for one more refusal that is told singly."""
    shared = [shared.value for shared in _SHARED_BUDGET[code]]
    return await count_recent_refusals(connection, campaign_id, shared) < budgets.of(code)


async def record_refusal(
    connection: Connection,
    upload: NewUpload,
    code: FindingCode,
    *,
    max_upload_bytes: int,
    budgets: RefusalBudgets,
) -> bool:
    """Write down the refused upload, its audit event and what tells of it, in the caller's transaction.

    Beyond the hour's budget it is only counted, and then this returns False. `max_upload_bytes` is the limit that the e-mail
    names. A second call for the same upload changes nothing, except that it may be counted twice.
    """
    if await uploads.has_upload(connection, upload.id):
        return True
    await lock_refusals(connection, upload.campaign_id)
    if not await has_budget(connection, upload.campaign_id, code, budgets):
        if await count_refusal(connection, upload.campaign_id, code) == 1:
            await enqueue_summary(connection, upload.campaign_id)
        return False
    facts = {"limit": size_text(max_upload_bytes)} | ({} if upload.object_key else {"way_out": ""})
    error_reason = file_reason(code, received=upload.byte_count, **facts)
    await uploads.record_refused(connection, upload, refusal_code=code.value, error_reason=error_reason)
    await record_notification(connection, upload.id, 1, _rejected(error_reason, 1))
    await record_event(
        connection,
        AuditEvent.UPLOAD_REFUSED,
        campaign_id=upload.campaign_id,
        upload_id=upload.id,
        actor=upload.actor,
        details={"code": code.value, "bytes": upload.byte_count},
    )
    return True


async def enqueue_summary(connection: Connection, campaign_id: str) -> None:
    """Sum up, an hour from now, the refusals that got no e-mail of their own. One such job per campaign at a time."""
    await enqueue(connection, SUMMARY_ENTRYPOINT, campaign_id, delay=_SUMMARY_DELAY)


async def record_summary(connection: Connection, campaign_id: str) -> None:
    """Write one notification that says how many of the campaign's refusals were only counted, by code."""
    counts = await take_counts(connection, campaign_id)
    counts.update(Counter(map(FindingCode, await uploads.take_untold(connection, campaign_id))))
    if not counts:
        return
    upload_id = await fetch_upload_to_sum_up_on(connection, campaign_id)
    if upload_id is None:
        # Nothing is counted before others were told singly, so this takes a database that was restored in part.
        return
    by_code = ", ".join(f"{count:,} {code}" for code, count in sorted(counts.items()))
    error_reason = (
        f"this e-mail stands for {counts.total():,} more uploads that were refused within the hour "
        f"without an e-mail of their own: {by_code}"
    )
    await record_notification(
        connection, upload_id, _SUMMARY_OUTCOME, _rejected(error_reason, counts.total())
    )


async def sweep_summaries(connection: Connection) -> int:
    """Put back on the queue the summary of every campaign that has counted refusals and no such job. Returns how many.

    A refusal that comes while the summary before it is being written finds that one's job, and adds none: it is found
    here.
    """
    campaigns = sorted(
        {
            *await list_counted_campaigns(connection),
            *await list_campaigns_with_untold(connection),
        }
    )
    unsummed = await subjects_without_job(connection, SUMMARY_ENTRYPOINT, campaigns)
    for campaign_id in unsummed:
        await enqueue_summary(connection, campaign_id)
    return len(unsummed)


class RefusalSummaryJob:
    """Sums up a campaign's counted refusals. Safe to run twice: the second run finds no counts."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def kind(self, heartbeat_timeout: float) -> JobKind:
        """How the queue runs it. `heartbeat_timeout` is in seconds."""
        return JobKind(SUMMARY_ENTRYPOINT, _CONCURRENT_SUMMARIES, heartbeat_timeout, is_urgent=False)

    async def __call__(self, job: RunningJob) -> None:
        """Handle one job, whose subject is a campaign."""
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                await record_summary(connection, job.subject_id)


def _rejected(error_reason: str, count: int) -> Rejected:
    return Rejected(None, 0, count, has_avoidable=False, has_unicode=False, error_reason=error_reason)

"""The verdict's job: what puts it on the queue, fairly between campaigns, and what finds the uploads that lost theirs."""

from datetime import timedelta
from typing import Final

from database.connections import Connection
from database.job_queue import enqueue
from processing.uploads import count_undecided, list_campaigns_without_summary, list_uploads_without_job

ENTRYPOINT: Final = "verdict"
SUMMARY_ENTRYPOINT: Final = "refusal_summary"


async def enqueue_verdict(
    connection: Connection, upload_id: str, campaign_id: str, *, delay: timedelta = timedelta(0)
) -> None:
    """Put an upload, whose row is written already, on the queue in the caller's transaction.

    First come, first served, but for a campaign's own earlier uploads: each one still undecided lowers the priority
    by one, so that a hundred files of one campaign let another's single file pass.
    """
    earlier = await count_undecided(connection, campaign_id) - 1
    await enqueue(connection, ENTRYPOINT, upload_id, priority=-max(earlier, 0), delay=delay)


async def sweep_uploads(connection: Connection, older_than: timedelta) -> int:
    """Put back on the queue every undecided upload, and every summary of refusals, that has no job. Returns how many.

    A refusal that comes while the summary before it is being written finds that one's job, and adds none.
    """
    lost = await list_uploads_without_job(connection, older_than)
    for upload_id, campaign_id in lost:
        await enqueue_verdict(connection, upload_id, campaign_id)
    unsummed = await list_campaigns_without_summary(connection)
    for campaign_id in unsummed:
        await enqueue_refusal_summary(connection, campaign_id)
    return len(lost) + len(unsummed)


async def enqueue_refusal_summary(connection: Connection, campaign_id: str) -> None:
    """Sum up, an hour from now, the refusals that got no e-mail of their own. One such job per campaign at a time."""
    await enqueue(connection, SUMMARY_ENTRYPOINT, campaign_id, delay=timedelta(hours=1))

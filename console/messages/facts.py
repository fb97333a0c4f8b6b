"""What a page says of a batch: how far it is, in words and as a bar, what keeps it, and what failed."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from campaigns.campaigns import CampaignStatus, Creator
from console.messages.charts import Stretch, stretches
from console.messages.rows import order_of
from database.connections import Connection
from messages.meanings import ERROR_MEANINGS, STATUS_MEANINGS, ErrorMeaning
from messages.retrieval import Batch
from messages.statuses import ErrorCode, MessageStatus
from sending.queues import Outlook, fetch_outlook, is_slow

_MINUTE: Final = timedelta(minutes=1)
_HELD: Final = {
    "stale": "It could not begin within its time, and what it says may be wrong by now.",
    "upgrade": "It was there before the service was upgraded.",
    "restored": "The database was restored, and what of it has left since would be sent again.",
}


@dataclass(frozen=True)
class BatchFacts:
    """A batch as a page shows it. `creator`: who made it."""

    batch: Batch
    creator: Creator
    outlook: Outlook
    campaign_status: CampaignStatus

    @property
    def order(self) -> str:
        """Its place among others."""
        return order_of(self.batch)

    @property
    def delivered(self) -> int:
        """How many were delivered."""
        return self.batch.counts[MessageStatus.SUCCESS]

    @property
    def failed(self) -> int:
        """How many have failed."""
        return self.batch.counts[MessageStatus.FAILURE]

    @property
    def pending(self) -> int:
        """How many have no last status yet."""
        return self.batch.total_messages - self.delivered - self.failed

    @property
    def percent(self) -> int:
        """The share of those that have one, rounded down, so that 100 means all."""
        return (self.delivered + self.failed) * 100 // self.batch.total_messages

    @property
    def state(self) -> tuple[str, str]:
        """What it is doing, as a word and its kind."""
        batch = self.batch
        if batch.is_held:
            return "held", "yellow"
        if batch.ended_because == "stopped":
            return "stopped", "red"
        if not self.pending:
            return "finished", "green"
        if batch.taken_at is None:
            return "waiting", "grey"
        return "under way", "blue"

    @property
    def bar(self) -> list[Stretch]:
        """Delivered, pending and failed, side by side."""
        parts = [("green", self.delivered), ("grey", self.pending), ("red", self.failed)]
        return list(stretches(parts))

    @property
    def counts(self) -> list[tuple[str, int, str]]:
        """The statuses that some of its messages have: word, count and meaning."""
        return [
            (status.word, count, STATUS_MEANINGS[status])
            for status, count in self.batch.counts.items()
            if count
        ]

    @property
    def errors(self) -> list[tuple[str, int, ErrorMeaning]]:
        """Why some of its messages have failed: code, count, meaning; the commonest first."""
        found = sorted(self.batch.errors.items(), key=lambda each: -each[1])
        return [(code.value, count, ERROR_MEANINGS[code]) for code, count in found]

    @property
    def retryable(self) -> int:
        """How many have failed and may be tried again, those at their limit among them."""
        if self.campaign_status is CampaignStatus.DELETED:
            return 0
        return self.failed - self.batch.errors.get(ErrorCode.STOPPED, 0)

    @property
    def may_be_stopped(self) -> bool:
        """Whether some of it has not left, or waits to go again."""
        created, enqueued, sending, *_ = self.batch.by_rank
        unclaimed = 0 if self.batch.ended_at else self.batch.unclaimed
        return bool(unclaimed or created or enqueued or sending)

    @property
    def held_because(self) -> str:
        """Why it is held, in a sentence."""
        return _HELD.get(self.batch.held_because or "", "")

    @property
    def is_slow(self) -> bool:
        """Whether its last message can't leave within 24 hours of its acceptance."""
        return is_slow(self.batch, self.outlook)


async def fetch_facts(
    connection: Connection, batch: Batch, creator: Creator, campaign_status: CampaignStatus
) -> BatchFacts:
    """What is to be said of a batch now."""
    outlook = await fetch_outlook(connection, batch, now=datetime.now(UTC))
    if (end := outlook.expected_end_at) is not None:
        # Nobody knows it to the second, and a figure that changes each second is no news.
        end = end.replace(second=0, microsecond=0) + _MINUTE
        outlook = replace(outlook, expected_end_at=end)
    return BatchFacts(batch, creator, outlook, campaign_status)

"""The provider of the environment `loadtest`: it takes everything and sends nothing, and no news ever comes."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from messages.news import Receipt
from messages.statuses import MessageStatus
from sending.providers.provider import NO_LIMIT, Absent, HandOver, OpenAttempt, Outgoing, Taken


class LoadTest:
    """The `Provider` under which each message stays `sending`, which agencies see as pending."""

    @property
    def most_at_once(self) -> int:
        """As many as come."""
        return NO_LIMIT

    async def hand_over(self, message: Outgoing) -> HandOver:  # noqa: ARG002
        """Take it, and leave its status as it is."""
        return Taken("", MessageStatus.SENDING)

    async def look_up(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:  # noqa: ARG002
        """Nothing is known of any."""
        return []

    async def receipts(self) -> AsyncIterator[Receipt]:
        """None, ever: it waits until it is cancelled."""
        await asyncio.Event().wait()
        # Unreachable, but without a `yield` this would be no iterator.
        yield NotImplemented

    async def close(self) -> None:
        """Nothing is held."""

"""A provider that answers look-ups from a script: what stands at the far end of the protocol in tests of sweeps."""

from collections.abc import AsyncIterator, Sequence

from messages.news import AttemptKey, Receipt
from sending.providers.provider import NO_LIMIT, Absent, HandOver, OpenAttempt, Outgoing, Taken


class ScriptedProvider:
    """Knows of attempts what `knows` says, by their keys; `asked` has all that it was asked for."""

    most_at_once = NO_LIMIT

    def __init__(self, knows: dict[AttemptKey, Receipt | Absent] | None = None) -> None:
        self.knows = knows or {}
        self.asked: list[OpenAttempt] = []

    async def hand_over(self, message: Outgoing) -> HandOver:
        return Taken(f"SM{message.key.row_number}")

    async def look_up(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:
        self.asked.extend(attempts)
        return [self.knows[attempt.key] for attempt in attempts if attempt.key in self.knows]

    async def receipts(self) -> AsyncIterator[Receipt]:
        return
        yield

    async def close(self) -> None:
        pass

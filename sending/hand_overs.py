"""One sender's hand-overs in one process: those that have no answer yet, and the pauses that answers ask for.

A provider none of whose answers can be used would have a whole batch looked up, or burnt: after many in a row the sender pauses,
for longer each time, and then tries with one message alone.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

import asyncpg

from config.errors import ConfigError
from config.logs import describe_exception, get_logger
from database.connections import UNREACHABLE, Pool
from sending.outcomes import Outcomes
from sending.providers.provider import (
    AWAY,
    HandOver,
    Outgoing,
    Provider,
    PutBack,
    Refused,
    Taken,
    Unknown,
)
from sending.senders import SenderState, record_pause

logger = get_logger("sending")

# Unknown outcomes in a row after which the sender pauses, and for how many seconds at most.
MOST_UNKNOWN: Final = 25
_LONGEST_PAUSE: Final = 60.0
NO_USABLE_ANSWER: Final = "the provider gives no usable answer"
_TROUBLES: Final[tuple[type[BaseException], ...]] = (ConfigError, asyncpg.PostgresError, *UNREACHABLE)


class AnswerRun:
    """What a provider's last answers say of the provider: whether any could be used, and how long to wait before the next try."""

    def __init__(self) -> None:
        self._unknown = 0
        self._pauses = 0
        # Counts all pauses: what was handed over before the last one says nothing about the provider since then.
        self._generation = 0
        self._under_way = 0

    @property
    def in_trouble(self) -> bool:
        """Whether one message alone is to be tried next."""
        return self._unknown >= MOST_UNKNOWN

    @property
    def is_trying(self) -> bool:
        """Whether a message that was handed over since the last pause has no answer yet."""
        return self._under_way > 0

    def begin(self) -> int:
        """A hand-over begins. What it gives is handed back to `note`, which each of them needs."""
        self._under_way += 1
        return self._generation

    def note(self, answer: HandOver, begun_at: int) -> float | None:
        """Take note of an answer; for how many seconds the sender is to pause because of it, or None."""
        is_current = begun_at == self._generation
        if is_current:
            self._under_way -= 1
        match answer:
            case Taken() | Refused():
                self._unknown = self._pauses = 0
            case PutBack(pause=cause, counts=True) if cause == AWAY:
                # The sender pauses for it, and tries with one message afterwards, since each time counts.
                self._unknown = MOST_UNKNOWN
            case Unknown() if is_current:
                self._unknown += 1
                if self.in_trouble:
                    seconds = min(2.0 ** min(self._pauses, 10), _LONGEST_PAUSE)
                    self._pauses += 1
                    self._generation += 1
                    self._under_way = 0
                    return seconds
            case _:
                pass
        return None


class PausesAsked(NamedTuple):
    """How many pauses the provider has asked for, and whether the database knows all of them: of what was claimed before it knew,
    nothing leaves.
    """

    asked: int
    all_recorded: bool


class HandOvers:
    """Hands messages over, each in a task of its own. `withdraw` is called when nothing that is in hand may leave any more.

    `changed` is set whenever one has ended.
    """

    def __init__(
        self,
        state: SenderState,
        provider: Provider,
        *,
        pool: Pool,
        outcomes: Outcomes,
        withdraw: Callable[[], None],
    ) -> None:
        self.changed = asyncio.Event()
        self._sender_id = state.id
        self._name = state.name
        self._provider = provider
        self._pool = pool
        self._outcomes = outcomes
        self._withdraw = withdraw
        self._answers = AnswerRun()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pauses = self._unrecorded_pauses = 0

    @property
    def under_way(self) -> int:
        """How many have no answer yet."""
        return len(self._tasks)

    @property
    def is_full(self) -> bool:
        """Whether the provider takes no message more before it has answered one."""
        return len(self._tasks) >= self._provider.most_at_once

    @property
    def in_trouble(self) -> bool:
        """Whether the provider gave no usable answers of late, so that it is tried with one message at a time."""
        return self._answers.in_trouble

    @property
    def is_trying(self) -> bool:
        """Whether that one message has no answer yet."""
        return self._answers.is_trying

    def pauses(self) -> PausesAsked:
        """What a claim must find unchanged at its end."""
        return PausesAsked(self._pauses, self._unrecorded_pauses == 0)

    def begin(self, message: Outgoing) -> None:
        """Hand it over, without waiting for the answer."""
        task = asyncio.create_task(self._hand_over(message))
        self._tasks.add(task)
        task.add_done_callback(self._end)

    async def drain(self, seconds: float) -> None:
        """Wait for those under way, for so long at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def cancel(self) -> None:
        """End those under way. What ends here without an answer stays `sending`."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("hand_over_crashed", sender=self._name, **describe_exception(error))

    async def _hand_over(self, message: Outgoing) -> None:
        # Where the provider crashes, or the process stops waiting for it, the outcome isn't known.
        answer: HandOver = Unknown("crashed")
        begun_at = self._answers.begin()
        try:
            try:
                answer = await self._provider.hand_over(message)
            except Exception as error:  # noqa: BLE001 - an adapter's bug is an outcome that nobody knows
                logger.error("hand_over_crashed", sender=self._name, **describe_exception(error))  # noqa: TRY400
            seconds = self._answers.note(answer, begun_at)
            match answer:
                case PutBack(pause=cause, pause_seconds=asked, raw_code=raw_code) if cause:
                    await self._pause_sender(cause, asked, raw_code)
                case Refused(pause=cause, raw_code=raw_code) if cause:
                    await self._pause_sender(cause, None, raw_code)
                case Unknown(raw_code=raw_code) if seconds is not None:
                    await self._pause_sender(NO_USABLE_ANSWER, seconds, raw_code)
                case _:
                    pass
        finally:
            self._outcomes.add(message.key, answer)

    async def _pause_sender(self, cause: str, seconds: float | None, raw_code: str) -> None:
        """Let nothing more leave, here at once and on all nodes as soon as the database knows."""
        self._pauses += 1
        self._unrecorded_pauses += 1
        self._withdraw()
        try:
            async with self._pool.acquire() as connection:
                changed = await record_pause(connection, self._sender_id, cause, seconds)
        except _TROUBLES as error:
            logger.warning("pause_failed", sender=self._name, **describe_exception(error))
            return
        finally:
            self._unrecorded_pauses -= 1
        if changed:
            logger.warning(
                "sender_paused",
                sender=self._name,
                reason=cause,
                raw_code=raw_code,
                seconds=seconds,
            )

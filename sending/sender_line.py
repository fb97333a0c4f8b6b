"""One sender's line in one process: claims blocks, lets each message leave at its moment, and passes on what becomes of it.

A block goes out while the next is claimed; nothing is taken beyond that. What is claimed and can't leave any more, since the
process stops or the sender is paused, surely was not sent: it is put back.
"""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Final

import asyncpg

from config.errors import ConfigError
from config.fault_points import reach
from config.logs import describe_exception, get_logger
from database.clock import DatabaseClock
from database.connections import UNREACHABLE, Pool
from messages.statuses import ErrorCode
from sending.claims import claim_messages, reserve_time
from sending.composing import Composer
from sending.outcomes import Outcomes
from sending.pacing import (
    LEAD,
    PACE,
    STALE_SECONDS,
    Block,
    BlockSize,
    Head,
    head_again,
    late_seconds,
)
from sending.providers.provider import HandOver, Outgoing, Provider, PutBack, Refused, Unknown
from sending.senders import SenderState, fetch_senders, record_pause

logger = get_logger("sending")

# How many hand-overs may be under way: two seconds of the rate, within these bounds. Where a provider hangs, no more than these
# have an outcome that nobody knows.
_LEAST_UNDER_WAY, _MOST_UNDER_WAY, _SECONDS_UNDER_WAY = 64, 2000, 2.0
# Above so many outcomes that the database hasn't taken yet, nothing is claimed.
_MOST_KEPT: Final = 10_000
_TROUBLES: Final[tuple[type[BaseException], ...]] = (ConfigError, asyncpg.PostgresError, *UNREACHABLE)
# Seconds between questions while a sender is paused, after trouble, and of the longest sleep of a message before its moment.
_POLL, _RETRY, _NAP = 1.0, 0.5, 0.25
# Sooner than this no timer wakes.
_TICK: Final = 0.001


class SenderLine:
    """Sends one sender's messages in this process. `wake` says that something may wait."""

    def __init__(
        self,
        state: SenderState,
        provider: Provider,
        *,
        pool: Pool,
        outcomes: Outcomes,
        composer: Composer,
        clock: DatabaseClock,
        stale_after: timedelta,
    ) -> None:
        self.sender_id = state.id
        self.provider = provider
        self.wake = asyncio.Event()
        self._name = state.name
        self._rate = state.rate
        self._pool = pool
        self._outcomes = outcomes
        self._composer = composer
        self._clock = clock
        self._stale_after = stale_after
        self._head = Head()
        self._block_size = BlockSize()
        # Held by who reserves time: so it is known what this line has reserved.
        self._reserving = asyncio.Lock()
        self._stopping = asyncio.Event()
        # How often the provider has asked for a pause, and how many of them the database doesn't know yet: what was claimed
        # before it knew doesn't leave.
        self._pauses = self._unrecorded_pauses = 0
        self._going_out: Block | None = None
        self._next: Block | None = None
        self._next_changed = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._slot_free = asyncio.Event()

    @property
    def _lead(self) -> timedelta:
        return LEAD + timedelta(seconds=self._head.seconds)

    def adopt(self, state: SenderState) -> None:
        """Take note of the sender's rate, and wake where something waits."""
        self._rate = state.rate
        if state.has_waiting:
            self.wake.set()

    def stop(self) -> None:
        """Claim nothing more, and put back what hasn't left."""
        self._stopping.set()
        self.wake.set()
        self._slot_free.set()
        self._next_changed.set()

    async def run(self, *, drain_seconds: float) -> None:
        """Send until `stop`; then wait for the hand-overs under way, for `drain_seconds` at most. Closes the provider."""
        listening = asyncio.create_task(self._listen_for_receipts(), name=f"receipts of {self._name}")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._claim_blocks(), name=f"claims of {self._name}")
                tasks.create_task(self._send_blocks(), name=f"blocks of {self._name}")
            if self._next is not None:
                # Its claim was still under way at the stop.
                self._put_back(self._next)
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=drain_seconds)
        finally:
            # A hand-over that ends here without an answer stays `sending`.
            for task in (listening, *self._under_way):
                task.cancel()
            await asyncio.wait([listening, *self._under_way])
            await self.provider.close()

    async def _listen_for_receipts(self) -> None:
        while True:
            try:
                async for receipt in self.provider.receipts():
                    self._outcomes.add_receipt(receipt)
            except Exception as error:  # noqa: BLE001 - a bug of the provider must not end its news for good
                logger.error("receipts_crashed", sender=self._name, **describe_exception(error))  # noqa: TRY400
            await asyncio.sleep(_RETRY)

    # Claims.

    async def _claim_blocks(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._wait_for_room()
                if self._stopping.is_set():
                    break
                claimed = await self._claim_block()
            except _TROUBLES as error:
                logger.warning("claim_failed", sender=self._name, **describe_exception(error))
                await self._pause_claims(_RETRY)
            else:
                if not claimed:
                    await self._wait_for_work()
        self._next_changed.set()

    async def _wait_for_room(self) -> None:
        """Until the block claimed last goes out, and hand-overs are few enough for one more block."""
        most = min(max(_LEAST_UNDER_WAY, self._rate * _SECONDS_UNDER_WAY), _MOST_UNDER_WAY)
        while not self._stopping.is_set() and (
            self._next is not None
            or self._is_full
            or self._in_hand + self._block > max(most, self._block)
            or self._outcomes.kept > _MOST_KEPT
        ):
            self._slot_free.clear()
            await _wait(self._slot_free, _POLL)

    @property
    def _block(self) -> int:
        """How many segments are claimed at once: no more than the provider takes at once, so that they leave in time."""
        return min(self._block_size.segments(self._rate), self.provider.most_at_once)

    @property
    def _is_full(self) -> bool:
        """Whether the provider takes no message more before it has answered one."""
        return len(self._under_way) >= self.provider.most_at_once

    @property
    def _in_hand(self) -> int:
        """How many messages have no answer yet, or have still to leave."""
        going_out = self._going_out
        return len(self._under_way) + (0 if going_out is None else len(going_out.messages))

    async def _claim_block(self) -> bool:
        """Claim a block and let it go out; False where there was none."""
        loop = asyncio.get_running_loop()
        async with self._reserving, self._pool.acquire() as connection:
            asked_at = loop.time()
            pauses, unrecorded = self._pauses, self._unrecorded_pauses
            claim = await claim_messages(
                connection,
                self.sender_id,
                segments=self._block,
                lead=self._lead,
                head=self._head.seconds,
                stale_after=self._stale_after,
            )
            answered_at = loop.time()
            if claim.now is None:
                return False
            reach("sending.claimed")
            self._clock.note(claim.now, asked_at=asked_at, answered_at=answered_at)
            try:
                texts = await self._composer.compose(connection, [each.parts for each in claim.messages])
            except BaseException:
                # Whatever keeps them from being written, they surely were not sent.
                for message in claim.messages:
                    self._outcomes.add(message.key, PutBack())
                raise
            leaving: deque[tuple[float, Outgoing]] = deque()
            for message in claim.messages:
                if (text := texts.get(message.key)) is None:
                    self._outcomes.add(message.key, Refused(ErrorCode.SERVER_UNKNOWN_ERROR, "text"))
                else:
                    leaving.append((message.leaves_at, message.outgoing(text)))
            last = claim.messages[-1]
            self._next = Block(
                leaving,
                answered_at,
                last.leaves_at + last.segments / (self._rate * PACE),
                withdrawn=self._pauses != pauses or unrecorded > 0,
                awaited=self._going_out is None,
            )
            self._next_changed.set()
        await self._pause_claims(
            self._clock.local(last.leaves_at + last.segments / self._rate)
            - LEAD.total_seconds()
            - loop.time()
        )
        return True

    async def _wait_for_work(self) -> None:
        """After an empty claim: until the sender's time is near, or its pause is over, or something may wait."""
        self.wake.clear()
        loop = asyncio.get_running_loop()
        try:
            async with self._pool.acquire() as connection:
                asked_at = loop.time()
                found = await fetch_senders(connection, self.sender_id)
        except _TROUBLES as error:
            logger.warning("claim_failed", sender=self._name, **describe_exception(error))
            await self._pause_claims(_RETRY)
            return
        if not found:
            await self._pause_claims(_POLL)
            return
        state = found[0]
        self._clock.note(state.now, asked_at=asked_at, answered_at=loop.time())
        if state.is_paused:
            left = _POLL if state.paused_until is None else state.paused_until - state.now
            await self._pause_claims(min(left, _POLL))
        elif state.has_waiting:
            # Others have reserved what is near.
            await self._pause_claims(
                min(max(state.next_at - state.now - self._lead.total_seconds(), _TICK), _POLL)
            )
        else:
            await self.wake.wait()

    async def _pause_claims(self, seconds: float) -> None:
        if seconds > 0:
            await _wait(self._stopping, seconds)

    # Blocks on their way out.

    async def _send_blocks(self) -> None:
        while True:
            while self._next is None:
                if self._stopping.is_set():
                    return
                self._next_changed.clear()
                await _wait(self._next_changed, _POLL)
            self._going_out, self._next = self._next, None
            self._slot_free.set()
            began, size = asyncio.get_running_loop().time(), self._going_out.segments
            await self._send_block(self._going_out)
            self._block_size.note(size, asyncio.get_running_loop().time() - began)
            self._head.note_block()
            self._going_out = None

    async def _send_block(self, block: Block) -> None:
        loop = asyncio.get_running_loop()
        while block.messages:
            if block.withdrawn or self._stopping.is_set():
                self._put_back(block)
                return
            wait = self._clock.local(block.begins_at) - loop.time()
            if wait > _TICK / 2:
                await asyncio.sleep(min(wait, _NAP))
            elif self._is_full:
                # It waits here, where it can be put back, and then leaves at a moment of its own.
                block.withdrawn, block.awaited = -wait > STALE_SECONDS, False
                self._slot_free.clear()
                await _wait(self._slot_free, _NAP)
            elif wait < -late_seconds(self._rate):
                await self._move_on(block, late=-wait)
            else:
                _, message = block.messages.popleft()
                block.moves, block.awaited = 0, False
                self._begin_hand_over(message)
                # Where many leave at once, those already under way get their turn.
                await asyncio.sleep(0)

    async def _move_on(self, block: Block, *, late: float) -> None:
        """Reserve the time of what is left of a late block anew, or put it back where nobody knows what happened meanwhile.

        The block after it moves with it where its time follows at once. So a process that can't keep up with the rate goes on
        at once, and doesn't wait for the end of what it had reserved.
        """
        loop = asyncio.get_running_loop()
        if late > STALE_SECONDS:
            block.withdrawn = True
            return
        if block.awaited:
            self._head.note_late(late)
        try:
            async with self._reserving, self._pool.acquire() as connection:
                moved = [block]
                following = self._next
                if (
                    following is not None
                    and following.messages
                    and following.begins_at < block.ends_at + _TICK
                ):
                    moved.append(following)
                asked_at = loop.time()
                begin_at, now = await reserve_time(
                    connection,
                    self.sender_id,
                    sum(each.segments for each in moved),
                    head=head_again(block.moves),
                    own_end=moved[-1].ends_at,
                )
                self._clock.note(now, asked_at=asked_at, answered_at=loop.time())
                block.moves += 1
                for each in moved:
                    begin_at = each.begin_at(begin_at, self._rate * PACE)
        except _TROUBLES:
            block.withdrawn = True
        else:
            if loop.time() - block.claimed_at > STALE_SECONDS:
                block.withdrawn = True

    def _put_back(self, block: Block) -> None:
        while block.messages:
            _, message = block.messages.popleft()
            self._outcomes.add(message.key, PutBack(delay=0.0))

    def _begin_hand_over(self, message: Outgoing) -> None:
        task = asyncio.create_task(self._hand_over(message))
        self._under_way.add(task)
        task.add_done_callback(self._end_hand_over)

    def _end_hand_over(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._slot_free.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("hand_over_crashed", sender=self._name, **describe_exception(error))

    async def _hand_over(self, message: Outgoing) -> None:
        # Where the provider crashes, or the process stops waiting for it, the outcome isn't known.
        answer: HandOver = Unknown("crashed")
        try:
            answer = await self.provider.hand_over(message)
            match answer:
                case PutBack(pause=cause, pause_seconds=seconds, raw_code=raw_code) if cause:
                    await self._pause_sender(cause, seconds, raw_code)
                case Refused(pause=cause, raw_code=raw_code) if cause:
                    await self._pause_sender(cause, None, raw_code)
                case _:
                    pass
        finally:
            self._outcomes.add(message.key, answer)

    async def _pause_sender(self, cause: str, seconds: float | None, raw_code: str) -> None:
        """Let nothing more leave, here at once and on all nodes as soon as the database knows."""
        self._pauses += 1
        self._unrecorded_pauses += 1
        for block in (self._going_out, self._next):
            if block is not None:
                block.withdrawn = True
        try:
            async with self._pool.acquire() as connection:
                changed = await record_pause(connection, self.sender_id, cause, seconds)
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


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass

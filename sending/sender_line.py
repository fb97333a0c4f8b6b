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
from database.connections import UNREACHABLE, Connection, Pool
from messages.statuses import ErrorCode
from sending.claims import Claim, claim_messages, reserve_time
from sending.composing import Composer
from sending.hand_overs import HandOvers, PausesAsked
from sending.outcomes import Outcomes
from sending.pacing import (
    LEAD,
    LEAVE_SECONDS,
    PACE,
    STALE_SECONDS,
    Block,
    BlockSize,
    Head,
    head_again,
    late_seconds,
)
from sending.providers.provider import Outgoing, Provider, PutBack, Refused
from sending.senders import SenderState, fetch_senders
from sending.upkeep.restored import DatabaseGuard

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
        guard: DatabaseGuard,
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
        self._guard = guard
        self._stale_after = stale_after
        self._head = Head()
        self._block_size = BlockSize()
        # Held by who reserves time: so it is known what this line has reserved.
        self._reserving = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._hand_overs = HandOvers(state, provider, pool=pool, outcomes=outcomes, withdraw=self._withdraw)
        self._going_out: Block | None = None
        self._next: Block | None = None
        self._next_changed = asyncio.Event()

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
        self._hand_overs.changed.set()
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
            await self._hand_overs.drain(drain_seconds)
        finally:
            listening.cancel()
            await asyncio.wait([listening])
            await self._hand_overs.cancel()
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
        while not self._stopping.is_set() and not self._has_room():
            self._hand_overs.changed.clear()
            await _wait(self._hand_overs.changed, _POLL)

    def _has_room(self) -> bool:
        if self._next is not None or self._hand_overs.is_full or self._outcomes.kept > _MOST_KEPT:
            return False
        going_out = 0 if self._going_out is None else len(self._going_out.messages)
        if self._hand_overs.in_trouble:
            return not (going_out or self._hand_overs.is_trying)
        most = min(max(_LEAST_UNDER_WAY, self._rate * _SECONDS_UNDER_WAY), _MOST_UNDER_WAY)
        return self._hand_overs.under_way + going_out + self._block <= max(most, self._block)

    @property
    def _block(self) -> int:
        """How many segments are claimed at once: no more than the provider takes at once, so that they leave in time."""
        if self._hand_overs.in_trouble:
            return 1
        return min(self._block_size.segments(self._rate), self.provider.most_at_once)

    async def _claim_block(self) -> bool:
        """Claim a block and let it go out; False where there was none."""
        loop = asyncio.get_running_loop()
        async with self._reserving, self._pool.acquire() as connection:
            asked_at = loop.time()
            pauses = self._hand_overs.pauses()
            claim = await claim_messages(
                connection,
                self.sender_id,
                segments=self._block,
                lead=self._lead,
                head=self._head.seconds,
                stale_after=self._stale_after,
            )
            answered_at = loop.time()
            if claim.now is None or claim.database is None:
                return False
            reach("sending.claimed")
            is_known = self._guard.knows(claim.database)
            if is_known:
                self._clock.note(claim.now, asked_at=asked_at, answered_at=answered_at)
                await self._compose_block(connection, claim, answered_at, pauses)
        if not is_known:
            # It may be a restored database, of which these have left already, and whose batches are others of the same numbers.
            for message in claim.messages:
                self._outcomes.add(message.key, PutBack(delay=0.0))
            self._composer.forget()
            await self._guard.meet(claim.database, self._stopping)
            return True
        last = claim.messages[-1]
        await self._pause_claims(
            self._clock.local(last.leaves_at + last.segments / self._rate)
            - LEAD.total_seconds()
            - loop.time()
        )
        return True

    async def _compose_block(
        self, connection: Connection, claim: Claim, answered_at: float, pauses: PausesAsked
    ) -> None:
        """Let what was claimed go out next; what can't be composed fails."""
        assert claim.now is not None  # noqa: S101 - something was claimed
        try:
            texts = await self._composer.compose(connection, [each.parts for each in claim.messages])
        except BaseException:
            # Whatever keeps them from being written, they surely were not sent.
            for message in claim.messages:
                self._outcomes.add(message.key, PutBack())
            raise
        leave_by = self._clock.local(claim.now) + LEAVE_SECONDS
        leaving: deque[tuple[float, Outgoing]] = deque()
        for message in claim.messages:
            if (text := texts.get(message.key)) is None:
                self._outcomes.add(message.key, Refused(ErrorCode.SERVER_UNKNOWN_ERROR, "text"))
            else:
                leaving.append((message.leaves_at, message.outgoing(text, leave_by)))
        last = claim.messages[-1]
        self._next = Block(
            leaving,
            answered_at,
            last.leaves_at + last.segments / (self._rate * PACE),
            withdrawn=not pauses.all_recorded or self._hand_overs.pauses() != pauses,
            awaited=self._going_out is None,
        )
        self._next_changed.set()

    async def _wait_for_work(self) -> None:
        """After an empty claim: until the sender's time is near, or its pause is over, or something may wait."""
        self.wake.clear()
        if self._stopping.is_set():
            # It came during the claim, and so did its wake.
            return
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
            self._hand_overs.changed.set()
            began, size = asyncio.get_running_loop().time(), self._going_out.segments
            await self._send_block(self._going_out)
            self._block_size.note(size, asyncio.get_running_loop().time() - began)
            self._head.note_block()
            self._going_out = None
            self._hand_overs.changed.set()

    async def _send_block(self, block: Block) -> None:
        loop = asyncio.get_running_loop()
        while block.messages:
            if block.withdrawn or self._stopping.is_set():
                self._put_back(block)
                return
            wait = self._clock.local(block.begins_at) - loop.time()
            if wait > _TICK / 2:
                await asyncio.sleep(min(wait, _NAP))
            elif self._hand_overs.is_full:
                # It waits here, where it can be put back, and then leaves at a moment of its own.
                block.withdrawn, block.awaited = -wait > STALE_SECONDS, False
                self._hand_overs.changed.clear()
                await _wait(self._hand_overs.changed, _NAP)
            elif wait < -late_seconds(self._rate):
                await self._move_on(block, late=-wait)
            elif block.messages[0][1].leave_by < loop.time():
                block.withdrawn = True
            else:
                _, message = block.messages.popleft()
                block.moves, block.awaited = 0, False
                self._hand_overs.begin(message)
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

    def _withdraw(self) -> None:
        """Nothing of what is in hand leaves any more."""
        for block in (self._going_out, self._next):
            if block is not None:
                block.withdrawn = True


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass

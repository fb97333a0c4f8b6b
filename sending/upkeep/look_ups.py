"""Providers are asked what became of attempts: of those whose outcome isn't known, and of those that had no news for long.

An attempt to be looked up stands in the table `due`; a look-up moves its time on before the provider is asked, so that nodes
never ask for the same one. What nobody has told news of is found by looking through the batches that are not finished.
"""

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, TypeAlias

import asyncpg

from config.logs import describe_exception, get_logger
from config.sending_sections import SendingSettings
from database.connections import Connection, Pool
from database.queries import NamedQueries
from messages.attempts import Recorded, in_transaction, record_news
from messages.news import Answer, AttemptKey, Ending, News
from messages.statuses import ErrorCode, MessageStatus
from sending.composing import Composer, TextParts
from sending.metrics import OUTCOMES_UNKNOWN, count_recorded
from sending.providers.provider import Absent, OpenAttempt, Provider
from sending.senders import pause_suspended

SQL: Final = NamedQueries("sending.upkeep", "look_ups.sql")
# The provider of a sender, by the sender's id; None where there is none, or it can't be opened now.
ProviderOf: TypeAlias = Callable[[int], Awaitable[Provider | None]]

# How many attempts are looked up, polled or recorded at once.
_LOOK_UPS: Final = 500
_POLLS: Final = 20_000
_RECORDED: Final = 2_000
# Seconds between two look-ups of an attempt, however the settings are ordered.
_SHORTEST_WAIT: Final = 1.0
# How often a silent attempt is polled: until it has been silent for so long, in steps of so much.
_POLL_STEPS: Final = (
    (timedelta(hours=1), timedelta(microseconds=1)),
    (timedelta(hours=6), timedelta(minutes=10)),
)
_LONGEST_STEP: Final = timedelta(hours=1)
# A look-up may come a little before its time, as the clocks of nodes and database differ.
_EARLY: Final = 0.95
# Batches are looked through in such numbers, small ones together. The larger one is, the less often.
_BATCHES: Final = 500
_SMALL: Final = 100
_PAGE: Final = 5_000
_ROWS_PER_INTERVAL: Final = 50_000

logger = get_logger("sending")


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long, in seconds, news is waited for: what the settings say."""

    look_ups: tuple[float, ...]
    unknown: timedelta
    silent: timedelta
    polled: timedelta
    every: float

    @classmethod
    def of(cls, settings: SendingSettings) -> "Patience":
        """What these settings say. `every`: between two looks through a small batch."""
        return cls(
            tuple(settings.look_up_after),
            timedelta(seconds=settings.unknown_after),
            timedelta(seconds=settings.expire_after),
            timedelta(seconds=settings.twilio.poll_after),
            min(settings.twilio.poll_every, settings.sweep_every),
        )

    @property
    def waits(self) -> list[float]:
        """Seconds from each look-up to the next; the last of them again and again, until the attempt expires."""
        gaps = (after - before for before, after in pairwise(self.look_ups))
        return [*(max(gap, _SHORTEST_WAIT) for gap in gaps), self.look_ups[-1]]


class LookUps:
    """One process's look-ups and polls. Other processes and nodes do the same at the same time."""

    def __init__(
        self,
        pool: Pool,
        settings: SendingSettings,
        provider_of: ProviderOf,
        composer: Composer | None = None,
    ) -> None:
        self._pool = pool
        self._patience = Patience.of(settings)
        self._provider_of = provider_of
        self._composer = composer or Composer()

    async def look_up_due(self, now: datetime) -> int:
        """Look up the attempts whose outcome isn't known and whose time has come; returns how many were asked for."""
        asked = 0
        while True:
            async with self._by_keys() as connection:
                rows = await connection.fetch(SQL["take_look_ups"], now, self._patience.waits, _LOOK_UPS)
                over = [_key(row) for row in rows if row["is_over"]]
                batch_nos, row_numbers = {key.batch_no for key in over}, {key.row_number for key in over}
                await connection.execute(
                    SQL["drop_look_ups"], *_columns_of(over), list(batch_nos), list(row_numbers)
                )
                waiting = [row for row in rows if not row["is_over"]]
                by_sender = await self._open_attempts(connection, waiting)
            unprovable = {_key(row) for row in waiting if row["is_foreign_account"]}
            for sender_id, attempts in by_sender.items():
                await self._ask(sender_id, attempts, now, unprovable)
            asked += len(waiting)
            if len(rows) < _LOOK_UPS:
                return asked

    async def _open_attempts(
        self, connection: Connection, rows: Sequence[asyncpg.Record]
    ) -> dict[int, list[OpenAttempt]]:
        parts = [TextParts(_key(row), row["language"], row["values"]) for row in rows]
        texts = await self._composer.compose(connection, parts)
        by_sender = defaultdict(list)
        for row in rows:
            key = _key(row)
            # A text that can't be written keeps none of the others from being looked up.
            if (text := texts.get(key)) is not None:
                by_sender[row["sender_id"]].append(
                    OpenAttempt(key, row["recipient"], text, row["provider_id"] or "", row["updated_at"])
                )
        return by_sender

    async def look_through(self, now: datetime) -> int:
        """Find what had no news for too long: look-ups begin, silent ones are polled, and those given up on have expired.

        Returns how many batches were looked through.
        """
        looked = 0
        while True:
            async with self._pool.acquire() as connection:
                batches = await connection.fetch(
                    SQL["take_batches"],
                    now,
                    min(self._patience.look_ups[0], self._patience.polled.total_seconds()),
                    self._patience.every,
                    _ROWS_PER_INTERVAL,
                    _BATCHES,
                )
            before = {row["batch_no"]: row["looked_before"] for row in batches}
            small = [row["batch_no"] for row in batches if row["total_messages"] <= _SMALL]
            groups = [small, *([row["batch_no"]] for row in batches if row["total_messages"] > _SMALL)]
            for group in groups:
                if group:
                    await self._look_through(group, before, now)
            looked += len(batches)
            if len(batches) < _BATCHES:
                return looked

    async def _look_through(
        self, batch_nos: Sequence[int], looked_before: Mapping[int, datetime | None], now: datetime
    ) -> None:
        silent: defaultdict[int, list[OpenAttempt]] = defaultdict(list)
        after_row = 0
        while True:
            async with self._by_keys() as connection:
                rows = await connection.fetch(
                    SQL["fetch_without_news"],
                    batch_nos,
                    after_row,
                    now - timedelta(seconds=self._patience.look_ups[0]),
                    now - self._patience.polled,
                    _PAGE,
                )
            overdue = [news for row in rows if (news := self._overdue(row, now)) is not None]
            OUTCOMES_UNKNOWN.inc(sum(isinstance(news, Answer) for news in overdue))
            await self._record(overdue, now)
            for row in rows:
                silence = now - row["updated_at"]
                last = looked_before[row["batch_no"]]
                if (
                    _has_id_to_poll(row)
                    and silence < self._patience.silent
                    and is_poll_due(silence, None if last is None else now - last)
                ):
                    open_attempt = OpenAttempt(
                        _key(row), row["recipient"], "", row["provider_id"], row["handed_over_at"]
                    )
                    silent[row["sender_id"]].append(open_attempt)
            for sender_id, attempts in silent.items():
                if len(attempts) >= _POLLS:
                    await self._ask(sender_id, attempts, now)
                    attempts.clear()
            if len(batch_nos) > 1 or len(rows) < _PAGE:
                break
            after_row = rows[-1]["row_number"]
        for sender_id, attempts in silent.items():
            await self._ask(sender_id, attempts, now)
        async with self._by_keys() as connection:
            await connection.execute(SQL["finish_foreign"], batch_nos, now)

    @contextlib.asynccontextmanager
    async def _by_keys(self) -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(SQL["plan_by_keys"])
            yield connection

    def _overdue(self, row: asyncpg.Record, now: datetime) -> News | None:
        """What time alone makes of an attempt without news."""
        key, status, since = _key(row), MessageStatus(row["status"]), row["updated_at"]
        unknown = status is MessageStatus.SENDING
        if now - since >= (self._patience.unknown if unknown else self._patience.silent):
            if status is MessageStatus.SENT_TO_TELCO and row["is_foreign"]:
                return None
            return Ending(
                key, ErrorCode.MESSAGE_EXPIRED, {status}, since, expired=True, may_have_arrived=True
            )
        if unknown and not row["is_due"]:
            # Whoever handed it over has died, or has lost its answer.
            return Answer(key, status, raw_code="no answer", due_at=now)
        return None

    async def _ask(
        self,
        sender_id: int,
        attempts: Sequence[OpenAttempt],
        now: datetime,
        unprovable: Set[AttemptKey] = frozenset(),
    ) -> None:
        """Ask the sender's provider, and record what it tells. That it has none of `unprovable` proves nothing."""
        if not attempts:
            return
        try:
            provider = await self._provider_of(sender_id)
            found = [] if provider is None else await provider.look_up(attempts)
        except Exception as error:  # noqa: BLE001 - an adapter's bug must not keep the others from being looked up
            logger.warning("look_up_failed", sender=sender_id, **describe_exception(error))
            return
        handed_over_at = {attempt.key: attempt.handed_over_at for attempt in attempts}
        # What isn't there yet may still come, until the last look-up.
        proved = now - timedelta(seconds=self._patience.look_ups[-1] * _EARLY)
        news: list[News] = []
        for piece in found:
            since = handed_over_at.get(piece.key, now)
            if not isinstance(piece, Absent):
                news.append(piece)
            elif since <= proved and piece.key not in unprovable:
                news.append(Ending(piece.key, ErrorCode.SERVER_UNKNOWN_ERROR, {MessageStatus.SENDING}, since))
        await self._record(news, now)

    async def _record(self, news: Sequence[News], now: datetime) -> None:
        for begin in range(0, len(news), _RECORDED):
            await record_apart(self._pool, news[begin : begin + _RECORDED], now)
        async with self._pool.acquire() as connection:
            await pause_suspended(connection, news)


async def record_apart(pool: Pool, news: Sequence[News], now: datetime) -> Recorded:
    """Record news in a transaction of its own, and count it."""
    async with pool.acquire() as connection:
        recorded = await in_transaction(connection, lambda: record_news(connection, news, now=now))
    count_recorded(recorded)
    return recorded


def is_poll_due(silence: timedelta, since_last_look: timedelta | None) -> bool:
    """Whether what has been silent for so long is polled now: at each look at first, then ever less often.

    Some operators never send receipts: the provider would be asked for their messages ten thousand times in 80 hours.
    """
    if since_last_look is None:
        return True
    for until, step in _POLL_STEPS:
        if silence < until:
            return silence // step > (silence - since_last_look) // step
    return silence // _LONGEST_STEP > (silence - since_last_look) // _LONGEST_STEP


def _has_id_to_poll(row: asyncpg.Record) -> bool:
    status = MessageStatus(row["status"])
    told = status is MessageStatus.SENT_TO_TELCO and row["is_foreign"]
    return status is not MessageStatus.SENDING and not told and bool(row["provider_id"])


def _key(row: asyncpg.Record) -> AttemptKey:
    return AttemptKey(row["batch_no"], row["row_number"], row["attempt"])


def _columns_of(keys: Sequence[AttemptKey]) -> tuple[list[int], list[int], list[int]]:
    return (
        [key.batch_no for key in keys],
        [key.row_number for key in keys],
        [key.attempt for key in keys],
    )

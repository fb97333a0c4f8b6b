"""A year of made-up traffic, and a plain ledger of it, from which anybody can count what is charged.

The rules and prices stand here once more, written down from 10-billing.md and not taken from the program. Whatever happens has
its time; the database sees it in that order, half a day at once.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from database.connections import Connection
from messages.attempts import record_news
from messages.news import Answer, AttemptKey, Ending, News, Receipt
from messages.statuses import ErrorCode, MessageStatus
from tests.messages.builders import MadeBatch, add_attempt, make_batch

_, _, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
SINGAPORE: Final = timedelta(hours=8)
# Long before any day on which this may run. The billing period 2023: February 2023 to January 2024.
STARTS: Final = date(2023, 1, 1)
MONTHS: Final = [date(2023, month, 1) for month in range(2, 13)] + [date(2024, 1, 1)]
# By the day of sending: mills a segment to local numbers, to others.
PRICES: Final = {date(2023, 1, 1): (46, 230), date(2023, 8, 15): (50, 260)}
CHARGED: Final = {
    "success", "recipient_invalid", "recipient_unavailable", "content_invalid", "routing_error", "message_expired",
}  # fmt: skip
_REFUSALS: Final = (
    ErrorCode.RECIPIENT_INVALID, ErrorCode.CONTENT_INVALID, ErrorCode.ROUTING_ERROR, ErrorCode.SERVER_UNKNOWN_ERROR,
)  # fmt: skip
_FAILURES: Final = (
    ErrorCode.RECIPIENT_UNAVAILABLE,
    ErrorCode.MESSAGE_EXPIRED,
    ErrorCode.DELIVERY_UNKNOWN_ERROR,
)
_NUMBERS: Final = ("6591234567", "6581234567", "6531580000", "447911123456", "60123456789", "8613812345678")


_BEGIN: Final = datetime(2023, 1, 1, 4, tzinfo=UTC)
_HALF_DAY: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose bill a campaign is on, as the test says it."""

    campaign_id: str
    agency: str
    is_public: bool = True


@dataclass(slots=True)
class Entry:
    """An attempt in the ledger. `outcomes`: what it had from when on; `own`: we gave it up. Times are aware UTC."""

    payer: Payer
    is_local: bool
    segments: int
    # Of the sending, else of the claim.
    counted_at: datetime
    outcomes: list[tuple[datetime, str, bool]] = field(default_factory=list)

    @property
    def day(self) -> date:
        return (self.counted_at + SINGAPORE).date()

    @property
    def month(self) -> date:
        return self.day.replace(day=1)

    def mills(self, now: datetime) -> int:
        """What it costs, as is known at that moment, or was when its month was posted."""
        return self.segments * self.price if self.is_charged(now) else 0

    @property
    def price(self) -> int:
        local, foreign = [price for begin, price in PRICES.items() if begin <= self.day][-1]
        return local if self.is_local else foreign

    def is_charged(self, now: datetime) -> bool:
        known = [one for one in self.outcomes if one[0] < min(now, posted_at(self.month))]
        if not known or not self.payer.is_public:
            return False
        _, outcome, own = known[-1]
        return (outcome in CHARGED and not own) or (outcome == "sent_to_telco" and not self.is_local)


def posted_at(month: date) -> datetime:
    """The 5th of the next month, 00:00 in Singapore."""
    following = (month + timedelta(days=31)).replace(day=5)
    return datetime(following.year, following.month, following.day, tzinfo=UTC) - SINGAPORE


@dataclass(frozen=True, slots=True)
class Count:
    """Attempts charged, their segments, and mills: local ones and others."""

    messages: tuple[int, int]
    segments: tuple[int, int]
    mills: tuple[int, int]


def count(entries: Iterable[Entry], now: datetime) -> Count:
    """What these cost, as is known at that moment."""
    messages, segments, mills = [0, 0], [0, 0], [0, 0]
    for entry in entries:
        if entry.is_charged(now):
            place = 0 if entry.is_local else 1
            messages[place] += 1
            segments[place] += entry.segments
            mills[place] += entry.mills(now)
    return Count((messages[0], messages[1]), (segments[0], segments[1]), (mills[0], mills[1]))


@dataclass(frozen=True, slots=True)
class _Retry:
    at: datetime
    batch: MadeBatch
    key: AttemptKey


class MadeUpYear:
    """Traffic that has been thought out, and goes into the database as its time passes."""

    def __init__(self, connection: Connection, seed: int) -> None:
        self.ledger: list[Entry] = []
        self._connection = connection
        self._choice = random.Random(seed)
        self._news: dict[int, list[tuple[datetime, News]]] = defaultdict(list)
        self._retries: dict[int, list[_Retry]] = defaultdict(list)
        self._next = 0
        # After all that was thought out.
        self.end = _BEGIN

    async def add_batch(self, payer: Payer, at: datetime, rows: int) -> None:
        """A batch that is claimed at that time, each of its messages with a fate of its own. Add all before time passes."""
        choice = self._choice
        batch = await make_batch(self._connection, payer.campaign_id, [SENDING] * rows, at=at)
        numbers = [choice.choice(_NUMBERS) for _ in range(rows)]
        segments = [choice.choice((1, 1, 1, 2, 3, 7)) for _ in range(rows)]
        await self._connection.execute(
            "update messages m set recipient = n.recipient, segments = n.segments, encoding = n.encoding"
            " from unnest($2::text[], $3::integer[], $4::text[]) with ordinality n (recipient, segments, encoding, place)"
            " where m.batch_no = $1 and m.row_number = n.place + 1",
            batch.batch_no,
            numbers,
            segments,
            [choice.choice(("GSM-7", "UCS-2")) for _ in range(rows)],
        )
        for place in range(rows):
            is_local = numbers[place].startswith("65")
            self._think_out(payer, batch, batch.key(place + 2), is_local, segments[place], at)

    def _think_out(
        self,
        payer: Payer,
        batch: MadeBatch,
        key: AttemptKey,
        is_local: bool,
        segments: int,
        claimed: datetime,
    ) -> None:
        choice = self._choice
        entry = Entry(payer, is_local, segments, claimed)
        self.ledger.append(entry)
        soon = claimed + timedelta(milliseconds=choice.choice((0, 500, 1500)))
        fate = choice.choices(
            ("delivered", "refused", "failed", "telco", "known later", "silent", "late"),
            (50, 8, 12, 8, 8, 6, 6),
        )[0]
        if fate == "refused":
            error = choice.choice(_REFUSALS)
            self._tell(entry, soon, Answer(key, FAILURE, error, at=soon), error)
            if error is ErrorCode.SERVER_UNKNOWN_ERROR:
                self._retry(entry, batch, key, soon)
            return
        entry.counted_at = soon
        self._news_at(soon, Answer(key, SENT, at=soon))
        later = soon + timedelta(hours=choice.uniform(0.01, 70))
        match fate:
            case "delivered":
                self._tell(entry, later, Receipt(key, SUCCESS, at=later))
            case "failed":
                error = choice.choice(_FAILURES)
                self._tell(entry, later, Receipt(key, FAILURE, error, at=later), error)
                self._retry(entry, batch, key, later)
            case "telco" | "known later":
                self._tell(entry, later, Receipt(key, SENT_TO_TELCO, at=later))
                if fate == "known later":
                    # Within the month's open time, or long after it was posted.
                    known = later + timedelta(days=choice.choice((1, 3, 40)))
                    if choice.random() < 0.5:
                        self._tell(entry, known, Receipt(key, SUCCESS, at=known))
                    else:
                        error = choice.choice(_FAILURES)
                        self._tell(entry, known, Receipt(key, FAILURE, error, at=known), error)
                elif is_local:
                    self._expire(entry, key, max(later, soon + timedelta(hours=80)))
            case "silent":
                self._expire(entry, key, soon + timedelta(hours=80))
            case _:
                # Nobody gave it up, and its first news comes after its month was posted.
                known = soon + timedelta(days=45)
                self._tell(entry, known, Receipt(key, SUCCESS, at=known))

    def _retry(self, entry: Entry, batch: MadeBatch, key: AttemptKey, failed: datetime) -> None:
        """Most failed ones are sent again some time after it."""
        if key.attempt < 3 and self._choice.random() < 0.7:
            at = failed + timedelta(hours=self._choice.uniform(13, 90))
            again = AttemptKey(key.batch_no, key.row_number, key.attempt + 1)
            self._retries[_half_day(at)].append(_Retry(at, batch, again))
            self._think_out(entry.payer, batch, again, entry.is_local, entry.segments, at)

    def _expire(self, entry: Entry, key: AttemptKey, at: datetime) -> None:
        among = {SENT, SENT_TO_TELCO}
        self._news_at(at, Ending(key, ErrorCode.MESSAGE_EXPIRED, among, at, expired=True))
        entry.outcomes.append((at, ErrorCode.MESSAGE_EXPIRED.value, True))

    def _tell(
        self, entry: Entry, at: datetime, news: Answer | Receipt, error: ErrorCode | None = None
    ) -> None:
        self._news_at(at, news)
        entry.outcomes.append((at, error.value if error else news.status.word, False))

    def _news_at(self, at: datetime, news: News) -> None:
        self._news[_half_day(at)].append((at, news))
        self.end = max(self.end, _BEGIN + (_half_day(at) + 1) * _HALF_DAY)

    async def pass_until(self, moment: datetime) -> None:
        """Let all happen that is before a moment at 04:00 or 16:00 UTC."""
        for number in range(self._next, _half_day(moment)):
            for retry in self._retries.pop(number, ()):
                await add_attempt(self._connection, retry.batch, retry.key, SENDING, at=retry.at)
            news = sorted(self._news.pop(number, ()), key=lambda one: one[0])
            if news:
                async with self._connection.transaction():
                    await record_news(self._connection, [one for _, one in news], now=news[-1][0])
        self._next = max(self._next, _half_day(moment))


def _half_day(moment: datetime) -> int:
    """Half days end at 04:00 and 16:00, which is midnight in Singapore."""
    return (moment - _BEGIN) // _HALF_DAY


def edges(month: date) -> Sequence[datetime]:
    """The last moments of a month in Singapore, in UTC: what is sent half a second later is sent in the next one."""
    following = (month + timedelta(days=31)).replace(day=1)
    end = datetime(following.year, following.month, 1, tzinfo=UTC) - SINGAPORE
    return [end - timedelta(milliseconds=500), end - timedelta(milliseconds=1), end]

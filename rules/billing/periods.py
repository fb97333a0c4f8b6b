"""Months and billing periods, as Singapore's days count them, and what is due when (10-billing.md §3). Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final, Self

SINGAPORE: Final = timezone(timedelta(hours=8), "+08")
_MONTH: Final = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)
_PERIOD: Final = re.compile(r"(20[0-9]{2})(?:-(20[0-9]{2}))?", re.ASCII)
# The day of the next month on which a month is posted: 80 hours after its last second, nothing of it can change any more.
_POSTED_ON_DAY: Final = 5
_DISPUTE_DAYS: Final = 30
_PERIOD_BEGINS: Final = 2


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of Singapore's calendar. `str` gives it as `2026-10`."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The month that `2026-10` names; None where the text names none."""
        match = _MONTH.fullmatch(text)
        return cls(int(match[1]), int(match[2])) if match else None

    @classmethod
    def of(cls, moment: datetime | date) -> Self:
        """The month of a day, or of an aware moment."""
        day = day_of(moment) if isinstance(moment, datetime) else moment
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        return self.next.first - timedelta(days=1)

    @property
    def next(self) -> "Month":
        """The month after it."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def previous(self) -> "Month":
        """The month before it."""
        return Month(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    @property
    def begins_at(self) -> datetime:
        """Its first moment, aware UTC."""
        return begin_of(self.first)

    @property
    def ends_at(self) -> datetime:
        """The first moment after it, aware UTC."""
        return self.next.begins_at

    @property
    def posted_from(self) -> datetime:
        """From when on it may be posted, aware UTC."""
        return begin_of(self.next.first.replace(day=_POSTED_ON_DAY))


def day_of(moment: datetime) -> date:
    """Singapore's day at an aware moment."""
    return moment.astimezone(SINGAPORE).date()


def begin_of(day: date) -> datetime:
    """The first moment of a day of Singapore's, aware UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=SINGAPORE).astimezone(UTC)


def dispute_by(posted_at: datetime) -> date:
    """The last day on which a report that was posted then may be disputed."""
    return day_of(posted_at) + timedelta(days=_DISPUTE_DAYS)


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period, which one invoice is for. Periods begin in February; the first one began in July 2025."""

    first: Month
    last: Month

    @property
    def name(self) -> str:
        """The year in which it begins, such as `2026`: what people choose it by. A shorter first one has the whole one's."""
        return str(self.last.year - 1)

    @property
    def years(self) -> str:
        """First and last year, such as `2026-2027`."""
        return f"{self.name}-{self.last.year}"

    @property
    def invoiced_in(self) -> Month:
        """The month in whose middle the invoice comes."""
        return Month(self.last.year, 3)

    @property
    def months(self) -> tuple[Month, ...]:
        """All its months, in their order."""
        months = [self.first]
        while months[-1] < self.last:
            months.append(months[-1].next)
        return tuple(months)


def period_of(month: Month, starts: date) -> Period:
    """The period of a month. The one in which charges start on the day `starts` begins with that day's month."""
    year = month.year if month.month >= _PERIOD_BEGINS else month.year - 1
    first, last = Month(year, _PERIOD_BEGINS), Month(year + 1, _PERIOD_BEGINS - 1)
    start = Month.of(starts)
    return Period(start if first <= start <= last else first, last)


def parse_period(text: str, starts: date) -> Period | None:
    """The period that `2026` or `2026-2027` names; None where the text names none, or one before charges start."""
    match = _PERIOD.fullmatch(text)
    if match is None or (match[2] and int(match[2]) != int(match[1]) + 1):
        return None
    period = period_of(Month(int(match[1]) + 1, _PERIOD_BEGINS - 1), starts)
    return None if period.last < Month.of(starts) else period


def periods_until(now: datetime, starts: date) -> tuple[Period, ...]:
    """All periods that have begun, the newest first; none before charges start."""
    periods = []
    month = Month.of(now)
    while month >= Month.of(starts):
        period = period_of(month, starts)
        periods.append(period)
        month = period.first.previous
    return tuple(periods)

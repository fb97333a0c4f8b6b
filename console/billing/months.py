"""The months of a billing period as the page has them: what each comes to, and where its report is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from billing.lines import Sums
from billing.posted import MonthSums
from console.billing.chart import Chart, draw
from rules.billing.periods import Month, Period, dispute_by


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A month. `found` is None where it hasn't begun."""

    month: Month
    found: MonthSums | None
    is_running: bool

    @property
    def name(self) -> str:
        """As people write it: `Oct 2026`."""
        return name_of(self.month)

    @property
    def sums(self) -> Sums:
        """What it comes to, so far."""
        return self.found.sums if self.found else Sums()

    @property
    def version(self) -> int | None:
        """The version of its report, None where there is none."""
        return self.found.version if self.found else None

    @property
    def state(self) -> str:
        """Where it is, in one word."""
        if self.found is None:
            return "ahead"
        if self.is_running:
            return "running"
        return "posted" if self.found.is_posted else "open"

    @property
    def posted_from(self) -> datetime:
        """From when on it is posted."""
        return self.month.posted_from


@dataclass(frozen=True, slots=True)
class PeriodMonths:
    """All months of a period, in their order."""

    period: Period
    rows: Sequence[MonthRow]

    @classmethod
    def of(cls, period: Period, found: Mapping[Month, MonthSums], now: datetime) -> "PeriodMonths":
        """These sums."""
        running = Month.of(now)
        return cls(period, [MonthRow(month, found.get(month), month == running) for month in period.months])

    @property
    def begun(self) -> Sequence[MonthRow]:
        """Those that have begun, the newest first."""
        return [row for row in reversed(self.rows) if row.found is not None]

    @property
    def total(self) -> Sums:
        """What the period comes to, so far."""
        return sum((row.sums for row in self.rows), Sums())

    @property
    def running(self) -> MonthRow | None:
        """The month that runs, where it is one of these."""
        return next((row for row in self.rows if row.is_running), None)

    @property
    def has_annual(self) -> bool:
        """Whether there is an annual report: it comes with the last month's, of whatever was used."""
        last = self.rows[-1].found
        return last is not None and last.is_posted and any(row.version for row in self.rows)

    @property
    def annual_dispute_by(self) -> date | None:
        """Until when the annual report may be disputed, where that is known from its last month's."""
        last = self.rows[-1].found
        if last is None or last.posted_at is None:
            return None
        return last.dispute_by or dispute_by(last.posted_at)

    @property
    def chart(self) -> Chart:
        """Its segments, month by month."""
        return draw([(row.name, row.sums.local_segments, row.sums.foreign_segments) for row in self.rows])


def name_of(month: Month) -> str:
    """As people write it: `Oct 2026`."""
    return f"{month.first:%b %Y}"


def words_of(period: Period) -> str:
    """A period as its drop-down has it: `1 Feb 2026 – 31 Jan 2027`."""
    first, last = period.first.first, period.last.last
    return f"{first.day} {first:%b %Y} – {last.day} {last:%b %Y}"

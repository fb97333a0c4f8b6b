"""What must hold of the totals at any moment: they are what an independent recount finds, and what was posted stays, whole."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from database.connections import Connection

# A campaign, a day of Singapore's, local or foreign, an outcome, whether the expiry is our own, an encoding.
Key = tuple[str, date, str, str, bool, str]
Totals = dict[Key, tuple[int, int]]
_OUTCOMES = {4: "sent_to_telco", 5: "success"}


@dataclass
class Books:
    """What was seen of posted months, and what went against the rules."""

    posted: dict[date, Totals] = field(default_factory=dict)
    attempts: int = 0
    counted: int = 0
    late: int = 0
    reports: int = 0
    wrong: list[str] = field(default_factory=list)

    async def look(self, connection: Connection) -> None:
        """Compare everything, in one snapshot."""
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            counted = await _counted(connection)
            attempts = await connection.fetch(
                "select a.*, b.campaign_id, m.recipient, m.encoding, m.segments,"
                " l.batch_no is not null as is_late, l.outcome as late_outcome, l.own_expiry as late_own"
                " from attempts a join batches b using (batch_no) join messages m using (batch_no, row_number)"
                " left join late_outcomes l using (batch_no, row_number, attempt)"
            )
            months = [row["month"] for row in await connection.fetch("select month from billing_months")]
            lines = await connection.fetch(
                "select r.month, l.campaign_id, l.destination, l.outcome, l.own_expiry, sum(l.attempts)::bigint as attempts,"
                " sum(l.segments)::bigint as segments from billing_reports r join billing_report_lines l on l.report_id = r.id"
                " group by 1, 2, 3, 4, 5"
            )
            self.reports = await connection.fetchval("select count(*) from billing_reports")
        found = _recounted(attempts)
        self.attempts = len(attempts)
        self.counted = sum(n for n, _ in counted.values())
        self.late = sum(row["is_late"] for row in attempts)
        self._compare("totals and attempts", counted, found)
        for month in months:
            of_month = {key: value for key, value in counted.items() if key[1].replace(day=1) == month}
            self._compare(f"{month} and what was posted", of_month, self.posted.setdefault(month, of_month))
            self._compare(f"{month} and its reports", _by_line(of_month), _lines_of(lines, month))

    def _compare(self, what: str, one: dict[Any, Any], other: dict[Any, Any]) -> None:
        differing = [
            f"{what}: {key}: {one.get(key)}, {other.get(key)}"
            for key in one.keys() | other.keys()
            if one.get(key) != other.get(key)
        ]
        self.wrong += differing

    def check(self) -> None:
        """Raise AssertionError where anything was wrong."""
        assert not self.wrong, "\n".join([f"{len(self.wrong)} differences", *self.wrong[:20]])


async def _counted(connection: Connection) -> Totals:
    rows = await connection.fetch("select * from usage_days where attempts <> 0 or segments <> 0")
    return {
        (
            row["campaign_id"],
            row["day"],
            row["destination"],
            row["outcome"],
            row["own_expiry"],
            row["encoding"],
        ): (row["attempts"], row["segments"])
        for row in rows
    }


def _recounted(attempts: list[Any]) -> Totals:
    """By 10-billing.md, in Python: what an attempt's day is, and with which outcome it counts."""
    numbers: Counter[Key] = Counter()
    segments: Counter[Key] = Counter()
    for row in attempts:
        own = row["late_own"] if row["is_late"] else row["status"] == 6 and row["expired"]
        outcome = row["late_outcome"] if row["is_late"] else _OUTCOMES.get(row["status"], row["error"])
        if outcome is None or (row["status"] < 4 and not row["is_late"]):
            continue
        moment = row["sent_at"] or row["claimed_at"] or row["created_at"]
        place = "local" if row["recipient"].startswith("65") else "foreign"
        key = (row["campaign_id"], (moment + timedelta(hours=8)).date(), place, outcome, own, row["encoding"])
        numbers[key] += 1
        segments[key] += row["segments"]
    return {key: (number, segments[key]) for key, number in numbers.items()}


def _by_line(totals: Totals) -> dict[tuple[str, str, str, bool], tuple[int, int]]:
    summed: dict[tuple[str, str, str, bool], tuple[int, int]] = {}
    for (campaign, _, destination, outcome, own, _), (attempts, segments) in totals.items():
        before = summed.get((campaign, destination, outcome, own), (0, 0))
        summed[campaign, destination, outcome, own] = (before[0] + attempts, before[1] + segments)
    return summed


def _lines_of(lines: list[Any], month: date) -> dict[tuple[str, str, str, bool], tuple[int, int]]:
    return {
        (line["campaign_id"], line["destination"], line["outcome"], line["own_expiry"]): (
            line["attempts"],
            line["segments"],
        )
        for line in lines
        if line["month"] == month
    }

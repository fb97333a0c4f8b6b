"""Reports as files: XLSX of two sheets, or CSV with a row for each campaign and one for their total (10-billing.md §6).

Amounts are printed with two decimals, each rounded from its own exact sum. The exact one stands beside them in `Cost (mills)`, a
column that XLSX hides. What a spreadsheet could take for a formula or a number stays the text that it is: in XLSX every such cell
is written as a string, and in CSV a cell that begins like a formula gets an apostrophe in front.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Final

from billing.lines import CORRECTION, Line, Sums
from billing.posted import PostedReport
from messages.logs.files import BYTE_ORDER_MARK, without_formula
from rules.billing.outcomes import FOREIGN, SENT_TO_TELCO
from rules.billing.periods import Month, Period, day_of
from rules.billing.prices import shown_amount, shown_price

FORMS: Final = ("xlsx", "csv")
MEDIA_TYPES: Final = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
}
SUMMARY: Final = "Summary"
BREAKDOWN: Final = "Breakdown-by-campaign"
COLUMNS: Final = (
    "Campaign id", "Campaign name", "Creator", "Channel", "Created", "Deleted on", "Local segments", "Local cost",
    "Foreign segments", "Foreign cost", "Total segments", "Total cost", "Cost (mills)",
)  # fmt: skip
_SUMS: Final = ("", "Messages charged", "Segments", "Price", "Cost", "Cost (mills)")
_STATUSES: Final = ("Status", "Messages", "Segments", "Charged", "Cost", "Cost (mills)")
_NOTES: Final = (
    "Costs are in Singapore dollars, before GST, which the invoice adds at the rate of its day.",
    "Each cost is rounded by itself from its exact sum, so columns can differ from their total by some cents.",
    "Messages are counted by attempts: one that was sent again counts for each time, and is charged as each time ended.",
)
# What can't be in the name of a file everywhere, or has a meaning there.
_NOT_IN_NAMES: Final = re.compile(r"[^\w.-]+")
_LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount to print with two decimals."""

    mills: int


Cell = str | int | float | Amount | None


def file_name(agency_name: str, period: Month | Period, form: str) -> str:
    """What a report's file is called: `postman-billing_<agency>_2026-10.xlsx`, or `…_2026-2027.xlsx` for a whole period."""
    agency = _NOT_IN_NAMES.sub("-", agency_name)[:_LONGEST_NAME].strip(".-") or "agency"
    when = str(period) if isinstance(period, Month) else period.years
    return f"postman-billing_{agency}_{when}.{form}"


def write_report(report: PostedReport, target: BinaryIO, form: str) -> None:
    """Write a report as `xlsx` or `csv`."""
    if form == "xlsx":
        _write_xlsx(report, target)
    else:
        _write_csv(report, target)


def _summary(report: PostedReport) -> Iterator[Sequence[Cell]]:
    """The rows of the first sheet."""
    yield from (
        ("Agency", report.agency_name),
        ("Customer id", report.customer_id),
        ("Sub-BU", report.sub_bu),
        ("Contact", report.contact),
        ("Period", _shown_period(report.period)),
        ("Version", report.version),
        ("Posted", _shown_day(report.posted_at)),
        ("Dispute by", str(report.dispute_by)),
    )
    for correction in report.corrections:
        yield f"Correction of {correction.month}, version {correction.version}", correction.reason
    sums = report.sums
    yield ()
    yield _SUMS
    local = _price_cell(price.local_mills for price in report.prices)
    foreign = _price_cell(price.foreign_mills for price in report.prices)
    for label, messages, segments, price, mills in (
        ("Local", sums.local_messages, sums.local_segments, local, sums.local_mills),
        ("Foreign", sums.foreign_messages, sums.foreign_segments, foreign, sums.foreign_mills),
        ("Total", sums.messages, sums.segments, None, sums.mills),
    ):
        yield label, messages, segments, price, Amount(mills), mills
    yield ()
    yield _STATUSES
    yield from _by_status(report.lines)
    yield ()
    for text in _NOTES:
        yield (text,)


def _by_status(lines: Iterable[Line]) -> Iterator[Sequence[Cell]]:
    """What became of the attempts: a row for each status and kind of number, those that are charged first."""
    groups: dict[tuple[bool, str, bool, bool], list[Line]] = defaultdict(list)
    for line in lines:
        groups[not line.charged, _status(line), line.destination == FOREIGN, line.own_expiry].append(line)
    for (free, status, is_foreign, _), group in sorted(groups.items()):
        mills = sum(line.mills for line in group)
        yield (
            f"{'Foreign' if is_foreign else 'Local'}, {status}",
            sum(line.attempts for line in group),
            sum(line.segments for line in group),
            "no" if free else "yes",
            Amount(mills),
            mills,
        )


def _status(line: Line) -> str:
    if line.outcome in ("success", SENT_TO_TELCO, CORRECTION):
        return line.outcome
    return f"failure: {line.outcome}{' (no news came in time)' if line.own_expiry else ''}"


def _breakdown(report: PostedReport) -> Iterator[Sequence[Cell]]:
    """The rows of the second sheet: a campaign each, the oldest first, and their total."""
    lines: dict[str, list[Line]] = defaultdict(list)
    for line in report.lines:
        lines[line.campaign_id].append(line)
    yield COLUMNS
    for campaign in report.campaigns:
        yield (
            campaign.campaign_id,
            campaign.name,
            campaign.creator,
            campaign.channel,
            _shown_day(campaign.created_at),
            _shown_day(campaign.deleted_at) if campaign.deleted_at else None,
            *_sums_cells(Sums.of(lines[campaign.campaign_id])),
        )
    yield "Total", None, None, None, None, None, *_sums_cells(report.sums)


def _sums_cells(sums: Sums) -> tuple[Cell, ...]:
    return (
        sums.local_segments,
        Amount(sums.local_mills),
        sums.foreign_segments,
        Amount(sums.foreign_mills),
        sums.segments,
        Amount(sums.mills),
        sums.mills,
    )


def _price_cell(mills: Iterable[int]) -> Cell:
    """The price of a segment; a text where one followed another."""
    first, *others = dict.fromkeys(mills)
    return ", then ".join(map(shown_price, (first, *others))) if others else first / 1000


def _shown_period(period: Month | Period) -> str:
    return str(period) if isinstance(period, Month) else f"{period.first} to {period.last}"


def _shown_day(moment: datetime) -> str:
    """Singapore's day."""
    return str(day_of(moment))


def _write_csv(report: PostedReport, target: BinaryIO) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[_csv_cell(cell) for cell in row] for row in _breakdown(report)])
    target.write(BYTE_ORDER_MARK + text.getvalue().encode())


def _csv_cell(cell: Cell) -> str | float | None:
    if isinstance(cell, Amount):
        return shown_amount(cell.mills).replace(",", "")
    return without_formula(cell) if isinstance(cell, str) else cell


def _write_xlsx(report: PostedReport, target: BinaryIO) -> None:
    from xlsxwriter import Workbook

    from messages.logs.xlsx import PlainSheet, fitting

    # One row at a time is held, and the others lie in temporary files without a name.
    book = Workbook(target, {"constant_memory": True})
    bold, money = book.add_format({"bold": True}), book.add_format({"num_format": "#,##0.00"})
    headers = (_SUMS, _STATUSES, COLUMNS)
    for name, rows, widths in (
        (SUMMARY, _summary(report), (46, 18, 12, 18, 14)),
        (BREAKDOWN, _breakdown(report), (24, 34, 30, 10, 12, 12, 15, 15, 15, 15, 15, 15)),
    ):
        sheet = book.add_worksheet(name, worksheet_class=PlainSheet)
        for place, width in enumerate(widths):
            sheet.set_column(place, place, width)
        sheet.set_column(len(widths), len(widths), 15, None, {"hidden": True})
        for number, row in enumerate(rows):
            for place, cell in enumerate(row):
                if isinstance(cell, Amount):
                    sheet.write_number(number, place, float(shown_amount(cell.mills).replace(",", "")), money)
                elif isinstance(cell, int | float):
                    sheet.write_number(number, place, cell)
                elif cell:
                    sheet.write_string(number, place, fitting(cell), bold if row in headers else None)
    book.close()

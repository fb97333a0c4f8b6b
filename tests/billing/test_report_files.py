"""Reports as files: what spreadsheets read of them, whatever a name looks like."""

import csv
import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from billing.lines import CORRECTION, Line, Sums
from billing.posted import Correction, PostedReport, ReportCampaign
from billing.report_files import BREAKDOWN, COLUMNS, SUMMARY, file_name, write_report
from rules.billing.periods import Month, period_of
from rules.billing.prices import Price

OCTOBER = Month(2026, 10)
PERIOD = period_of(OCTOBER, date(2025, 7, 1))
POSTED = datetime(2026, 11, 4, 16, tzinfo=UTC)
LONG = "长🙂" * 10_922 + "x"
NAMES = (
    "=HYPERLINK(\"https://example.com\";\"x\")", "+6591234567", "-1+2", "@SUM(A1)", "\tTab", "\rReturn", "<r><t>rich</t></r>",
    "0012", "_x0041_", "a, \"b\"\nc", "诊所 கிளினிக் 🙂", LONG,
)  # fmt: skip


def report_of(
    lines: Sequence[Line], names: Sequence[str] = ("Reminders",), agency: str = "Clinics"
) -> PostedReport:
    campaigns = [
        ReportCampaign(
            f"c-{place}",
            name,
            f"{name[:40]}@clinic.gov.sg",
            "public",
            datetime(2026, 9, 30, 16, tzinfo=UTC),
            POSTED if place else None,
        )
        for place, name in enumerate(names)
    ]
    return PostedReport(
        agency_id="agency_1",
        agency_name=agency,
        customer_id="=C42",
        sub_bu=None,
        contact="finance@clinic.gov.sg",
        period=OCTOBER,
        version=1,
        posted_at=POSTED,
        dispute_by=date(2026, 12, 5),
        sums=Sums.of(lines),
        corrections=(),
        campaigns=campaigns,
        lines=lines,
        prices=[Price(46, 230)],
    )


def line(outcome: str, segments: int, *, place: int = 0, foreign: bool = False, **changes: Any) -> Line:
    destination, price = ("foreign", 230) if foreign else ("local", 46)
    return replace(
        Line(f"c-{place}", destination, outcome, False, price, True, abs(segments), segments), **changes
    )


LINES = [
    line("success", 1388),
    line("success", 3, foreign=True),
    line("sent_to_telco", 5, charged=False),
    line("message_expired", 4, charged=False, own_expiry=True),
    line("recipient_invalid", 1),
    line(CORRECTION, -1, attempts=0),
]


def written(report: PostedReport, form: str) -> bytes:
    target = io.BytesIO()
    write_report(report, target, form)
    return target.getvalue()


def sheet(report: PostedReport, name: str) -> list[list[object]]:
    """The rows that openpyxl reads, without empty cells at their ends."""
    book = openpyxl.load_workbook(io.BytesIO(written(report, "xlsx")))
    rows: list[list[object]] = [[cell.value for cell in row] for row in book[name].iter_rows()]
    for row in rows:
        while row and row[-1] is None:
            row.pop()
    return rows


def rows_of_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_the_summary_says_whose_it_is_what_it_costs_and_how_it_is_counted() -> None:
    rows = sheet(report_of(LINES), SUMMARY)
    assert rows[:19] == [
        ["Agency", "Clinics"],
        ["Customer id", "=C42"],
        ["Sub-BU"],
        ["Contact", "finance@clinic.gov.sg"],
        ["Period", "2026-10"],
        ["Version", 1],
        ["Posted", "2026-11-05"],
        ["Dispute by", "2026-12-05"],
        [],
        [None, "Messages charged", "Segments", "Price", "Cost", "Cost (mills)"],
        ["Local", 1389, 1388, 0.046, 63.85, 63848],
        ["Foreign", 3, 3, 0.23, 0.69, 690],
        ["Total", 1392, 1391, None, 64.54, 64538],
        [],
        ["Status", "Messages", "Segments", "Charged", "Cost", "Cost (mills)"],
        ["Local, correction", 0, -1, "yes", -0.05, -46],
        ["Local, failure: recipient_invalid", 1, 1, "yes", 0.05, 46],
        ["Local, success", 1388, 1388, "yes", 63.85, 63848],
        ["Foreign, success", 3, 3, "yes", 0.69, 690],
    ]
    assert rows[19:21] == [
        ["Local, failure: message_expired (no news came in time)", 4, 4, "no", 0, 0],
        ["Local, sent_to_telco", 5, 5, "no", 0, 0],
    ]
    notes = " ".join(str(row[0]) for row in rows[22:])
    assert "before GST" in notes
    assert "rounded" in notes


def test_a_correction_and_a_price_that_changed_are_said() -> None:
    report = replace(
        report_of(LINES),
        version=2,
        corrections=[Correction(OCTOBER, 2, "=ticket 4711", POSTED)],
        prices=[Price(46, 230), Price(50, 230)],
    )
    rows = sheet(report, SUMMARY)
    assert ["Correction of 2026-10, version 2", "=ticket 4711"] in rows
    assert [row[3] for row in rows if row and row[0] in ("Local", "Foreign")] == ["0.046, then 0.05", 0.23]
    annual = sheet(replace(report, period=PERIOD), SUMMARY)
    assert ["Period", "2026-02 to 2027-01"] in annual


@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_the_breakdown_has_a_row_for_each_campaign_and_their_total(form: str) -> None:
    report = report_of([*LINES, line("success", 7, place=1)], ["One", "Two"])
    if form == "xlsx":
        rows = sheet(report, BREAKDOWN)
        one: list[object] = [1388, 63.85, 3, 0.69, 1391, 64.54, 64538]
        two: list[object] = [7, 0.32, 0, 0, 7, 0.32, 322]
        total: list[object] = [1395, 64.17, 3, 0.69, 1398, 64.86, 64860]
    else:
        rows = [[cell or None for cell in row] for row in rows_of_csv(written(report, form))]
        one = ["1388", "63.85", "3", "0.69", "1391", "64.54", "64538"]
        two = ["7", "0.32", "0", "0.00", "7", "0.32", "322"]
        total = ["1395", "64.17", "3", "0.69", "1398", "64.86", "64860"]
    assert rows == [
        list(COLUMNS),
        ["c-0", "One", "One@clinic.gov.sg", "public", "2026-10-01", None, *one],
        ["c-1", "Two", "Two@clinic.gov.sg", "public", "2026-10-01", "2026-11-05", *two],
        ["Total", None, None, None, None, None, *total],
    ]


def test_mills_are_there_and_hidden_in_a_workbook() -> None:
    book = openpyxl.load_workbook(io.BytesIO(written(report_of(LINES), "xlsx")))
    assert book.sheetnames == [SUMMARY, BREAKDOWN]
    assert book[SUMMARY].column_dimensions["F"].hidden
    assert book[BREAKDOWN].column_dimensions["M"].hidden
    assert not book[BREAKDOWN].column_dimensions["L"].hidden


def test_names_stay_the_texts_that_they_are_in_a_workbook() -> None:
    report = report_of(LINES, NAMES, agency=NAMES[0])
    book = openpyxl.load_workbook(io.BytesIO(written(report, "xlsx")))
    cells = [row[1] for row in book[BREAKDOWN].iter_rows(min_row=2, max_row=1 + len(NAMES))]
    assert {cell.data_type for cell in cells} <= {"s", "inlineStr"}
    # An escaped `_x0041_` and a carriage return are read back by spreadsheets, not by this library.
    plain = {"_x005F_x0041_": "_x0041_", "_x000D_Return": "\rReturn"}
    assert [plain.get(str(cell.value), str(cell.value)) for cell in cells] == list(NAMES)
    assert book[SUMMARY]["B1"].value == NAMES[0]
    assert book[SUMMARY]["B1"].data_type != "f"
    assert len(LONG.encode("utf-16-le")) // 2 == 32_767


def test_names_that_begin_like_formulas_have_an_apostrophe_in_csv() -> None:
    content = written(report_of(LINES, NAMES), "csv")
    assert content.startswith(b"\xef\xbb\xbf")
    names = [row[1] for row in rows_of_csv(content)[1:-1]]
    assert names == [f"'{name}" if name[0] in "=+-@\t\r" else name for name in NAMES]
    creators = [row[2] for row in rows_of_csv(content)[1:-1]]
    assert creators[0].startswith("'=")


def test_a_text_longer_than_a_cell_is_cut_between_characters_and_says_so() -> None:
    rows = sheet(report_of(LINES, ["🙂" * 20_000]), BREAKDOWN)
    name = str(rows[1][1])
    assert name.startswith("🙂" * 16_000)
    assert name.endswith("🙂 … [cut: 20,000 characters in all]")
    assert len(name.encode("utf-16-le")) // 2 in (32_766, 32_767)


def test_an_amount_of_thousands_is_a_number_in_csv() -> None:
    rows = rows_of_csv(written(report_of([line(CORRECTION, 30_000, attempts=0)]), "csv"))
    assert rows[-1][6:] == ["30000", "1380.00", "0", "0.00", "30000", "1380.00", "1380000"]


def test_an_amount_below_nothing_is_a_number_in_csv_too() -> None:
    rows = rows_of_csv(written(report_of([line(CORRECTION, -30, attempts=0)]), "csv"))
    assert rows[-1][6:] == ["-30", "-1.38", "0", "0.00", "-30", "-1.38", "-1380"]


@pytest.mark.parametrize(
    ("agency", "period", "name"),
    [
        ("Clinics", OCTOBER, "postman-billing_Clinics_2026-10.xlsx"),
        ("Clinics", PERIOD, "postman-billing_Clinics_2026-2027.xlsx"),
        ("Ministry of A/B", OCTOBER, "postman-billing_Ministry-of-A-B_2026-10.xlsx"),
        ("../../x", OCTOBER, "postman-billing_x_2026-10.xlsx"),
        ("诊所", OCTOBER, "postman-billing_诊所_2026-10.xlsx"),
        ('";', OCTOBER, "postman-billing_agency_2026-10.xlsx"),
    ],
)
def test_files_are_called_by_agency_and_period(agency: str, period: Any, name: str) -> None:
    assert file_name(agency, period, "xlsx") == name


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice's soffice is not installed")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_libreoffice_reads_the_files(form: str, tmp_path: Path) -> None:
    report = report_of(LINES, NAMES)
    (tmp_path / f"report.{form}").write_bytes(written(report, form))
    # Every sheet into a file of its own, in UTF-8, as it is stored and not as it is shown.
    options = "44,34,76,1,,0,false,false,false,false,false,-1"
    reading = ["--infilter=CSV:44,34,76,1"] if form == "csv" else []
    subprocess.run(
        [
            "soffice",
            f"-env:UserInstallation=file://{tmp_path}/profile",
            "--headless",
            *reading,
            "--convert-to",
            f"csv:Text - txt - csv (StarCalc):{options}",
            "--outdir",
            tmp_path / "read",
            tmp_path / f"report.{form}",
        ],
        check=True,
        timeout=170,
        capture_output=True,
    )
    files = {file.stem.removeprefix("report-"): file for file in (tmp_path / "read").glob("*.csv")}
    rows = rows_of_csv(files[BREAKDOWN if form == "xlsx" else "report"].read_bytes())
    assert rows[0] == list(COLUMNS)
    assert rows[-1][0] == "Total"
    assert [float(cell) for cell in rows[-1][6:]] == [1388, 63.85, 3, 0.69, 1391, 64.54, 64538]
    read = [row[1] for row in rows[1:-1]]
    if form == "xlsx":
        # It makes a line's end of a carriage return.
        assert [name.replace("\n", "\r") if name.endswith("Return") else name for name in read] == list(NAMES)
        assert rows_of_csv(files[SUMMARY].read_bytes())[1][1] == "=C42"
    else:
        assert read[:4] == [f"'{name}" for name in NAMES[:4]]

"""Reports as the verdict writes them, read back row by row: pages, kinds, and rows that no spreadsheet writes."""

import io
from collections.abc import Iterator

import pytest

from config.environment import Environment
from console.uploads import report_rows
from console.uploads.report_cells import shown_table
from console.uploads.report_rows import Found, Head, Mark, find_rows, read_head
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules
from rules.codes import FindingCode
from rules.templates import Language, Template

HEADER = "recipient,language,name\n"
GOOD = "6591234567,english,Em\n"
BAD = "+6591234567,english,Em\n"
WORSE = "+6591234567,english, Em\n"


def report_of(data: str) -> bytes:
    """The report of this upload."""
    report = io.BytesIO()
    template = Template("Clinic", {Language.ENGLISH: "Dear {{name}}"})
    judge(io.BytesIO(data.encode()), Rules(template, Environment.PRODUCTION), messages=None, report=report)
    return report.getvalue()


def pieces(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[place : place + size] for place in range(0, len(data), size))


def look(
    report: bytes,
    start: Mark | None = None,
    kind: str | None = None,
    *,
    size: int = 7,
    counts_all: bool = False,
) -> tuple[Head, Found]:
    head = read_head(pieces(report, size))
    assert head is not None
    start = start or head.first
    found = find_rows(pieces(report[start.offset :], size), head, start, kind=kind, counts_all=counts_all)
    return head, found


@pytest.mark.parametrize("size", [1, 5, 1_000_000])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_only_rows_with_faults_are_found_whatever_comes_in_one_piece(size: int, line_end: str) -> None:
    data = (
        HEADER
        + GOOD * 3
        + BAD
        + GOOD
        + '+65,english,"E, ""M""\nx"\n'
        + '"6591234567","english","Em"\n'
        + WORSE
    )
    head, found = look(report_of(data.replace("\n", line_end)), size=size)
    assert head.columns == ("recipient", "language", "name")
    assert head.first.number == 2
    assert [(row.number, row.cells) for row in found.rows] == [
        (5, ("+6591234567", "english", "Em")),
        (7, ("+65", "english", f'E, "M"{line_end}x')),
        (9, ("+6591234567", "english", " Em")),
    ]
    assert [reason.code for reason in found.rows[2].reasons] == [
        FindingCode.RECIPIENT_HAS_PLUS,
        FindingCode.VALUE_WHITESPACE,
    ]
    assert found.counts == {"recipient_has_plus": 3, "value_whitespace": 1}
    assert (found.is_whole, found.next) == (True, None)


def test_pages_go_on_where_the_last_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_rows, "ON_A_PAGE", 2)
    report = report_of(HEADER + (GOOD + BAD + WORSE) * 3)
    numbers, mark = [], None
    for count in (2, 2, 2):
        _, found = look(report, mark)
        assert len(found.rows) == count
        numbers += [row.number for row in found.rows]
        mark = found.next
    assert (numbers, mark) == ([3, 4, 6, 7, 9, 10], None)
    # Of one kind, and with the counts of all.
    _, found = look(report, kind="value_whitespace", counts_all=True)
    assert [row.number for row in found.rows] == [4, 7]
    assert found.counts == {"recipient_has_plus": 6, "value_whitespace": 3}
    assert found.next is not None
    _, found = look(report, found.next, kind="value_whitespace")
    assert [row.number for row in found.rows] == [10]


def test_no_more_is_looked_at_than_is_for_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    report = report_of(HEADER + BAD * 5 + WORSE)
    monkeypatch.setattr(report_rows, "MOST_LOOKED_AT", 3)
    _, found = look(report, kind="value_whitespace", counts_all=True)
    assert (found.rows, found.looked_at, found.is_whole) == ([], 3, False)
    assert found.next is not None
    assert found.next.number == 5
    _, found = look(report, found.next, kind="value_whitespace")
    assert [row.number for row in found.rows] == [7]
    monkeypatch.setattr(
        report_rows, "MOST_REASONS", len("recipient +6591234567 begins with +: remove the +") + 1
    )
    _, found = look(report, counts_all=True)
    assert (found.looked_at, found.is_whole, [row.number for row in found.rows]) == (2, False, [2, 3])
    monkeypatch.setattr(report_rows, "MOST_PARSED", 3)
    quoted = report_of(HEADER + '"6591234567","english","Em"\n' * 5 + BAD)
    _, found = look(quoted)
    assert found.next is not None
    assert found.next.number == 5
    _, found = look(quoted, found.next)
    assert [row.number for row in found.rows] == [7]


def test_rows_that_no_spreadsheet_writes_are_told_as_far_as_can_be() -> None:
    data = (
        HEADER
        + '6591234567,english,"Em"ily\n'
        + '65"91,english,E"m\n'
        + "6591234567\n"
        + "a\rb,c\n"
        + 'x,y,"never closed\n'
    )
    _, found = look(report_of(data))
    assert [row.number for row in found.rows] == [2, 3, 4, 5, 6, 7]
    assert found.rows[2].cells == ("6591234567", "", "")
    assert [row.cells for row in found.rows[3:5]] == [("a", "", ""), ("b", "c", "")]
    kinds = [{reason.code for reason in row.reasons} for row in found.rows]
    assert FindingCode.ROW_QUOTE_INVALID in kinds[0]
    assert FindingCode.ROW_TOO_FEW_FIELDS in kinds[2]
    assert found.is_whole


def test_a_row_of_a_megabyte_ends_the_search_and_a_file_fault_has_a_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = report_of(HEADER + BAD + "+65,english," + "x" * 500 + "\n" + BAD)
    monkeypatch.setattr(report_rows, "MOST_ROW_BYTES", 400)
    _, found = look(report)
    assert [row.number for row in found.rows] == [2]
    assert (found.unreadable, found.is_whole) == (3, False)
    head = read_head(pieces(report_of("recipient,language,nome\n" + GOOD)))
    assert head is not None
    assert head.columns == ("recipient", "language", "nome")
    assert read_head(iter((b"no report",))) is None
    assert read_head(pieces(b'"Error Reason: "' * 20_000, 100)) is None


def test_whoever_sees_masked_numbers_sees_no_name_that_stands_for_one() -> None:
    head, found = look(
        report_of(HEADER + "+6591234567,english,Em\nS1234567D,english,Em\nTan Ah Kow,english,Em\n")
    )
    table = shown_table(head, found.rows, is_masked=True)
    assert ["".join(part.text for part in row.cells[0].parts) for row in table.rows] == [
        "+65••••••67",
        "•••",
        "•••",
    ]
    assert {"".join(part.text for part in row.cells[2].parts) for row in table.rows} == {"•••"}

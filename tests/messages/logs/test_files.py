"""Logs and delivery reports as files: read back by openpyxl and by csv, odd texts are what they were."""

import csv
import io
import zipfile
from collections.abc import Sequence

import openpyxl
import pytest
from openpyxl.utils.escape import unescape

from messages.logs.files import CSVWriter
from messages.logs.xlsx import CELL_UNITS, XLSXWriter

FORMULAS = ("=1+1", "+65", "-1", "@SUM(A1)", "\tx", "\rx", "=cmd|' /C calc'!A0")
TEXTS = (
    *FORMULAS,
    "0012", "1e5", "TRUE", "2026-11-24", "6591234567", "<r><t>x</t></r>", "<b>&amp;</b>", '6,5\n"7"', " begins and ends ",
    "\x01\x0b\x1f", "_x0041_", "\ufffe\uffff", "预约 தமிழ் 😀", "{{name}}", "http://a.sg", "mailto:a@b.sg", "a\r\nb",
)  # fmt: skip


def sheets_of(file: io.BytesIO) -> dict[str, list[list[object]]]:
    book = openpyxl.load_workbook(file)
    for sheet in book:
        assert not [cell for row in sheet for cell in row if cell.data_type == "f" or cell.hyperlink]
    return {sheet.title: [[cell.value for cell in row] for row in sheet] for sheet in book}


def written(rows: Sequence[Sequence[str | int | None]], *, rows_of_sheet: int = 1_000_000) -> io.BytesIO:
    file = io.BytesIO()
    writer = XLSXWriter(file, ["text", "count"], rows_of_sheet=rows_of_sheet)
    for row in rows:
        writer.add(row)
    writer.close()
    return file


def test_texts_are_strings_in_a_sheet_whatever_they_look_like() -> None:
    file = written([(text, 7) for text in TEXTS])
    (sheet,) = sheets_of(file).values()
    # The format's own escapes are what openpyxl leaves to its users.
    assert [unescape(str(row[0])) for row in sheet[1:]] == list(TEXTS)
    assert {row[1] for row in sheet[1:]} == {7}
    assert b"<f>" not in zipfile.ZipFile(file).read("xl/worksheets/sheet1.xml")


def test_a_cell_that_begins_like_a_formula_has_an_apostrophe_in_csv() -> None:
    file = io.BytesIO()
    writer = CSVWriter(file, ["text", "count"])
    for text in TEXTS:
        writer.add((text, -7))
    writer.close()
    assert file.getvalue().startswith(b"\xef\xbb\xbftext,count\r\n")
    rows = list(csv.reader(io.StringIO(file.getvalue().decode("utf-8-sig"), newline="")))[1:]
    assert [row[0] for row in rows] == [f"'{text}" for text in FORMULAS] + list(TEXTS[len(FORMULAS) :])
    assert {row[1] for row in rows} == {"-7"}


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("x" * 32_767, 32_767), ("😀" * 16_383, 32_766), ("x" * 40_000, 32_767), ("😀" * 20_000, 32_767),
        ("x" + "😀" * 20_000, 32_767),
    ],
    ids=["just fits", "pairs just fit", "too long", "pairs too long", "a pair would be cut"],
)  # fmt: skip
def test_a_cell_holds_32767_units_and_says_where_it_was_cut(text: str, units: int) -> None:
    (sheet,) = sheets_of(written([(text, 1)])).values()
    cell = str(sheet[1][0])
    assert units - 1 <= len(cell.encode("utf-16-le")) // 2 <= units <= CELL_UNITS
    if cell != text:
        kept, told = cell.split(" … ")
        assert text.startswith(kept)
        assert told == f"[cut: {len(text):,} characters in all]"
    else:
        assert len(text.encode("utf-16-le")) // 2 <= CELL_UNITS
    file = io.BytesIO()
    writer = CSVWriter(file, ["text"])
    writer.add((text,))
    writer.close()
    assert list(csv.reader(io.StringIO(file.getvalue().decode())))[1] == [text]


def test_half_a_character_spoils_no_file() -> None:
    (sheet,) = sheets_of(written([("a\ud800b", 1)])).values()
    assert sheet[1] == ["a\ufffdb", 1]
    file = io.BytesIO()
    writer = CSVWriter(file, ["a\ud800b"])
    writer.close()
    assert file.getvalue().decode("utf-8-sig") == "a?b\r\n"


def test_what_a_sheet_has_no_room_for_is_on_the_next_one() -> None:
    sheets = sheets_of(written([(str(number), number) for number in range(25)], rows_of_sheet=10))
    assert list(sheets) == ["Sheet1", "Sheet2", "Sheet3"]
    assert [len(rows) for rows in sheets.values()] == [11, 11, 6]
    assert all(rows[0] == ["text", "count"] for rows in sheets.values())
    assert [row[1] for rows in sheets.values() for row in rows[1:]] == list(range(25))
    assert sheets_of(written([])) == {"Sheet1": [["text", "count"]]}

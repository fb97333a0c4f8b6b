"""XLSX by XlsxWriter. What a spreadsheet could take for a formula or a number is written as the string that it is.

Only who writes such a file imports this module, since the library takes its time to load.
"""

import re
from collections.abc import Sequence
from typing import Any, BinaryIO, Final

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from messages.logs.files import Cell

# A sheet has 1,048,576 rows at most, so what has more goes on on the next one.
ROWS_OF_SHEET: Final = 1_000_000
# A cell has so many UTF-16 units at most: a longer text is cut, and its end says so.
CELL_UNITS: Final = 32_767
_CUT: Final = " … [cut: {} characters in all]"
# Half of a pair of UTF-16 stands for no character, and no file of UTF-8 can hold it.
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


class PlainSheet(Worksheet):  # type: ignore[misc]  # the library has no types
    """The library writes a string of the form `<r>…</r>` into the sheet as XML, its own form of rich text. Ours is text."""

    def _xml_rich_inline_string(self, string: str, attributes: Any) -> None:
        self._xml_inline_string(string, True, attributes)


class XLSXWriter:
    """Numbers are ours alone; what stands in a message is a string, whatever it looks like. Characters that XML has not are
    written as the format has them, `_x0001_`, and read back as they were.
    """

    def __init__(
        self, target: BinaryIO, columns: Sequence[str], *, rows_of_sheet: int = ROWS_OF_SHEET
    ) -> None:
        # One row at a time is held, and the others lie in temporary files without a name.
        self._book = Workbook(target, {"constant_memory": True})
        self._bold = self._book.add_format({"bold": True})
        self._columns = columns
        self._rows_of_sheet = rows_of_sheet
        self._begin_sheet()

    def _begin_sheet(self) -> None:
        self._sheet = self._book.add_worksheet(worksheet_class=PlainSheet)
        self._sheet.freeze_panes(1, 0)
        self._row = 0
        for place, column in enumerate(self._columns):
            self._sheet.write_string(0, place, fitting(column), self._bold)

    def add(self, cells: Sequence[Cell]) -> None:
        """See Writer."""
        if self._row == self._rows_of_sheet:
            self._begin_sheet()
        self._row += 1
        for place, cell in enumerate(cells):
            if isinstance(cell, int):
                self._sheet.write_number(self._row, place, cell)
            elif cell:
                self._sheet.write_string(self._row, place, fitting(cell))

    def close(self) -> None:
        """See Writer."""
        self._book.close()


def fitting(cell: str) -> str:
    """The text as a cell can hold it."""
    if len(cell) * 2 <= CELL_UNITS and cell.isascii():
        return cell
    cell = _SURROGATES.sub("\ufffd", cell)
    if len(cell) * 2 <= CELL_UNITS or _units(cell) <= CELL_UNITS:
        return cell
    told = _CUT.format(f"{len(cell):,}")
    # A pair that would be cut in two is left out.
    kept = cell.encode("utf-16-le")[: 2 * (CELL_UNITS - len(told))].decode("utf-16-le", "ignore")
    return f"{kept}{told}"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2

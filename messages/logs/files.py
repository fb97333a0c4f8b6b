"""The files that logs and delivery reports are written into: CSV, and XLSX, which `xlsx` writes.

What a spreadsheet could take for a formula or a number stays the text that it is: in XLSX every such cell is written as a
string, and in CSV a cell that begins like a formula gets an apostrophe in front (9-console.md §6).
"""

import csv
import io
from collections.abc import Sequence
from typing import BinaryIO, Final, Protocol

Cell = str | int | None

FORMULA_BEGINNINGS: Final = ("=", "+", "-", "@", "\t", "\r")
# UTF-8's byte order mark, so that spreadsheets show Chinese and Tamil.
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_CSV_PIECE: Final = 1 << 20


class Writer(Protocol):
    """A file that rows are added to."""

    def add(self, cells: Sequence[Cell]) -> None:
        """Add a row."""

    def close(self) -> None:
        """Write what is left."""


def csv_lines(rows: Sequence[Sequence[Cell]]) -> bytes:
    """Rows as lines of CSV, RFC 4180."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[_csv_cell(cell) for cell in row] for row in rows])
    return text.getvalue().encode("utf-8", "replace")


class CSVWriter:
    """RFC 4180, with a byte order mark."""

    def __init__(self, target: BinaryIO, columns: Sequence[str]) -> None:
        self._target = target
        self._text = io.StringIO(newline="")
        self._rows = csv.writer(self._text)
        target.write(BYTE_ORDER_MARK)
        self.add(columns)

    def add(self, cells: Sequence[Cell]) -> None:
        """See Writer."""
        self._rows.writerow([_csv_cell(cell) for cell in cells])
        if self._text.tell() > _CSV_PIECE:
            self._flush()

    def close(self) -> None:
        """See Writer."""
        self._flush()

    def _flush(self) -> None:
        self._target.write(self._text.getvalue().encode("utf-8", "replace"))
        self._text.seek(0)
        self._text.truncate()


def _csv_cell(cell: Cell) -> Cell:
    return without_formula(cell) if isinstance(cell, str) else cell


def without_formula(cell: str) -> str:
    """A cell as CSV has it: no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA_BEGINNINGS) else cell

"""One fault in an upload, as callers see it."""

from dataclasses import dataclass

from rules.codes import FindingCode


@dataclass(frozen=True, slots=True)
class Finding:
    """`row` is the record's number, the first being 1; row and column are None for a fault of the whole file.

    `column` is None too where the fault is the row's as a whole. `text` holds up to 40 characters of a cell.
    """

    row: int | None
    column: str | None
    code: FindingCode
    text: str

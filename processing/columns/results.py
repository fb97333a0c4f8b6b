"""What others need to know of the results, without the libraries that compute with columns: a finding, and the names in files."""

from dataclasses import dataclass
from typing import Final

from rules.codes import FindingCode

# The columns of a line of COPY text, in the order in which they stand on it: this is the one place that decides it. Whoever
# copies the lines into the table names these columns. The batch's number is not among them: it is the table's default.
MESSAGE_COLUMNS: Final = ("row_number", "recipient", "language", "values", "segments", "encoding")
# The column that a report begins with.
REASON_COLUMN: Final = "Error Reason"
# A report on a whole file has its reason in the header row, after the name; it can be uploaded again too.
FILE_REASON_PREFIX: Final = f"{REASON_COLUMN}: "
# Stands in the place of reasons for which a report has no room.
MORE: Final = "more"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault in an upload. `row` is the row's number, the first being 1; it and `column` are None for the file's own.

    `column` is None too where the row as a whole is meant. `text` holds up to 40 characters of a cell.
    """

    row: int | None
    column: str | None
    code: FindingCode
    text: str

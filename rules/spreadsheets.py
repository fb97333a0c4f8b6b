"""What spreadsheets write into a cell in place of its value: the errors of formulas, columns too narrow, changed numbers."""

import re
from typing import Final

# Excel, LibreOffice (`Err:502`) and Google Sheets (`#ERROR!`); number signs are a number that its column was too narrow for.
# Written so that Python and polars read it alike.
ERROR: Final = r"#N/A|#REF!|#NAME\?|#VALUE!|#DIV/0!|#NUM!|#NULL!|#SPILL!|#CALC!|#ERROR!|Err:[0-9]{3}|#{3,}"
_ERROR_PATTERN: Final = re.compile(ERROR)
# A cell written as a formula, so that a spreadsheet leaves the digits alone: ="6591234567".
_FORMULA: Final = re.compile(r'="([^"]*)"')


def is_spreadsheet_error(text: str) -> bool:
    """Whether a whole cell is a spreadsheet's error."""
    return _ERROR_PATTERN.fullmatch(text) is not None


def describe_error(error: str) -> str:
    """What is wrong with a cell that is a spreadsheet's error, and what to do: as the end of a sentence."""
    if error.startswith("##"):
        return f"{error[:10]}, which a spreadsheet shows in a column too narrow: widen the column, and save the file again"
    return (
        f"{error}, an error of the spreadsheet: mend the formula or type the value, and save the file again"
    )


def without_formula(text: str) -> str | None:
    """What stands within `="…"`; None where the text isn't written so."""
    match = _FORMULA.fullmatch(text)
    return match[1] if match else None

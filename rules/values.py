"""A parameter's value: missing, white space at an end, control characters, unsupported characters.

Decided here (4-sms-content.md §3, §5):
- Missing is an empty value or one of white space only; nothing else is said of it then. Of any other value each of the
  three further findings may be there, each at most once, in the order white space, control, unsupported.
- White space is what Python's `str.strip()` takes: Unicode's White_Space (TAB, LF, VT, FF, CR, space, U+0085, NBSP,
  U+1680, U+2000–200A, U+2028, U+2029, U+202F, U+205F, U+3000) and the separators U+001C–001F. Zero-width characters
  (U+200B, U+2060, U+FEFF) are none: they are unsupported characters of tier 3 in English rows and allowed elsewhere.
- Control characters are U+0000–001F without TAB, LF and CR, U+007F and U+0080–009F (U+0085 among them: no line break
  here). TAB inside a value is an unsupported character of tier 3 in English rows and nothing elsewhere.
- A character may cause two findings: NBSP at the end of an English value is white space and unsupported; U+0085 at the
  end is white space and control.
- Unsupported characters are asked of rows whose language is English, as `languages` reads it, whether or not the
  campaign's template has English.
"""

import re
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.characters.code_points import CONTROLS, WHITE_SPACE, polars_class, python_class
from rules.characters.unsupported import (
    UnsupportedColumn,
    UnsupportedRule,
    first_unsupported,
    first_unsupported_column,
)
from rules.codes import FindingCode

# The bits of `ValueColumn.flags`, and the code of each.
MISSING: Final = 1
WHITESPACE: Final = 2
CONTROL: Final = 4
UNSUPPORTED: Final = 8
FLAG_CODES: Final[tuple[tuple[int, FindingCode], ...]] = (
    (MISSING, FindingCode.VALUE_MISSING),
    (WHITESPACE, FindingCode.VALUE_WHITESPACE),
    (CONTROL, FindingCode.VALUE_CONTROL_CHARACTER),
    (UNSUPPORTED, FindingCode.VALUE_UNSUPPORTED_CHARACTERS),
)

_REFUSED_CONTROLS: Final = CONTROLS - set("\t\n\r")
_CONTROL_PATTERN: Final = re.compile(python_class(_REFUSED_CONTROLS))
# The same for polars.
CONTROL_CLASS: Final = polars_class(_REFUSED_CONTROLS)
# Not empty, printable ASCII and LF, no space or line end first or last, none of [ \ ] ^ ` { | } ~: no rule of
# this module says anything of such a value, and in GSM-7 it takes one unit a byte.
_PLAIN: Final = r"\A[!-Z_a-z](?:[\n -Z_a-z]*[!-Z_a-z])?\z"


class ValueColumn(NamedTuple):
    """What a column of one parameter's values was found to be.

    `flags`: for each row the bits above, or None where no row has any. `suspects`: ascending numbers of the rows that
    aren't plain (every row with a flag is one; every other row is ASCII without CR and without characters of two GSM-7 units).
    `unsupported`: rows of the UNSUPPORTED flag with their first character.
    """

    flags: npt.NDArray[np.uint8] | None
    suspects: npt.NDArray[np.int64]
    unsupported: UnsupportedColumn


def first_control_character(text: str) -> str | None:
    """The first control character of `text` other than TAB, LF and CR."""
    match = _CONTROL_PATTERN.search(text)
    return match[0] if match else None


def check_value(value: str, *, english: bool, rule: UnsupportedRule) -> list[FindingCode]:
    """The findings of one value, in the order of the module's text."""
    stripped = value.strip()
    if not stripped:
        return [FindingCode.VALUE_MISSING]
    findings = []
    if stripped != value:
        findings.append(FindingCode.VALUE_WHITESPACE)
    if first_control_character(value):
        findings.append(FindingCode.VALUE_CONTROL_CHARACTER)
    if english and first_unsupported(value, rule):
        findings.append(FindingCode.VALUE_UNSUPPORTED_CHARACTERS)
    return findings


def find_suspects(series: pl.Series) -> npt.NDArray[np.int64]:
    """Ascending numbers of the rows of a String column whose text isn't plain, as told at `ValueColumn`."""
    return np.flatnonzero(~series.str.contains(_PLAIN).to_numpy())


def check_values(series: pl.Series, english: npt.NDArray[np.bool_], rule: UnsupportedRule) -> ValueColumn:
    """`check_value` over a String column without nulls; `english` tells which rows are in English."""
    suspects = find_suspects(series)
    if not len(suspects):
        return ValueColumn(None, suspects, UnsupportedColumn(suspects, series.clear()))
    asked = series.gather(suspects)
    stripped = asked.str.strip_chars(WHITE_SPACE)
    missing = (stripped == "").to_numpy()
    found = np.where(missing, MISSING, 0).astype(np.uint8)
    found[~missing & (stripped != asked).to_numpy()] |= WHITESPACE
    found[~missing & asked.str.contains(CONTROL_CLASS).to_numpy()] |= CONTROL
    unsupported = first_unsupported_column(series, rule, suspects[english[suspects] & ~missing])
    found[np.searchsorted(suspects, unsupported.rows)] |= UNSUPPORTED
    if not found.any():
        return ValueColumn(None, suspects, unsupported)
    flags = np.zeros(len(series), np.uint8)
    flags[suspects] = found
    return ValueColumn(flags, suspects, unsupported)

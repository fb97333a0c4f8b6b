"""A parameter's value: missing, garbled, white space at an end, control characters, errors, markup, unsupported characters.

Decided here (2-gateway.md §3, 4-sms-content.md §3, §5):
- Missing is a value without a character that can be seen: empty, or of white space, default-ignorable characters and U+2800
  only; nothing else is said of it then. Of any other value each further finding may be there, each at most once.
- A garbled value (see `mojibake`) is asked for white space, control characters, errors and markup as it was meant to be read, and
  never for unsupported characters: `Ã` with a no-break space is an à, and `Iâ€™m` has no euro in it.
- White space is what Python's `str.strip()` takes: Unicode's White_Space (TAB, LF, VT, FF, CR, space, U+0085, NBSP,
  U+1680, U+2000–200A, U+2028, U+2029, U+202F, U+205F, U+3000) and the separators U+001C–001F. Zero-width characters
  (U+200B, U+2060, U+FEFF) beside others are none: they are unsupported characters of tier 3 in English rows and allowed
  elsewhere.
- Control characters are U+0000–001F without TAB, LF and CR, U+007F and U+0080–009F (U+0085 among them: no line break
  here). TAB inside a value is an unsupported character of tier 3 in English rows and nothing elsewhere.
- A character may cause two findings: NBSP at the end of an English value is white space and unsupported; U+0085 at the
  end is white space and control.
- Unsupported characters are asked of rows whose language is English, as `languages` reads it, whether or not the
  campaign's template has English.
"""

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.characters.code_points import (
    CONTROLS,
    INVISIBLE,
    WHITE_SPACE,
    name_character,
    polars_class,
    python_class,
)
from rules.characters.unsupported import (
    UnsupportedColumn,
    UnsupportedRule,
    first_unsupported,
    first_unsupported_column,
)
from rules.codes import FindingCode
from rules.markup import first_markup, markup_rows, may_have_markup
from rules.mojibake import read_again, read_again_column
from rules.spreadsheets import is_spreadsheet_error, spreadsheet_errors

# The bits of `ValueColumn.flags`, and the code of each, in the order in which they are told.
MISSING: Final = 1
GARBLED: Final = 2
WHITESPACE: Final = 4
CONTROL: Final = 8
SPREADSHEET_ERROR: Final = 16
MARKUP: Final = 32
UNSUPPORTED: Final = 64
FLAG_CODES: Final[tuple[tuple[int, FindingCode], ...]] = (
    (MISSING, FindingCode.VALUE_MISSING),
    (GARBLED, FindingCode.ENCODING_INVALID),
    (WHITESPACE, FindingCode.VALUE_WHITESPACE),
    (CONTROL, FindingCode.VALUE_CONTROL_CHARACTER),
    (SPREADSHEET_ERROR, FindingCode.VALUE_SPREADSHEET_ERROR),
    (MARKUP, FindingCode.VALUE_MARKUP),
    (UNSUPPORTED, FindingCode.VALUE_UNSUPPORTED_CHARACTERS),
)

_REFUSED_CONTROLS: Final = CONTROLS - set("\t\n\r")
_CONTROL_PATTERN: Final = re.compile(python_class(_REFUSED_CONTROLS))
# The same for polars.
CONTROL_CLASS: Final = polars_class(_REFUSED_CONTROLS)
_UNSEEN: Final = INVISIBLE | set(WHITE_SPACE)
_UNSEEN_PATTERN: Final = re.compile(python_class(_UNSEEN) + "*")
_UNSEEN_SHAPE: Final = rf"\A{polars_class(_UNSEEN)}*\z"
# Not empty, printable ASCII and LF, no space or line end first or last, none of & < _ [ \ ] ^ ` { | } ~, and no # and no Er
# first, which begin the spreadsheets' errors; E alone isn't plain either, for the sake of a shorter expression. No rule of this
# module says anything of a plain value, and in GSM-7 it takes one unit a byte.
_PLAIN_WITHIN: Final = r"[\n -%'-;=-Za-z]*[!-%'-;=-Za-z]"
_PLAIN_WITH_E: Final = rf"E(?:[!-%'-;=-Za-qs-z]|[\n -%'-;=-Za-qs-z]{_PLAIN_WITHIN})"
_PLAIN: Final = rf"\A(?:[!\x22$%'-;=-DF-Za-z](?:{_PLAIN_WITHIN})?|{_PLAIN_WITH_E})\z"


@dataclass(frozen=True, slots=True)
class ValueRule:
    """Which values are refused, as far as a deployment may choose."""

    unsupported: UnsupportedRule = field(default_factory=UnsupportedRule)
    spreadsheet_errors: bool = True
    markup: bool = True


class ValueColumn(NamedTuple):
    """What a column of one parameter's values was found to be.

    `flags`: for each row the bits above, or None where no row has any. `suspects`: ascending numbers of the rows that
    aren't plain (every row with a flag is one; every other row is ASCII without CR and without characters of two GSM-7 units).
    `unsupported`: rows of the UNSUPPORTED flag with their first character. `meant`: the values, garbled ones as they were meant.
    """

    flags: npt.NDArray[np.uint8] | None
    suspects: npt.NDArray[np.int64]
    unsupported: UnsupportedColumn
    meant: pl.Series


def first_control_character(text: str) -> str | None:
    """The first control character of `text` other than TAB, LF and CR."""
    match = _CONTROL_PATTERN.search(text)
    return match[0] if match else None


def describe_unseen(value: str) -> str:
    """What a value that looks empty has in it, in brackets; nothing where it is white space."""
    unseen = [char for char in value[:40] if char in INVISIBLE]
    return f" (it only has {name_character(unseen[0])}, which can't be seen)" if unseen else ""


def check_value(value: str, *, english: bool, rule: ValueRule) -> list[FindingCode]:
    """The findings of one value, in the order of FLAG_CODES."""
    if _UNSEEN_PATTERN.fullmatch(value):
        return [FindingCode.VALUE_MISSING]
    findings = []
    meant = read_again(value)
    if meant is not None:
        findings.append(FindingCode.ENCODING_INVALID)
        value = meant
    if value.strip() != value:
        findings.append(FindingCode.VALUE_WHITESPACE)
    if first_control_character(value):
        findings.append(FindingCode.VALUE_CONTROL_CHARACTER)
    if rule.spreadsheet_errors and is_spreadsheet_error(value):
        findings.append(FindingCode.VALUE_SPREADSHEET_ERROR)
    if rule.markup and first_markup(value):
        findings.append(FindingCode.VALUE_MARKUP)
    if english and meant is None and first_unsupported(value, rule.unsupported):
        findings.append(FindingCode.VALUE_UNSUPPORTED_CHARACTERS)
    return findings


def find_suspects(series: pl.Series) -> npt.NDArray[np.int64]:
    """Ascending numbers of the rows of a String column whose text isn't plain, as told at `ValueColumn`."""
    return np.flatnonzero(~series.str.contains(_PLAIN).to_numpy())


def check_values(series: pl.Series, english: npt.NDArray[np.bool_], rule: ValueRule) -> ValueColumn:
    """`check_value` over a String column without nulls; `english` tells which rows are in English."""
    suspects = find_suspects(series)
    if not len(suspects):
        return ValueColumn(None, suspects, UnsupportedColumn(suspects, series.clear()), series)
    asked = series.gather(suspects)
    is_garbled = np.zeros(len(asked), np.bool_)
    meant = series
    garbled, readings = read_again_column(asked)
    if len(garbled):
        is_garbled[garbled] = True
        asked = asked.scatter(garbled, readings)
        meant = series.clone().scatter(suspects[garbled], readings)
    found = _flags_of(asked, is_garbled, rule)
    among = suspects[english[suspects] & (found & (MISSING | GARBLED) == 0)]
    unsupported = first_unsupported_column(series, rule.unsupported, among)
    found[np.searchsorted(suspects, unsupported.rows)] |= UNSUPPORTED
    if not found.any():
        return ValueColumn(None, suspects, unsupported, meant)
    flags = np.zeros(len(series), np.uint8)
    flags[suspects] = found
    return ValueColumn(flags, suspects, unsupported, meant)


def _flags_of(meant: pl.Series, is_garbled: npt.NDArray[np.bool_], rule: ValueRule) -> npt.NDArray[np.uint8]:
    """All flags but UNSUPPORTED of values as they were meant."""
    text, garbled = pl.col("text"), pl.col("garbled")
    missing = text.str.contains(_UNSEEN_SHAPE) & ~garbled
    # All are asked at once, since a question of its own takes longer than most answers do.
    questions = {
        MISSING: missing,
        GARBLED: garbled,
        WHITESPACE: ~missing & (text.str.strip_chars(WHITE_SPACE) != text),
        CONTROL: ~missing & text.str.contains(CONTROL_CLASS),
    }
    if rule.spreadsheet_errors:
        questions[SPREADSHEET_ERROR] = spreadsheet_errors(text)
    if rule.markup:
        questions[MARKUP] = may_have_markup(text)
    values = pl.DataFrame({"text": meant, "garbled": is_garbled})
    answers = values.select(**{str(flag): question for flag, question in questions.items()})
    flags = np.zeros(len(meant), np.uint8)
    for flag in questions:
        rows = np.flatnonzero(answers[str(flag)].to_numpy())
        if flag == MARKUP and len(rows):
            rows = rows[markup_rows(meant.gather(rows))]
        flags[rows] |= flag
    return flags

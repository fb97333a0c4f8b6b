"""`rules.values` over columns: what is wrong with each value of one parameter."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.characters.code_points import WHITE_SPACE, polars_class
from rules.codes import FindingCode
from rules.columns.markup import markup_rows, may_have_markup
from rules.columns.mojibake import read_again_column
from rules.columns.spreadsheets import spreadsheet_errors
from rules.columns.unsupported import UnsupportedColumn, first_unsupported_column
from rules.values import REFUSED_CONTROLS, UNSEEN, ValueRule

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
# REFUSED_CONTROLS, for polars.
CONTROL_CLASS: Final = polars_class(REFUSED_CONTROLS)
_UNSEEN_SHAPE: Final = rf"\A{polars_class(UNSEEN)}*\z"
# Not empty, printable ASCII and LF, no space or line end first or last, none of & < _ [ \ ] ^ ` { | } ~, and no # and no Er
# first, which begin the spreadsheets' errors; E alone isn't plain either, for the sake of a shorter expression. No rule of values
# says anything of a plain value, and in GSM-7 it takes one unit a byte.
_PLAIN_WITHIN: Final = r"[\n -%'-;=-Za-z]*[!-%'-;=-Za-z]"
_PLAIN_WITH_E: Final = rf"E(?:[!-%'-;=-Za-qs-z]|[\n -%'-;=-Za-qs-z]{_PLAIN_WITHIN})"
_PLAIN: Final = rf"\A(?:[!\x22$%'-;=-DF-Za-z](?:{_PLAIN_WITHIN})?|{_PLAIN_WITH_E})\z"


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

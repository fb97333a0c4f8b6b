"""`rules.recipients` over columns: what is wrong with each recipient."""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from config.environment import Environment
from rules.characters.code_points import WHITE_SPACE
from rules.codes import FindingCode
from rules.recipients import (
    CODE_BITS,
    CODE_MASK,
    MAX_DIGITS,
    RECIPIENT_FINDINGS,
    SEPARATED,
    SHAPES,
    check_shape,
    compiled_table,
)

# Only recipients with this are told something better than that they are no number.
EXPLAINED: Final = r"\A\s*(?:[#='\x22]|Err:)|[^\x00-\x7F]|[\x00-\x08\x0E-\x1F\x7F]|,"
# By a count of digits, the least number that has so many; no number has none.
_LEAST_OF_LENGTH: Final = np.array([2**63 - 1, *(10**more for more in range(MAX_DIGITS))])
_SINGAPORE_FIRST: Final = 6580000000
_SINGAPORE_LAST: Final = 6599999999
_SINGAPORE_LENGTH: Final = 10
_place_of: Final = RECIPIENT_FINDINGS.index


@cache
def _table(environment: Environment) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """First numbers of the intervals, and what holds of each interval's numbers. Read once."""
    packed = np.frombuffer(compiled_table(), np.int64)
    findings = (packed & CODE_MASK).astype(np.uint8)
    if environment is Environment.TEST:
        findings[findings == _place_of(FindingCode.RECIPIENT_SIMULATOR_NUMBER)] = 0
    return packed >> CODE_BITS, findings


def check_recipients(series: pl.Series, environment: Environment) -> npt.NDArray[np.uint8]:
    """`check_recipient` over a String column without nulls, as places in RECIPIENT_FINDINGS.

    Mobile numbers of Singapore are found by their value alone, other whole numbers by a binary search in the table;
    only what is left has its shape looked at.
    """
    lengths = series.str.len_bytes().to_numpy()
    # Whatever isn't a whole number of 64 bits becomes 0.
    numbers = series.cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    findings = np.zeros(len(series), np.uint8)
    singapore = (numbers >= _SINGAPORE_FIRST) & (numbers <= _SINGAPORE_LAST) & (lengths == _SINGAPORE_LENGTH)
    rest = np.flatnonzero(~singapore)
    if not len(rest):
        return findings
    # "+5", "-5" and "05" were read as numbers too, but have more characters than their value has digits.
    least = _LEAST_OF_LENGTH[np.minimum(lengths[rest], MAX_DIGITS)]
    plain = (numbers[rest] >= least) & (lengths[rest] <= MAX_DIGITS)
    looked_up = rest[plain]
    if len(looked_up):
        firsts, answers = _table(environment)
        findings[looked_up] = answers[np.searchsorted(firsts, numbers[looked_up], side="right") - 1]
    odd = rest[~plain]
    if len(odd):
        findings[odd] = _check_shapes(series.gather(odd))
    return findings


def _check_shapes(texts: pl.Series) -> npt.NDArray[np.uint8]:
    """`check_recipient` of texts that begin with 0, are longer than MAX_DIGITS or aren't only digits."""
    text = pl.col(texts.name)
    stripped = text.str.strip_chars(WHITE_SPACE)
    only_digits = text.str.contains(r"\A[0-9]+\z")
    shapes = [
        (stripped == "", FindingCode.RECIPIENT_MISSING),
        (only_digits & text.str.starts_with("0"), FindingCode.RECIPIENT_LEADING_ZERO),
        (only_digits, FindingCode.RECIPIENT_TOO_LONG),
        (stripped.str.contains(r"\A[0-9]+\z"), FindingCode.RECIPIENT_WHITESPACE),
        *((text.str.contains(rf"\A{shape}\z"), code) for shape, code in SHAPES),
        (
            text.str.contains(rf"\A{SEPARATED}\z") & text.str.contains(r"[0-9]"),
            FindingCode.RECIPIENT_HAS_SEPARATORS,
        ),
    ]
    decided = pl.lit(_place_of(FindingCode.RECIPIENT_NOT_DIGITS))
    for applies, code in reversed(shapes):
        decided = pl.when(applies).then(_place_of(code)).otherwise(decided)
    findings = texts.to_frame().select(decided.cast(pl.UInt8)).to_series().to_numpy().copy()
    # Rare shapes are read one by one; and which characters are digits elsewhere, Python decides: polars may know a newer Unicode.
    rare = texts.str.contains(r'[^\x00-\x7F]|\A="').to_numpy()
    for row in np.flatnonzero(rare & (findings == _place_of(FindingCode.RECIPIENT_NOT_DIGITS))):
        findings[row] = _place_of(check_shape(texts[int(row)]))
    return findings

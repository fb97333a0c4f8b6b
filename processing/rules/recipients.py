"""Recipients: mobile numbers with country code, ASCII digits only; the ten steps of 4-sms-content.md §4.

The first rule that applies gives the code. Whatever is a number without leading zero, of at most 15 digits, is answered
by one table of integer intervals (compiled by `compile_recipients` from libphonenumber's metadata). White space is what
Python's `str.strip()` takes, here and in `values`.
"""

import re
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from config.environment import Environment
from processing.rules.codes import FindingCode

SIMULATOR_NUMBERS: Final = frozenset(
    {
        6511111111,  # recipient_invalid
        6511112222,  # recipient_unavailable
        6511113333,  # content_invalid
        6511114444,  # routing_error
        6511115555,  # message_expired
        6511119999,  # delivery_unknown_error
        6522222222,  # server_unknown_error
    }
)
# What `check_recipients` returns are places in this tuple; so are the compiled table's answers.
RECIPIENT_FINDINGS: Final[tuple[FindingCode | None, ...]] = (
    None,
    *(code for code in FindingCode if code.value.startswith("recipient_")),
)
MAX_DIGITS: Final = 15

_DIGITS: Final = re.compile(r"[0-9]+")
_SHAPES: Final = (
    (re.compile(r"[0-9]+(\.[0-9]+)?[eE]\+?[0-9]+"), FindingCode.RECIPIENT_SCIENTIFIC_NOTATION),
    (re.compile(r"[0-9]+\.0*"), FindingCode.RECIPIENT_DECIMAL),
    (re.compile(r"\+[0-9]+"), FindingCode.RECIPIENT_HAS_PLUS),
    (re.compile(r"(?=.*[0-9])[+0-9()\-\s.]+", re.DOTALL), FindingCode.RECIPIENT_HAS_SEPARATORS),
)


def check_recipient(text: str, environment: Environment) -> FindingCode | None:
    """What is wrong with one recipient, if anything."""
    if not _DIGITS.fullmatch(text):
        return _check_shape(text)
    number = int(text) if len(text) <= MAX_DIGITS else 0
    if number in SIMULATOR_NUMBERS and text[0] != "0":
        return None if environment is Environment.TEST else FindingCode.RECIPIENT_SIMULATOR_NUMBER
    if text[0] == "0":
        return FindingCode.RECIPIENT_LEADING_ZERO
    if len(text) > MAX_DIGITS:
        return FindingCode.RECIPIENT_TOO_LONG
    return None


def _check_shape(text: str) -> FindingCode:
    """Step 1 and 2: what is not only ASCII digits."""
    stripped = text.strip()
    if not stripped:
        return FindingCode.RECIPIENT_MISSING
    if _DIGITS.fullmatch(stripped):
        return FindingCode.RECIPIENT_WHITESPACE
    for shape, code in _SHAPES:
        if shape.fullmatch(text):
            return code
    if any(char.isdecimal() and not char.isascii() for char in text):
        return FindingCode.RECIPIENT_NON_ASCII_DIGITS
    return FindingCode.RECIPIENT_NOT_DIGITS


def check_recipients(series: pl.Series, environment: Environment) -> npt.NDArray[np.uint8]:
    """`check_recipient` over a String column without nulls, as places in RECIPIENT_FINDINGS."""
    return np.array(
        [RECIPIENT_FINDINGS.index(check_recipient(text, environment)) for text in series], np.uint8
    )

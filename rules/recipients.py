"""Recipients: mobile numbers with country code, ASCII digits only; the ten steps of 4-sms-content.md §4.

The first rule that applies gives the code. Whatever is a number without leading zero, of at most 15 digits, is answered
by one table of integer intervals (`tools.compile_recipients` makes it from libphonenumber's metadata). White space is what
Python's `str.strip()` takes, here and in `values`.
"""

import re
import sys
from array import array
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import Final

from config.environment import Environment
from rules.characters.code_points import INVISIBLE, WHITE_SPACE, name_character, python_class
from rules.codes import FindingCode
from rules.spreadsheets import describe_error, is_spreadsheet_error, without_formula
from rules.texts import NO_NUMBER, quote

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
# What `columns.recipients.check_recipients` returns are places in this tuple; so are the compiled table's answers.
RECIPIENT_FINDINGS: Final[tuple[FindingCode | None, ...]] = (
    None,
    *(code for code in FindingCode if code.value.startswith("recipient_")),
)
MAX_DIGITS: Final = 15
# The compiled table: each interval's first number, shifted left by CODE_BITS, and its finding's place above; ascending.
CODE_BITS: Final = 5
CODE_MASK: Final = (1 << CODE_BITS) - 1
TABLE_PATH: Final = Path(__file__).parent / "data" / "recipients.npy"
TABLE_ABOUT_PATH: Final = TABLE_PATH.with_suffix(".json")

_DIGITS: Final = re.compile(r"[0-9]+")
# In the order tried, after white space around digits; written so that Python and polars read them alike. Some spreadsheets
# write a comma for the point.
SHAPES: Final = (
    (r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+", FindingCode.RECIPIENT_SCIENTIFIC_NOTATION),
    (r"[0-9]+[.,]0*", FindingCode.RECIPIENT_DECIMAL),
    (r"\+[0-9]+", FindingCode.RECIPIENT_HAS_PLUS),
)
_SHAPE_PATTERNS: Final = tuple((re.compile(shape), code) for shape, code in SHAPES)
SEPARATED: Final = rf"[+0-9()\-.{WHITE_SPACE}]+"
_SEPARATED_PATTERN: Final = re.compile(SEPARATED)
_DIGIT: Final = re.compile(r"[0-9]")
_NUMBER: Final = re.compile(r"\+?[0-9]+")
_INVISIBLE: Final = re.compile(python_class(INVISIBLE))
_COMMAS: Final = re.compile(r"[0-9, ]*[0-9],[0-9, ]*")
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7F]")
# With so many digits a text was meant to be a number.
_MANY_DIGITS: Final = 7
_CONTROL: Final = re.compile(r"[\x00-\x08\x0E-\x1F\x7F]")


@cache
def compiled_table() -> "array[int]":
    """The compiled table, read once: without numpy, which takes longer to load and is needed here for nothing else."""
    stored = TABLE_PATH.read_bytes()
    # Version 1.0 of numpy's format .npy: eight bytes, two with the length of the header, the header, little-endian numbers.
    begin = 10 + int.from_bytes(stored[8:10], "little")
    table = array("q", stored[begin:])
    if sys.byteorder == "big":
        table.byteswap()
    return table


def check_recipient(text: str, environment: Environment) -> FindingCode | None:
    """What is wrong with one recipient, if anything."""
    if not _DIGITS.fullmatch(text):
        return check_shape(text)
    if text[0] == "0":
        return FindingCode.RECIPIENT_LEADING_ZERO
    if len(text) > MAX_DIGITS:
        return FindingCode.RECIPIENT_TOO_LONG
    table = compiled_table()
    # The last interval that begins at the number or before it, whatever its finding.
    interval = table[bisect_right(table, int(text) << CODE_BITS | CODE_MASK) - 1]
    code = RECIPIENT_FINDINGS[interval & CODE_MASK]
    simulated = environment is Environment.TEST and code is FindingCode.RECIPIENT_SIMULATOR_NUMBER
    return None if simulated else code


def check_shape(text: str) -> FindingCode:
    """Steps 1 and 2: whatever is not only ASCII digits."""
    code = _shape_of(text)
    if code is None:
        # The formula by which a spreadsheet keeps digits as they are hides the same shapes.
        formula = without_formula(text)
        code = None if formula is None else _shape_of(formula)
    if code is None and any(char.isdecimal() and not char.isascii() for char in text):
        return FindingCode.RECIPIENT_NON_ASCII_DIGITS
    return code or FindingCode.RECIPIENT_NOT_DIGITS


def _shape_of(text: str) -> FindingCode | None:
    """The first shape that fits, if any; digits alone have none."""
    stripped = text.strip()
    if not stripped:
        return FindingCode.RECIPIENT_MISSING
    if _DIGITS.fullmatch(stripped):
        return FindingCode.RECIPIENT_WHITESPACE if stripped != text else None
    for shape, code in _SHAPE_PATTERNS:
        if shape.fullmatch(text):
            return code
    if _SEPARATED_PATTERN.fullmatch(text) and _DIGIT.search(text):
        return FindingCode.RECIPIENT_HAS_SEPARATORS
    if not text.isascii() and _NUMBER.fullmatch(_INVISIBLE.sub("", text)):
        return FindingCode.RECIPIENT_INVISIBLE_CHARACTER
    return None


def describe_invisible(text: str) -> str:
    """The first invisible character of a recipient, by code point and name; nothing where it has none."""
    match = _INVISIBLE.search(text)
    return name_character(match[0]) if match else ""


def explain_not_digits(text: str) -> str:
    """What is wrong with a recipient of RECIPIENT_NOT_DIGITS, and what to do: the end of the sentence that begins with it."""
    if is_spreadsheet_error(text.strip()):
        return f"is {describe_error(text.strip())}"
    if without_formula(text) is not None:
        return f'{quote(text)} has =" before and " after the number: remove them, and give the digits only'
    if text.startswith("'"):
        return f"{quote(text)} has an apostrophe before the number: remove it, and give the digits only"
    control = _CONTROL.search(text)
    unseen = name_character(control[0]) if control else describe_invisible(text)
    if unseen:
        return f"{quote(text)} has {unseen}, which can't be seen: delete the cell and type the number again, digits only"
    if _COMMAS.fullmatch(text):
        return f"{quote(text)} has a comma in it: give one number in a row, digits only"
    foreign = _BEYOND_ASCII.search(text)
    if foreign and len(_DIGIT.findall(text)) >= _MANY_DIGITS:
        return f"{quote(text)} has {quote(foreign[0])} (U+{ord(foreign[0]):04X}) in it, which is no digit: give the digits only"
    return f"{quote(text)}{NO_NUMBER}"

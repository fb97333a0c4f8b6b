"""NRIC and FIN numbers: S, T, F, G or M, seven digits, and a letter that is computed from them.

The letter is a checksum: the digits are weighted, each series adds a number of its own, and the remainder by 11 is a place among
the letters of the series. Upper case only: a number in lower case is none (8-api.md §2.2).
"""

import re
from typing import Final

_FORM: Final = re.compile(r"[STFGM][0-9]{7}[A-Z]")
_WEIGHTS: Final = (2, 7, 6, 5, 4, 3, 2)
# What a series adds to the weighted digits, and its letters by the remainder.
_SERIES: Final = {
    "S": (0, "JZIHGFEDCBA"),
    "T": (4, "JZIHGFEDCBA"),
    "F": (0, "XWUTRQPNMLK"),
    "G": (4, "XWUTRQPNMLK"),
    "M": (3, "XWUTRQPNJLK"),
}
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9-]{3,32}", re.ASCII)


def is_nric(text: str) -> bool:
    """Whether `text` is a number that may be a person's: its form and its checksum are right."""
    if not _FORM.fullmatch(text):
        return False
    added, letters = _SERIES[text[0]]
    total = added + sum(int(digit) * weight for digit, weight in zip(text[1:8], _WEIGHTS, strict=True))
    return letters[total % 11] == text[8]


def is_test_identifier(text: str) -> bool:
    """Whether the test environment may take `text` for an NRIC: its form is right, and it is no real one in any case."""
    return _IDENTIFIER.fullmatch(text) is not None and not is_nric(text.upper())

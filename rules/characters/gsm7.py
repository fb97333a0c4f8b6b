"""The GSM 03.38 default alphabet: which texts fit it, and how many units (septets) they take.

Source: 3GPP TS 23.038 §6.2.1 (BASIC, in code order) and §6.2.1.1 (EXTENSION), without national shift tables. ESC is
no character. 0x09 is the capital Ç; the backtick is the only printable ASCII character outside.
"""

import re
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
ESCAPE: Final = "\x1b"
EXTENSION: Final = "\f^{}\\[~]|€"

# Any character of one unit.
_PLAIN: Final = "x"
_OUTSIDE: Final = f"[^{re.escape(BASIC + EXTENSION)}]"
_OUTSIDE_PATTERN: Final = re.compile(_OUTSIDE)
_EXTENSION_PATTERN: Final = re.compile(f"[{re.escape(EXTENSION)}]")
# The same classes for polars, whose regular expressions know no needless escapes of letters beyond ASCII.
_OUTSIDE_CLASS: Final = "[^" + "".join(rf"\x{{{ord(char):X}}}" for char in BASIC + EXTENSION) + "]"
_EXTENSION_CLASS: Final = "[" + "".join(rf"\x{{{ord(char):X}}}" for char in EXTENSION) + "]"


def is_gsm7(text: str) -> bool:
    """Whether every character of `text` is in the alphabet or its extension."""
    return _OUTSIDE_PATTERN.search(text) is None


def gsm7_units(text: str) -> int:
    """Septets that `text` takes: one a character, two for those of the extension. Only of a text that `is_gsm7`."""
    return len(text) + len(_EXTENSION_PATTERN.findall(text))


def contains_non_gsm7(series: pl.Series) -> npt.NDArray[np.bool_]:
    """For each text of a String column, whether some character of it is outside the alphabet."""
    return series.str.contains(_OUTSIDE_CLASS).to_numpy()


def extension_counts(series: pl.Series) -> npt.NDArray[np.int64]:
    """For each text of a String column, how many of its characters take two units."""
    return series.str.count_matches(_EXTENSION_CLASS).to_numpy().astype(np.int64)


def all_gsm7(text: str) -> str:
    """`text` with a character of GSM-7 in the place of each one that is outside: of what it would be, if that were avoided."""
    return _OUTSIDE_PATTERN.sub(_PLAIN, text)


def with_gsm7(series: pl.Series) -> pl.Series:
    """The same for each text of a String column."""
    return series.str.replace_all(_OUTSIDE_CLASS, _PLAIN)


def outside_characters(series: pl.Series) -> pl.Series:
    """For each text of a String column, the characters that are outside, each once."""
    return series.str.extract_all(_OUTSIDE_CLASS).list.unique()


def with_escapes(text: str) -> str:
    """`text` with ESC before each character of the extension: one character a unit. Only of a text that `is_gsm7`."""
    return _EXTENSION_PATTERN.sub(rf"{ESCAPE}\g<0>", text)

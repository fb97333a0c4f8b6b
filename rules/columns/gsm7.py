"""`rules.characters.gsm7` over columns: which texts of a column fit GSM-7, and how many units they take."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.characters.gsm7 import BASIC, EXTENSION, PLAIN

# The classes of `rules.characters.gsm7` for polars, whose regular expressions know no needless escapes of letters beyond ASCII.
_OUTSIDE_CLASS: Final = "[^" + "".join(rf"\x{{{ord(char):X}}}" for char in BASIC + EXTENSION) + "]"
_EXTENSION_CLASS: Final = "[" + "".join(rf"\x{{{ord(char):X}}}" for char in EXTENSION) + "]"


def contains_non_gsm7(series: pl.Series) -> npt.NDArray[np.bool_]:
    """For each text of a String column, whether some character of it is outside the alphabet."""
    return series.str.contains(_OUTSIDE_CLASS).to_numpy()


def extension_counts(series: pl.Series) -> npt.NDArray[np.int64]:
    """For each text of a String column, how many of its characters take two units."""
    return series.str.count_matches(_EXTENSION_CLASS).to_numpy().astype(np.int64)


def with_gsm7(series: pl.Series) -> pl.Series:
    """`all_gsm7` of each text of a String column."""
    return series.str.replace_all(_OUTSIDE_CLASS, PLAIN)


def outside_characters(series: pl.Series) -> pl.Series:
    """For each text of a String column, the characters that are outside, each once."""
    return series.str.extract_all(_OUTSIDE_CLASS).list.unique()

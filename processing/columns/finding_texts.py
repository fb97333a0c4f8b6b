"""Texts of findings in columns: the same words as `rules.texts` gives one by one."""

from collections.abc import Mapping
from string import Formatter
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.codes import FindingCode
from rules.texts import QUOTED_CHARACTERS, quote, text_of

# What Python's str.isprintable() denies: everything of Unicode's "other" and "separator" classes but the space.
_UNPRINTABLE: Final = r"[[\p{C}\p{Z}]--[ ]]"

Facts = Mapping[str, str | pl.Series]


def reason_column(code: FindingCode, count: int, facts: Facts) -> pl.Series:
    """The text of a code for each of `count` rows; a fact is the same for all, or a String column."""
    words: list[str | pl.Series] = []
    for literal, name, _, _ in Formatter().parse(text_of(code)):
        words.append(literal)
        if name:
            words.append(facts[name])
    if not any(isinstance(word, pl.Series) for word in words):
        return pl.Series([f"{''.join(map(str, words))}"]).new_from_index(0, count)
    return pl.select(pl.concat_str([pl.lit(word) for word in words])).to_series()


def quote_column(series: pl.Series) -> pl.Series:
    """`quote` over a String column."""
    plain = series
    longest = series.str.len_bytes().max()
    if isinstance(longest, int) and longest > QUOTED_CHARACTERS:
        cut = series.str.head(QUOTED_CHARACTERS)
        plain = (cut + "…").zip_with(series.str.len_chars() > QUOTED_CHARACTERS, cut)
    return _replace_some(plain, series, series.str.contains(_UNPRINTABLE))


def _replace_some(plain: pl.Series, series: pl.Series, unprintable: pl.Series) -> pl.Series:
    rows = unprintable.arg_true()
    if not len(rows):
        return plain
    shown = [quote(text) for text in series.gather(rows).str.head(QUOTED_CHARACTERS + 1)]
    return plain.clone().scatter(rows, shown)


def numbers_column(numbers: npt.NDArray[np.int64]) -> pl.Series:
    """Numbers with commas at the thousands."""
    distinct, places = np.unique(numbers, return_inverse=True)
    return pl.Series([f"{number:,}" for number in distinct.tolist()], dtype=pl.String).gather(places)

"""`rules.characters.unsupported` over columns: which texts of a column have a refused character."""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.characters.code_points import polars_class
from rules.characters.unsupported import UnsupportedRule, replacements


class UnsupportedColumn(NamedTuple):
    """The rows of a column that have a refused character, ascending, and the first such character of each."""

    rows: npt.NDArray[np.int64]
    characters: pl.Series


@cache
def _polars_pattern(rule: UnsupportedRule) -> str:
    return f"({polars_class(replacements(rule))})"


def first_unsupported_column(
    series: pl.Series, rule: UnsupportedRule, among: npt.NDArray[np.int64] | None = None
) -> UnsupportedColumn:
    """The rows of a String column with a refused character. `among` (ascending row numbers) are the only ones asked."""
    asked = series if among is None else series.gather(among)
    found = asked.str.extract(_polars_pattern(rule), 1)
    there = found.is_not_null()
    rows = np.flatnonzero(there.to_numpy())
    return UnsupportedColumn(rows if among is None else among[rows], found.filter(there))

"""`rules.markup` over columns: which texts of a column have markup."""

from typing import Final

import polars as pl

from rules.markup import SHAPE, first_markup

_BEGINNING: Final = "[&<_]"


def may_have_markup(texts: pl.Expr) -> pl.Expr:
    """Whether texts are worth asking for markup: of most this cheap expression tells that they have none."""
    return texts.str.contains(_BEGINNING)


def markup_rows(series: pl.Series) -> list[int]:
    """The rows of a String column whose texts have markup, ascending."""
    asked = series.str.contains(SHAPE).arg_true()
    return [
        row for row, text in zip(asked.to_list(), series.gather(asked), strict=True) if first_markup(text)
    ]

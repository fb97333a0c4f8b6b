"""`rules.spreadsheets` over columns: which texts of a column are a spreadsheet's errors."""

import polars as pl

from rules.spreadsheets import ERROR


def spreadsheet_errors(texts: pl.Expr) -> pl.Expr:
    """`is_spreadsheet_error` of each text of a String column."""
    return texts.str.contains(rf"\A(?:{ERROR})\z")

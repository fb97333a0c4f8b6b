"""A column of one parameter's values, measured once for lengths, encodings and segments of all messages made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.characters.graphemes import tangled_class
from rules.columns.gsm7 import contains_non_gsm7, extension_counts
from rules.messages import Layout

UNBOUNDED: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Measures:
    """What counting needs to know of each value. All arrays are by row; None: no row has any.

    `texts`: the values with line ends made LF. `units`: their UTF-16 units. `extensions`: their characters of two
    GSM-7 units. `non_gsm7`: whether one of their characters is outside GSM-7. `slack`: how many units a UCS-2 segment
    may at most lack because a grapheme of the value doesn't fit it any more (UNBOUNDED where that wasn't worked out); a
    value of slack 0 matters to packing by its length only.
    """

    texts: pl.Series
    units: npt.NDArray[np.int64]
    extensions: npt.NDArray[np.int64] | None
    non_gsm7: npt.NDArray[np.bool_] | None
    slack: npt.NDArray[np.int64] | None


def line_feed_column(series: pl.Series) -> pl.Series:
    """A String column with each CRLF and CR made one LF; the column itself where it has no CR."""
    if not series.str.contains("\r", literal=True).any():
        return series
    return series.str.replace_all("\r\n", "\n", literal=True).str.replace_all("\r", "\n", literal=True)


def measure(series: pl.Series, suspects: npt.NDArray[np.int64] | None = None) -> Measures:
    """Measures a String column without nulls.

    `suspects`: ascending numbers of the rows that may be other than plain (see `values.ValueColumn`); by default all.
    """
    height = len(series)
    rows = np.arange(height) if suspects is None else suspects
    if not len(rows):
        return Measures(series, _byte_lengths(series), None, None, None)
    asked = series if len(rows) == height else series.gather(rows)
    with_line_feeds = line_feed_column(asked)
    texts = series
    if with_line_feeds is not asked:
        texts = with_line_feeds if asked is series else series.scatter(rows, with_line_feeds)
        asked = with_line_feeds
    units = _byte_lengths(texts)
    extensions = np.zeros(height, np.int64)
    extensions[rows] = extension_counts(asked)
    odd = np.flatnonzero(contains_non_gsm7(asked))
    if not len(odd):
        # GSM-7 has characters of two bytes in UTF-8.
        units[rows] = asked.str.len_chars().to_numpy()
        return Measures(texts, units, _any(extensions), None, None)
    wide = np.zeros(len(rows), np.int64)
    beyond = asked.gather(odd)
    wide[odd] = beyond.str.count_matches(r"[\x{10000}-\x{10FFFF}]").to_numpy()
    units[rows] = asked.str.len_chars().to_numpy() + wide
    non_gsm7 = np.zeros(height, np.bool_)
    non_gsm7[rows[odd]] = True
    slack = np.zeros(height, np.int64)
    slack[rows[odd]] = _slack_of(beyond)
    return Measures(texts, units, _any(extensions), non_gsm7, _any(slack))


def body_length_column(layout: Layout, measures: Mapping[str, Measures]) -> npt.NDArray[np.int64] | int:
    """`body_length` of each row, as if all rows were of the layout's language; one number for a body without values."""
    total: npt.NDArray[np.int64] | int = layout.literal_units()
    for name in layout.parameters:
        total = total + measures[name].units
    return total


def _slack_of(texts: pl.Series) -> npt.NDArray[np.int64]:
    """`Measures.slack`: a run of n tangled characters makes a grapheme of 2n + 1 units at most, its base one of them."""
    slack = np.zeros(len(texts), np.int64)
    left = np.arange(len(texts))
    # Runs of 1, of 2 or 3, and longer ones, whose length isn't worked out.
    for run, bound in ((1, 2), (2, 6), (4, UNBOUNDED)):
        left = left[texts.gather(left).str.contains(f"{tangled_class()}{{{run}}}").to_numpy()]
        slack[left] = bound
    return slack


def _byte_lengths(series: pl.Series) -> npt.NDArray[np.int64]:
    return series.str.len_bytes().to_numpy().astype(np.int64)


def _any(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    return counts if counts.any() else None

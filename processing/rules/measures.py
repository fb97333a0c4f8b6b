"""A column of one parameter's values, measured once for lengths, encodings and segments of all messages made of it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from processing.rules.graphemes import tangled_class
from processing.rules.gsm7 import contains_non_gsm7, extension_counts


@dataclass(frozen=True, slots=True)
class Measures:
    """What counting needs to know of each value. All arrays are by row; None: no row has any.

    `texts`: the values with line ends made LF. `units`: their UTF-16 units. `extensions`: their characters of two
    GSM-7 units. `non_gsm7`: whether one of their characters is outside GSM-7. `tangled`: whether one may share a
    grapheme with another character or takes two UTF-16 units; of all others only the length matters to packing.
    """

    texts: pl.Series
    units: npt.NDArray[np.int64]
    extensions: npt.NDArray[np.int64] | None
    non_gsm7: npt.NDArray[np.bool_] | None
    tangled: npt.NDArray[np.bool_] | None


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
    tangled = np.zeros(height, np.bool_)
    tangled[rows[odd]] = beyond.str.contains(tangled_class()).to_numpy()
    return Measures(texts, units, _any(extensions), non_gsm7, tangled if tangled.any() else None)


def _byte_lengths(series: pl.Series) -> npt.NDArray[np.int64]:
    return series.str.len_bytes().to_numpy().astype(np.int64)


def _any(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    return counts if counts.any() else None

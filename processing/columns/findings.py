"""Findings: all of a chunk's in columns, and their texts in the same words as `rules.texts` has.

Findings are gathered group by group, each with its text, and then put in the order of rows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from processing.columns.results import Finding
from rules.characters.code_points import INVISIBLE, polars_class
from rules.codes import FindingCode
from rules.texts import QUOTED_CHARACTERS, quote, text_of

_CODES: Final = tuple(FindingCode)
# What Python's str.isprintable() denies, everything of Unicode's "other" and "separator" classes but the space; and whatever
# else is invisible.
_UNPRINTABLE: Final = rf"[[\p{{C}}\p{{Z}}{polars_class(INVISIBLE)}]--[ ]]"

# By name, what the braces of a text stand for: the same for all rows, or a String column.
Facts = Mapping[str, str | pl.Series]


@dataclass(slots=True)
class FindingGroups:
    """Gathers groups: rows that all have the same finding in the same column. Texts cost most of time and memory."""

    with_texts: bool = True
    _rows: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _codes: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    _columns: list[str | None] = field(default_factory=list)
    _texts: list[pl.Series] = field(default_factory=list)

    def add(
        self,
        code: FindingCode,
        rows: npt.NDArray[np.int64],
        facts: Facts,
        column: str | None = None,
        text: str | None = None,
    ) -> None:
        """Each of `rows` (their numbers) has this finding. Of one row, what is added first is told first.

        `text`: other words than the code's own.
        """
        if len(rows):
            self._rows.append(rows)
            self._codes.append(np.full(len(rows), _CODES.index(code), np.uint8))
            self._columns.append(column)
            if self.with_texts:
                words = text or text_of(code, of_value=column is not None)
                self._texts.append(reason_column(words, len(rows), facts))

    def sorted(self) -> "ChunkFindings | None":
        """All of them by row; None if there are none."""
        if not self._rows:
            return None
        rows = np.concatenate(self._rows)
        groups = np.repeat(np.arange(len(self._rows), dtype=np.int32), [len(group) for group in self._rows])
        order = np.lexsort((groups, rows))
        texts = pl.concat(self._texts).gather(order) if self.with_texts else pl.Series(dtype=pl.String)
        return ChunkFindings(
            rows[order], np.concatenate(self._codes)[order], groups[order], tuple(self._columns), texts
        )


@dataclass(frozen=True, slots=True)
class ChunkFindings:
    """A chunk's findings in the order of rows. `groups` are places in `columns`; `texts` is empty where none were wanted."""

    rows: npt.NDArray[np.int64]
    codes: npt.NDArray[np.uint8]
    groups: npt.NDArray[np.int32]
    columns: tuple[str | None, ...]
    texts: pl.Series

    def each(self) -> Iterator[Finding]:
        """One by one, as callers see them."""
        for row, code, group, text in zip(
            self.rows.tolist(), self.codes.tolist(), self.groups.tolist(), self.texts, strict=True
        ):
            yield Finding(row, self.columns[group], _CODES[code], text)

    def by_row(self) -> tuple[npt.NDArray[np.int64], pl.Series]:
        """The rows with findings, ascending, and the reasons of each, joined by `; `."""
        starts = np.flatnonzero(np.diff(self.rows, prepend=-1))
        if len(starts) == len(self.rows):
            return self.rows, self.texts
        counts = np.diff(starts, append=len(self.rows))
        reasons = self.texts.gather(starts)
        told = 1
        more = np.flatnonzero(counts > told)
        while len(more):
            longer = reasons.gather(more) + "; " + self.texts.gather(starts[more] + told)
            reasons = longer if len(more) == len(reasons) else reasons.scatter(more, longer)
            told += 1
            more = more[counts[more] > told]
        return self.rows[starts], reasons

    @property
    def bad_rows(self) -> npt.NDArray[np.int64]:
        """The numbers of the rows with findings, ascending."""
        return self.rows[np.flatnonzero(np.diff(self.rows, prepend=-1))]


def reason_column(text: str, count: int, facts: Facts) -> pl.Series:
    """A text of `rules.texts` for each of `count` rows."""
    words: list[str | pl.Series] = []
    for literal, name, _, _ in Formatter().parse(text):
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

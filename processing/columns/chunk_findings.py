"""All findings of a piece, in columns: gathered group by group, then put in the order of rows."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from processing.columns.finding_texts import Facts, reason_column
from processing.columns.findings import Finding
from rules.codes import FindingCode

_CODES: Final = tuple(FindingCode)


@dataclass(slots=True)
class FaultList:
    """Collects groups: rows that all have the same fault in the same column."""

    _rows: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _codes: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    _columns: list[str | None] = field(default_factory=list)
    _texts: list[pl.Series] = field(default_factory=list)

    def add(
        self, code: FindingCode, rows: npt.NDArray[np.int64], facts: Facts, column: str | None = None
    ) -> None:
        """Each of `rows` (numbers of records) has this fault. Of one row, what is added first is told first."""
        if len(rows):
            self._rows.append(rows)
            self._codes.append(np.full(len(rows), _CODES.index(code), np.uint8))
            self._columns.append(column)
            self._texts.append(reason_column(code, len(rows), facts))

    def sorted(self) -> "Faults | None":
        """All of them by row; None if there are none."""
        if not self._rows:
            return None
        rows = np.concatenate(self._rows)
        groups = np.repeat(np.arange(len(self._rows), dtype=np.int32), [len(group) for group in self._rows])
        order = np.lexsort((groups, rows))
        texts = pl.concat(self._texts).gather(order)
        return Faults(
            rows[order], np.concatenate(self._codes)[order], groups[order], tuple(self._columns), texts
        )


@dataclass(frozen=True, slots=True)
class Faults:
    """Findings in the order of rows. `groups` are places in `columns`."""

    rows: npt.NDArray[np.int64]
    codes: npt.NDArray[np.uint8]
    groups: npt.NDArray[np.int32]
    columns: tuple[str | None, ...]
    texts: pl.Series

    def findings(self) -> Iterator[Finding]:
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
    def row_count(self) -> int:
        """The number of rows with findings."""
        return int(np.count_nonzero(np.diff(self.rows, prepend=-1)))

"""The messages of accepted rows as lines of PostgreSQL's COPY text format, built in columns.

`values` is a JSON object by parameter name, escaped first as JSON, then as COPY text.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from processing.columns.checks import CheckedRows
from processing.columns.header import RECIPIENT
from processing.columns.results import MESSAGE_COLUMNS
from rules.columns.languages import LANGUAGES
from rules.columns.segments import SegmentColumns, segment_columns
from rules.messages import Frame, Layout
from rules.segments import GSM7, UCS2
from rules.templates import Language

# JSON escapes each of these with a backslash, and COPY doubles every backslash: one of the value's own becomes four.
_ESCAPES: Final = (("\\", r"\\\\"), ('"', r"\\" + '"'), ("\n", r"\\n"), ("\t", r"\\t"))


@dataclass(frozen=True, slots=True)
class MessageForm:
    """What all messages of a batch have in common: each language's body within its frame."""

    parameters: tuple[str, ...]
    framed: Mapping[Language, Layout]

    @classmethod
    def of_template(
        cls, parameters: Sequence[str], layouts: Mapping[Language, Layout], frame: Frame
    ) -> "MessageForm":
        """Puts header and footer around each language's body."""
        framed = {language: layout.framed(frame, language) for language, layout in layouts.items()}
        return cls(tuple(parameters), framed)

    def lines(self, checked: CheckedRows) -> bytes:
        """One line for each row. The rows must be without findings."""
        if not len(checked.rows.numbers):
            return b""
        counted = self._count_segments(checked)
        frame = pl.DataFrame(
            {
                "row_number": checked.rows.numbers,
                "recipient": checked.rows.cells[RECIPIENT],
                "segments": counted.segments,
                "language": checked.languages,
                "encoding": counted.is_gsm7,
                **{f"value {name}": series for name, series in self._escaped(checked).items()},
            }
        )
        names = pl.Series([language.value for language in LANGUAGES])
        parts: dict[str, list[str | pl.Expr]] = {
            "row_number": [pl.col("row_number")],
            "recipient": [pl.col("recipient")],
            "language": [pl.lit(names).gather(pl.col("language"))],
            "values": self._values(),
            "segments": [pl.col("segments")],
            "encoding": [pl.when("encoding").then(pl.lit(GSM7)).otherwise(pl.lit(UCS2))],
        }
        line = _line([parts[name] for name in MESSAGE_COLUMNS])
        text: bytes = frame.select(pl.concat_str(line).str.join("").cast(pl.Binary)).item()
        return text

    def _escaped(self, checked: CheckedRows) -> dict[str, pl.Series]:
        texts = {name: checked.measures[name].texts for name in self.parameters}
        return texts if checked.rows.is_plain else {name: _escape(series) for name, series in texts.items()}

    def _values(self) -> list[str | pl.Expr]:
        """The JSON object, around the values' columns."""
        parts: list[str | pl.Expr] = []
        before = "{"
        for name in self.parameters:
            parts += f'{before}{json.dumps(name)}: "', pl.col(f"value {name}")
            before = '", '
        return [*parts, '"}' if parts else "{}"]

    def _count_segments(self, checked: CheckedRows) -> SegmentColumns:
        height = len(checked.rows.numbers)
        segments, is_gsm7 = np.ones(height, np.uint16), np.ones(height, np.bool_)
        for language, layout in self.framed.items():
            rows = np.flatnonzero(checked.languages == LANGUAGES.index(language))
            if not len(rows):
                continue
            values = [checked.measures[name] for name in layout.parameters]
            counted = segment_columns(layout.literals, values, height, rows)
            segments[rows], is_gsm7[rows] = counted.segments, counted.is_gsm7
        return SegmentColumns(segments, is_gsm7)


def _line(columns: Sequence[Sequence[str | pl.Expr]]) -> list[pl.Expr]:
    """The parts of a line with a tab between two columns. Neighbouring texts become one: each part costs time on each row."""
    line: list[pl.Expr] = []
    text = ""
    for place, parts in enumerate(columns):
        text += "\t" if place else ""
        for part in parts:
            if isinstance(part, str):
                text += part
                continue
            if text:
                line.append(pl.lit(text))
            line.append(part)
            text = ""
    return [*line, pl.lit(text + "\n")]


def _escape(series: pl.Series) -> pl.Series:
    if not series.str.contains(r'[\\"\n\t]').any():
        return series
    for old, new in _ESCAPES:
        series = series.str.replace_all(old, new, literal=True)
    return series

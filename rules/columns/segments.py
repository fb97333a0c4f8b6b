"""`rules.segments.segment` over columns: half a million messages in tens of milliseconds.

Nearly all that decides is sums of units. Where packing matters, a message depends on the characters of its values only
if one of them has a character of two units or one that may share a grapheme; otherwise it depends on their lengths,
and messages of equal lengths are counted once.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.characters.graphemes import clusters, may_follow, may_lead
from rules.characters.gsm7 import gsm7_units, is_gsm7
from rules.columns.measures import UNBOUNDED, Measures
from rules.segments import (
    GSM7_PART,
    GSM7_SINGLE,
    UCS2_PART,
    UCS2_SINGLE,
    gsm7_segments,
    ucs2_segments,
    utf16_units,
)

# Above so many combinations of lengths they are numbered by sorting.
_FEW_COMBINATIONS: Final = 1 << 22


class SegmentColumns(NamedTuple):
    """Of each message asked: its number of segments, and whether it is GSM-7 (else UCS-2)."""

    segments: npt.NDArray[np.uint16]
    is_gsm7: npt.NDArray[np.bool_]


def segment_columns(
    literals: Sequence[str],
    values: Sequence[Measures],
    height: int,
    rows: npt.NDArray[np.int64] | None = None,
) -> SegmentColumns:
    """`segment` over messages put together as literals[0] + values[0] + literals[1] + … + literals[-1].

    The columns have `height` rows; `rows` are the ones asked (ascending), by default all, and the answer has theirs.
    """
    asked = slice(None) if rows is None else rows
    numbers = np.arange(height) if rows is None else rows
    gsm7 = np.full(len(numbers), all(map(is_gsm7, literals)), np.bool_)
    units = np.full(len(numbers), sum(map(utf16_units, literals)), np.int64)
    doubled = np.full(len(numbers), sum(gsm7_units(text) - len(text) for text in literals), np.int64)
    slack = np.full(len(numbers), _slack_between(literals), np.int64)
    for one in values:
        units += one.units[asked]
        if one.non_gsm7 is not None:
            gsm7 &= ~one.non_gsm7[asked]
        if one.extensions is not None:
            doubled += one.extensions[asked]
        if one.slack is not None:
            slack += one.slack[asked]
    # In GSM-7 a segment lacks one unit at most, where an extension character would be parted.
    slack = np.where(gsm7, doubled > 0, slack + max(map(_slack_within, literals)))
    units += np.where(gsm7, doubled, 0)
    part = np.where(gsm7, GSM7_PART, UCS2_PART)
    several = units > np.where(gsm7, GSM7_SINGLE, UCS2_SINGLE)
    segments = np.where(several, -(-units // part), 1).astype(np.uint16)
    # The number is known where segments as full as they can be and as empty as they can be make equally many.
    unsure = np.flatnonzero(several & (segments < -(-units // np.maximum(part - slack, 1))))
    if len(unsure):
        by_length = _matter_by_length(literals, values, numbers[unsure], gsm7[unsure])
        for encoding in (True, False):
            same = gsm7[unsure] == encoding
            places = unsure[same & by_length]
            segments[places] = _count_by_lengths(literals, values, numbers[places], gsm7=encoding)
            places = unsure[same & ~by_length]
            segments[places] = _count_each(literals, values, numbers[places], gsm7=encoding)
    return SegmentColumns(segments, gsm7)


def _matter_by_length(
    literals: Sequence[str],
    values: Sequence[Measures],
    rows: npt.NDArray[np.int64],
    gsm7: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """For each row, whether its packing would be the same with any other plain values of the same lengths."""
    same = np.full(len(rows), not _slack_between(literals), np.bool_)
    for one in values:
        if one.slack is not None:
            same &= one.slack[rows] == 0
        if one.extensions is not None:
            same &= ~gsm7 | (one.extensions[rows] == 0)
    return same


def _slack_within(literal: str) -> int:
    """Units that the template's own graphemes may cost a UCS-2 segment."""
    return max((utf16_units(cluster) for cluster in clusters(literal)), default=1) - 1


def _slack_between(literals: Sequence[str]) -> int:
    """UNBOUNDED where the template's own text may share a grapheme with a value beside it, else 0."""
    joined = any(text and may_follow(text[0]) for text in literals[1:]) or any(
        text and may_lead(text[-1]) for text in literals[:-1]
    )
    return UNBOUNDED if joined else 0


def _count(text: str, *, gsm7: bool) -> int:
    return gsm7_segments(text, gsm7_units(text)) if gsm7 else ucs2_segments(text, utf16_units(text))


def _count_by_lengths(
    literals: Sequence[str], values: Sequence[Measures], rows: npt.NDArray[np.int64], *, gsm7: bool
) -> npt.NDArray[np.uint16]:
    """Segments of rows whose values matter by their lengths only."""
    distinct_values = {id(one): one for one in values}.values()
    combinations = _combinations([one.units[rows] for one in distinct_values], len(rows))
    used, first_places = _first_of_each(combinations)
    counts = np.zeros(int(used[-1]) + 1 if len(used) else 0, np.uint16)
    for combination, place in zip(used, first_places, strict=True):
        lengths = [int(one.units[rows[place]]) for one in values]
        text = literals[0] + "".join(
            "x" * length + literal for length, literal in zip(lengths, literals[1:], strict=True)
        )
        counts[combination] = _count(text, gsm7=gsm7)
    return counts[combinations]


def _combinations(columns: Sequence[npt.NDArray[np.int64]], height: int) -> npt.NDArray[np.int64]:
    """A number for each row, the same for rows with the same lengths in all columns; below _FEW_COMBINATIONS."""
    numbers = np.zeros(height, np.int64)
    span = 1
    for column in columns if height else ():
        width = int(column.max()) + 1
        numbers = numbers * width + column
        span *= width
        if span > _FEW_COMBINATIONS:
            distinct, numbers = np.unique(numbers, return_inverse=True)
            span = len(distinct)
    return numbers


def _first_of_each(numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct numbers, ascending, and a place of each."""
    if not len(numbers):
        return numbers, numbers
    places = np.full(int(numbers.max()) + 1, -1, np.int64)
    places[numbers] = np.arange(len(numbers))
    used = np.flatnonzero(places >= 0)
    return used, places[used]


def _count_each(
    literals: Sequence[str], values: Sequence[Measures], rows: npt.NDArray[np.int64], *, gsm7: bool
) -> npt.NDArray[np.uint16]:
    """Segments of rows whose texts have to be put together."""
    if not len(rows):
        return np.zeros(0, np.uint16)
    parts = [pl.lit(literals[0])]
    columns = []
    for place, (one, literal) in enumerate(zip(values, literals[1:], strict=True)):
        columns.append(one.texts.gather(rows).alias(str(place)))
        parts += pl.col(str(place)), pl.lit(literal)
    texts = (
        pl.DataFrame(columns).select(pl.concat_str(parts)).to_series()
        if columns
        else [literals[0]] * len(rows)
    )
    return np.fromiter((_count(text, gsm7=gsm7) for text in texts), np.uint16, len(rows))

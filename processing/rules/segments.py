"""How many SMS a text takes, as Twilio packs them (its segment calculator 1.3.0 is the reference).

GSM-7: one segment up to 160 units, else packed by 153, and the two units of an extension character stay together.
Any other text is UCS-2: up to 70 UTF-16 units, else packed by 67, and a grapheme stays whole, but for CR LF, which may
be parted. A grapheme longer than a segment makes one over-full segment. Empty text takes one segment. Nothing is
normalised: line ends count as they stand (`messages` makes them LF first).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from processing.rules.graphemes import clusters
from processing.rules.gsm7 import (
    EXTENSION,
    gsm7_units,
    is_gsm7,
)

GSM7: Final = "GSM-7"
UCS2: Final = "UCS-2"
GSM7_SINGLE: Final = 160
GSM7_PART: Final = 153
UCS2_SINGLE: Final = 70
UCS2_PART: Final = 67


@dataclass(frozen=True, slots=True)
class Segmentation:
    """`units`: septets in GSM-7, UTF-16 units in UCS-2. `characters`: code points."""

    encoding: str
    units: int
    segments: int
    characters: int


class SegmentColumns(NamedTuple):
    """Of each message: its number of segments, and whether it is GSM-7 (else UCS-2)."""

    segments: npt.NDArray[np.uint16]
    is_gsm7: npt.NDArray[np.bool_]


def utf16_units(text: str) -> int:
    """UTF-16 units that `text` takes: two for a character beyond U+FFFF."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def segment(text: str) -> Segmentation:
    """Counts one text exactly as it stands."""
    if is_gsm7(text):
        units = gsm7_units(text)
        return Segmentation(GSM7, units, _gsm7_segments(text, units), len(text))
    units = utf16_units(text)
    return Segmentation(UCS2, units, _ucs2_segments(text, units), len(text))


def _gsm7_segments(text: str, units: int) -> int:
    if units <= GSM7_SINGLE:
        return 1
    if units == len(text):
        return -(-units // GSM7_PART)
    return _pack([2 if char in EXTENSION else 1 for char in text], GSM7_SINGLE, GSM7_PART)


def _ucs2_segments(text: str, units: int) -> int:
    if units <= UCS2_SINGLE:
        return 1
    return _pack([utf16_units(cluster) for cluster in clusters(text)], UCS2_SINGLE, UCS2_PART)


def _pack(sizes: Sequence[int], single: int, part: int) -> int:
    """Segments that pieces of these sizes fill, in Twilio's own steps.

    The first segment is filled to `single`; when it overflows, what exceeds `part` moves to the second unchecked.
    Pieces larger than a segment make the order of these steps visible.
    """
    segments: list[list[int]] = [[]]
    used = 0
    for size in sizes:
        limit = single if len(segments) == 1 else part
        if used + size > limit:
            segments.append([])
            moved = 0
            if len(segments) == 2:
                first = segments[0]
                while sum(first) > part:
                    moved += first.pop()
            used = moved
        segments[-1].append(size)
        used += size
    return len(segments)


def segment_column(texts: pl.Series) -> SegmentColumns:
    """`segment` over a String column without nulls."""
    return segment_columns(("", ""), (texts,))


def segment_columns(literals: Sequence[str], values: Sequence[pl.Series]) -> SegmentColumns:
    """`segment` over messages put together from columns: literals[0] + values[0] + literals[1] + … + literals[-1].

    The texts themselves are only built for the rows that need exact packing. A column given twice is measured once.
    """
    texts = pl.select(
        pl.concat_str(
            [part for pair in zip(map(pl.lit, literals), values, strict=False) for part in pair]
            + [pl.lit(literals[-1])]
        )
    ).to_series()
    done = [segment(text) for text in texts]
    return SegmentColumns(
        np.array([one.segments for one in done], np.uint16),
        np.array([one.encoding == GSM7 for one in done], np.bool_),
    )

"""`rules.mojibake` over columns: which texts of a column are garbled, and what they were meant to be."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.characters.code_points import characters_of, polars_class
from rules.mojibake import SPECIALS, read_again

_CONTINUATION: Final = characters_of("0080-00BF") | {chr(point) for point in SPECIALS}
_LEADS: Final = (("00C2-00DF", 1), ("00E0-00EF", 2), ("00F0-00F4", 3))
_SEQUENCE: Final = "|".join(
    f"{polars_class(characters_of(lead))}{polars_class(_CONTINUATION)}{{{more}}}" for lead, more in _LEADS
)
# Of texts that don't have this shape none is garbled. The first character beyond ASCII decides for most.
_SHAPE: Final = rf"\A[\x00-\x7F]*(?:{_SEQUENCE})(?:[\x00-\x7F]|{_SEQUENCE})*\z"


def read_again_column(series: pl.Series) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The rows of a String column whose texts are garbled, ascending, and what each was meant to be."""
    rows, meant = [], []
    asked = series.str.contains(_SHAPE).arg_true()
    for row, text in zip(asked.to_list(), series.gather(asked), strict=True):
        reading = read_again(text)
        if reading is not None:
            rows.append(row)
            meant.append(reading)
    return np.array(rows, np.int64), meant

"""Counts what a good upload would send: messages and segments by where they go, language and encoding, and what a sender may want
to look at twice. It runs in the child process that has just judged the upload.
"""

import io
from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from processing.checked.counts import Counts
from processing.checked.dearer import DearerMessages
from processing.columns.copytext import MessageForm
from processing.columns.header import RECIPIENT
from processing.columns.results import MESSAGE_COLUMNS
from rules.segments import UCS2

# The guide calls them fake: numbers that are made up, and that a file of a real send shouldn't have.
FAKE_NUMBERS: Final = (6590000000, 6599999999, 6588888888)
LOCAL_BEGINNING: Final = "65"
_READ_BYTES: Final = 4 * 1024 * 1024
_COUNTED: Final = (RECIPIENT, "language", "values", "segments", "encoding")


def count_messages(messages: BinaryIO, form: MessageForm) -> Counts:
    """Count the messages of COPY text whose lines have `results.MESSAGE_COLUMNS`, read from its beginning."""
    dearer = DearerMessages(form.parameters, form.framed)
    total = local = foreign = ucs2 = 0
    messages_of: dict[str, int] = {}
    segments_of: dict[str, int] = {}
    numbers: list[npt.NDArray[np.int64]] = []
    for rows in _read(messages):
        dearer.add(rows)
        total += rows.height
        is_local = pl.col(RECIPIENT).str.starts_with(LOCAL_BEGINNING)
        sums = rows.select(
            local=pl.col("segments").filter(is_local).sum(),
            all=pl.col("segments").sum(),
            ucs2=pl.col("segments").filter(pl.col("encoding") == UCS2).sum(),
        ).row(0, named=True)
        local += sums["local"]
        foreign += sums["all"] - sums["local"]
        ucs2 += sums["ucs2"]
        grouped = rows.group_by("language").agg(messages=pl.len(), segments=pl.col("segments").sum())
        for language, count, segments in grouped.iter_rows():
            messages_of[language] = messages_of.get(language, 0) + count
            segments_of[language] = segments_of.get(language, 0) + segments
        numbers.append(rows[RECIPIENT].cast(pl.Int64).to_numpy())
    sent_to = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
    often = np.unique(sent_to, return_counts=True)[1]
    often = often[often > 1]
    return Counts(
        messages=total,
        local_segments=local,
        foreign_segments=foreign,
        ucs2_segments=ucs2,
        messages_of=messages_of,
        segments_of=segments_of,
        fake_rows=int(np.isin(sent_to, FAKE_NUMBERS).sum()),
        repeated_numbers=len(often),
        repeated_rows=int(often.sum()),
        dearer=dearer.of(),
    )


def _read(messages: BinaryIO) -> Iterator[pl.DataFrame]:
    """The counted columns, some megabytes of whole lines at a time. Tabs and line ends of values are escaped in COPY text."""
    messages.seek(0)
    rest = b""
    places = [MESSAGE_COLUMNS.index(name) for name in _COUNTED]
    while block := messages.read(_READ_BYTES):
        lines, end, rest = (rest + block).rpartition(b"\n")
        if not end:
            continue
        rows = pl.read_csv(
            io.BytesIO(lines),
            has_header=False,
            separator="\t",
            quote_char=None,
            columns=places,
            infer_schema=False,
        )
        rows.columns = list(_COUNTED)
        yield rows.with_columns(pl.col("segments").cast(pl.Int64))

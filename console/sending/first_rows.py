"""The first rows of a file that is known to be good, read from the bucket when its page is shown: no table has any of them."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from config.logs import get_logger
from processing.errors import ProcessingError
from processing.object_store import ObjectStore

logger = get_logger("console")

# So much of a file is read. Its first rows are longer only where most of it is in columns that nobody reads.
_MOST_BYTES: Final = 256 * 1024
_BOM: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class Row:
    """A row. No log has it."""

    recipient: str = field(repr=False)
    language: str
    values: Mapping[str, str] = field(repr=False)


class _Beginning(io.BytesIO):
    """Takes the beginning of what is written to it, and then no more: the rest isn't asked for."""

    def writelines(self, chunks: Iterable[bytes], /) -> None:  # type: ignore[override]
        for chunk in chunks:
            self.write(chunk[: _MOST_BYTES - self.tell()])
            if self.tell() >= _MOST_BYTES:
                return


async def read_first_rows(store: ObjectStore, key: str, parameters: Iterable[str], count: int) -> list[Row]:
    """The first rows, at most `count`; none where the bucket is away just now."""
    target = _Beginning()
    try:
        await store.fetch(key, target)
    except ProcessingError as error:
        logger.warning("first_rows_unread", reason=str(error))
        return []
    return parse_first_rows(target.getvalue(), list(parameters), count, is_whole=target.tell() < _MOST_BYTES)


def parse_first_rows(content: bytes, parameters: list[str], count: int, *, is_whole: bool) -> list[Row]:
    """The first rows of the beginning of a file. A last one that may be cut off is left out."""
    text = content.decode("utf-8", "replace").removeprefix(_BOM)
    rows: list[Row] = []
    header: list[str] | None = None
    records = csv.reader(io.StringIO(text, newline=""))
    try:
        for record in records:
            cells = [cell.strip() for cell in record]
            if not any(cells):
                continue
            if header is None:
                header = cells
                continue
            found = dict(zip(header, record, strict=False))
            row = Row(
                found.get("recipient", ""),
                found.get("language", "").lower(),
                {name: found.get(name, "") for name in parameters},
            )
            rows.append(row)
            if len(rows) > count:
                break
    except csv.Error:
        # A cell longer than the library takes.
        pass
    if len(rows) <= count and not is_whole:
        rows = rows[:-1]
    return rows[:count]

"""The files of an archive: rows of a table as PostgreSQL copies them, as columns, and as Parquet.

Files are read by anything that reads Parquet, so columns are called as in the tables and have types of their own; times are
microseconds in UTC, `values` and `details` are JSON text. Rows are in the order of their keys, so that one is found by the
statistics of its row group.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import polars as pl

from database.queries import NamedQueries
from processing.archives.archives import Key
from processing.archives.kinds import NOUNS, Kind

SQL: Final = NamedQueries("processing", "archives/files.sql")
_TIME: Final = pl.Datetime("us", "UTC")
_ROWS_OF_GROUP: Final = 10_000
# As PostgreSQL reads a time, to the microsecond.
_TIME_FORM: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"


@dataclass(frozen=True)
class RowForm:
    """The rows of a table: its columns with their types, in the order in which `statement` copies them.

    `key`: the columns by which they are in order.
    """

    table: str
    key: tuple[str, ...]
    schema: Mapping[str, pl.DataType]
    statement: LiteralString

    @property
    def noun(self) -> str:
        """One of them in words."""
        return NOUNS[self.table]

    def parse(self, lines: bytes) -> pl.DataFrame:
        """The rows of these lines of CSV. In them nothing is null, and quotes without anything in them are an empty text."""
        as_copied = {
            name: pl.Int64() if kind == _TIME else pl.String() if kind == pl.Boolean else kind
            for name, kind in self.schema.items()
        }
        frame = pl.read_csv(lines, has_header=False, schema=as_copied, raise_if_empty=False)
        return frame.with_columns(
            *(
                pl.from_epoch(name, time_unit="us").dt.replace_time_zone("UTC")
                for name, kind in self.schema.items()
                if kind == _TIME
            ),
            *(pl.col(name) == "t" for name, kind in self.schema.items() if kind == pl.Boolean),
        )

    def key_of(self, frame: pl.DataFrame, place: int) -> Key:
        """The key of the row at that place; -1 is the last one."""
        return tuple(frame[name][place] for name in self.key)

    def lines(self, frame: pl.DataFrame) -> bytes:
        """The rows as CSV, which PostgreSQL copies back."""
        target = io.BytesIO()
        frame.write_csv(target, include_header=False, datetime_format=_TIME_FORM)
        return target.getvalue()


MESSAGES: Final = RowForm(
    "messages",
    ("batch_no", "row_number"),
    {
        "batch_no": pl.Int32(),
        "row_number": pl.Int32(),
        "recipient": pl.String(),
        "language": pl.String(),
        "values": pl.String(),
        "segments": pl.Int16(),
        "encoding": pl.String(),
        "created_at": _TIME,
        "batch_id": pl.String(),
        "status": pl.String(),
    },
    SQL["copy_messages"],
)
ATTEMPTS: Final = RowForm(
    "attempts",
    ("batch_no", "row_number", "attempt"),
    {
        "batch_no": pl.Int32(),
        "row_number": pl.Int32(),
        "attempt": pl.Int16(),
        "status": pl.Int16(),
        "created_at": _TIME,
        "updated_at": _TIME,
        "sent_at": _TIME,
        "delivered_at": _TIME,
        "claimed_at": _TIME,
        "put_backs": pl.Int16(),
        "may_have_arrived": pl.Boolean(),
        "expired": pl.Boolean(),
        "error": pl.String(),
        "raw_code": pl.String(),
        "provider_id": pl.String(),
    },
    SQL["copy_attempts"],
)
AUDIT_EVENTS: Final = RowForm(
    "audit_events",
    ("id",),
    {
        "id": pl.Int64(),
        "at": _TIME,
        "event": pl.String(),
        "campaign_id": pl.String(),
        "upload_id": pl.String(),
        "connection_id": pl.String(),
        "actor": pl.String(),
        "source_address": pl.String(),
        "details": pl.String(),
    },
    SQL["copy_audit_events"],
)
# The rows that a range of each kind has; of messages, those of `attempts` belong to those of the first.
FORMS: Final[Mapping[Kind, tuple[RowForm, ...]]] = {
    Kind.MESSAGES: (MESSAGES, ATTEMPTS),
    Kind.AUDIT_EVENTS: (AUDIT_EVENTS,),
}


def write_parquet(frame: pl.DataFrame) -> bytes:
    """The rows as a Parquet file."""
    target = io.BytesIO()
    frame.write_parquet(target, compression="zstd", row_group_size=_ROWS_OF_GROUP)
    return target.getvalue()


def read_parquet(content: bytes) -> pl.DataFrame:
    """All rows of a file. Raises polars' errors where it is none."""
    return pl.read_parquet(content)


def read_columns(content: bytes) -> list[str]:
    """The names of a file's columns. A table may have got more since."""
    return list(pl.read_parquet_schema(io.BytesIO(content)))


def read_pieces(content: bytes, rows: int) -> Iterator[pl.DataFrame]:
    """A file's rows, a row group at a time, so that only so many are held at once; `rows` is how many it has."""
    file = pl.scan_parquet(io.BytesIO(content))
    for begins in range(0, rows, _ROWS_OF_GROUP):
        yield file.slice(begins, _ROWS_OF_GROUP).collect()


def find_rows(content: bytes, batch_no: int, row_number: int) -> list[dict[str, Any]]:
    """The rows of one message in a file, by column."""
    wanted = (pl.col("batch_no") == batch_no) & (pl.col("row_number") == row_number)
    return pl.scan_parquet(io.BytesIO(content)).filter(wanted).collect().to_dicts()

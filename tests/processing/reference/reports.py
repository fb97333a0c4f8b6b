"""A validation report read back as a person's spreadsheet reads it, and mended as a person mends it."""

import csv
import io
from collections.abc import Sequence

from tests.processing.reference.split_rows import BYTE_ORDER_MARK, decode, split_rows

REPORT_COLUMN = "Error Reason"


def read_report(report: bytes) -> list[list[str]]:
    """All rows of a report, by Python's csv module: no code of ours is trusted with it."""
    assert report.startswith(BYTE_ORDER_MARK)
    return list(csv.reader(io.StringIO(report.decode("utf-8-sig"), newline="")))


def sent_fields(data: bytes) -> list[list[str]]:
    """The fields of an upload's rows, without those of old reports; what isn't UTF-8 as U+FFFD."""
    rows = list(split_rows(decode(data)))
    header = next(row for row in rows if not row.is_blank)
    old = {place for place, name in enumerate(header.fields) if _is_old(name)}
    return [[_shown(text) for place, text in enumerate(row.fields) if place not in old] for row in rows]


def is_well_formed(data: bytes) -> bool:
    return not any(row.quote_invalid for row in split_rows(decode(data)))


def unpadded(fields: Sequence[str]) -> list[str]:
    """Without the empty fields at the end: a report pads its rows to the widest."""
    kept = list(fields)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def write_rows(rows: Sequence[Sequence[str]]) -> bytes:
    """Rows as a spreadsheet saves them as "CSV UTF-8"."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return BYTE_ORDER_MARK + out.getvalue().encode()


def _is_old(name: str) -> bool:
    return name.strip() == REPORT_COLUMN or name.strip().startswith(f"{REPORT_COLUMN}: ")


def _shown(text: str) -> str:
    """As the report shows it: each run of bytes that isn't UTF-8 by Python's own replacement."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

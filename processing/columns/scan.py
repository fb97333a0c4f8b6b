"""The first look at an upload: its chunks, its header, and whatever is wrong with it as a whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, Final

from config.sizes import size_text
from processing.columns.chunks import CHUNK_BYTES, Chunk, read_chunks
from processing.columns.header import Header, header_below, read_header, reads_as_header
from processing.columns.results import Finding
from processing.columns.single_rows import check_row, is_blank
from rules.codes import FindingCode
from rules.texts import file_reason

_BEGINNING: Final = 64 * 1024
# A header row that stands below others is looked for among so many.
_HEADER_ROWS: Final = 10
_OF_THE_HEADER: Final = frozenset(
    {
        FindingCode.HEADER_MISSING_COLUMN,
        FindingCode.HEADER_UNKNOWN_COLUMN,
        FindingCode.HEADER_DUPLICATE_COLUMN,
        FindingCode.DELIMITER_INVALID,
        FindingCode.ROW_QUOTE_INVALID,
    }
)
# UTF-16 with a byte order mark, ZIP (xlsx, ods), OLE (xls), gzip, PDF: none of them is text in UTF-8.
_BINARY_SIGNATURES: Final = (
    b"\xff\xfe",
    b"\xfe\xff",
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0",
    b"\x1f\x8b",
    b"%PDF-",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_filled_rows` counts rows that aren't skipped (None: no such limit), `max_rows` all of them and the header."""

    max_bytes: int
    max_rows: int
    max_filled_rows: int | None


@dataclass(slots=True)
class Scan:
    """`findings` are the file's own: with any of them, the rows aren't checked.

    `has_rows`: rows could be told apart, so that a report can be written. `header_number` is the row's.
    """

    chunks: list[Chunk] = field(default_factory=list)
    header: Header | None = None
    header_number: int = 0
    findings: list[Finding] = field(default_factory=list)
    has_rows: bool = False
    # The report's line end: LF where the upload's first line has it, else CRLF.
    line_end: bytes = b"\r\n"


def scan_upload(
    source: BinaryIO, expected: Sequence[str], limits: Limits, chunk_bytes: int = CHUNK_BYTES
) -> Scan:
    """Cuts the whole upload into chunks, unless it can't be one. `expected` are the columns that must be there."""
    scan = _scan_chunks(source, expected, limits, chunk_bytes)
    if scan.header and scan.findings and scan.findings[0].code in _OF_THE_HEADER:
        below = _find_header_below(scan)
        if below is not None:
            scan.findings = [header_below(below)]
    return scan


def _scan_chunks(source: BinaryIO, expected: Sequence[str], limits: Limits, chunk_bytes: int) -> Scan:
    scan = Scan()
    if source.seek(0, 2) >= limits.max_bytes:
        _tell(scan, FindingCode.FILE_TOO_LARGE, limit=size_text(limits.max_bytes))
        return scan
    source.seek(0)
    beginning = source.read(_BEGINNING)
    if beginning.startswith(_BINARY_SIGNATURES):
        _tell(scan, FindingCode.ENCODING_INVALID)
        return scan
    scan.line_end = _line_end(beginning)
    source.seek(0)
    for chunk in read_chunks(source, chunk_bytes):
        _take(scan, chunk, expected)
        if any(finding.code is FindingCode.ENCODING_INVALID for finding in scan.findings):
            return scan
        if chunk.first + chunk.count - 1 > limits.max_rows and (scan.header or not _is_all_blank(chunk)):
            if not scan.findings:
                _tell(scan, FindingCode.TOO_MANY_ROWS, limit=limits.max_rows)
            return scan
    if scan.header is None:
        _tell(scan, FindingCode.FILE_EMPTY)
        return scan
    scan.has_rows = True
    if not scan.findings:
        _check_amount(scan, scan.header, limits.max_filled_rows)
    return scan


def _find_header_below(scan: Scan) -> int | None:
    """The number of the row that is the header though it isn't the first one; None if none of the first rows is."""
    for chunk in scan.chunks:
        for number, row in enumerate(islice(chunk.each_row(), _HEADER_ROWS), chunk.first):
            if number > _HEADER_ROWS:
                return None
            if number >= scan.header_number and reads_as_header(row, chunk.separator):
                return None if number == scan.header_number else number
    return None


def _line_end(beginning: bytes) -> bytes:
    return b"\n" if b"\n" in beginning and b"\r" not in beginning.partition(b"\n")[0] else b"\r\n"


def _tell(scan: Scan, code: FindingCode, **facts: str | int) -> None:
    scan.findings.append(Finding(None, None, code, file_reason(code, **facts)))


def _take(scan: Scan, chunk: Chunk, expected: Sequence[str]) -> None:
    """Adds a chunk, looking for the header in it."""
    if scan.header is None and not _is_all_blank(chunk):
        for place, row in enumerate(chunk.each_row()):
            if place in chunk.malformed or not is_blank(row, chunk.separator):
                scan.header, scan.findings = read_header(chunk, place, row, expected)
                scan.header_number = chunk.first + place
                break
    scan.chunks.append(chunk)


def _is_all_blank(chunk: Chunk) -> bool:
    """Whether a chunk has only line ends and commas, or only line ends and spaces, so that no row need be looked at."""
    return not chunk.text.strip(chunk.end + chunk.separator) or not chunk.text.strip(chunk.end + b" \t")


def _check_amount(scan: Scan, header: Header, max_filled_rows: int | None) -> None:
    most = 0 if max_filled_rows is None else max_filled_rows
    count = 0
    for _ in _rows(scan, header):
        count += 1
        if count > most:
            break
    if max_filled_rows is not None and count > max_filled_rows:
        _tell(scan, FindingCode.TOO_MANY_ROWS, limit=max_filled_rows)
    elif not count:
        _tell(scan, FindingCode.NO_ROWS)


def _rows(scan: Scan, header: Header) -> Iterator[int]:
    """The numbers of the rows below the header that aren't skipped."""
    for chunk in scan.chunks:
        malformed = frozenset(chunk.malformed)
        for place, row in enumerate(chunk.each_row()):
            if chunk.first + place <= scan.header_number or not row:
                continue
            width = chunk.width_of(place)
            if place in malformed or check_row(row, width, header, chunk.separator) is not None:
                yield chunk.first + place

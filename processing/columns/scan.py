"""The first look at an upload: its pieces, its header, and whatever is wrong with it as a whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from config.sizes import size_text
from processing.columns.chunks import PIECE_BYTES, Piece, read_pieces
from processing.columns.findings import Finding
from processing.columns.header import Header, read_header
from processing.columns.single_rows import check_record, is_blank
from processing.columns.sniff import is_binary
from rules.codes import FindingCode
from rules.texts import file_reason

_BEGINNING: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_rows` counts rows that aren't skipped (None: no such limit), `max_records` all of them and the header."""

    max_bytes: int
    max_records: int
    max_rows: int | None


@dataclass(slots=True)
class Scan:
    """`findings` are the file's own: with any of them, the rows aren't checked.

    `has_rows`: records could be told apart, so that a report can be written. `header_number` is the record's.
    """

    pieces: list[Piece] = field(default_factory=list)
    header: Header | None = None
    header_number: int = 0
    findings: list[Finding] = field(default_factory=list)
    has_rows: bool = False
    # The report's: LF if the upload's first one is, else CRLF.
    line_end: bytes = b"\r\n"


def scan_upload(
    source: BinaryIO, expected: Sequence[str], limits: Limits, piece_bytes: int = PIECE_BYTES
) -> Scan:
    """Cuts the whole upload into pieces, unless it can't be one. `expected` are the columns that must be there."""
    scan = Scan()
    if source.seek(0, 2) >= limits.max_bytes:
        _tell(scan, FindingCode.FILE_TOO_LARGE, limit=size_text(limits.max_bytes))
        return scan
    source.seek(0)
    beginning = source.read(_BEGINNING)
    if is_binary(beginning):
        _tell(scan, FindingCode.ENCODING_INVALID)
        return scan
    scan.line_end = _line_end(beginning)
    source.seek(0)
    for piece in read_pieces(source, piece_bytes):
        _take(scan, piece, expected)
        if any(finding.code is FindingCode.ENCODING_INVALID for finding in scan.findings):
            return scan
        if piece.first + piece.count - 1 > limits.max_records and (scan.header or not _is_all_blank(piece)):
            if not scan.findings:
                _tell(scan, FindingCode.TOO_MANY_ROWS, limit=limits.max_records)
            return scan
    if scan.header is None:
        _tell(scan, FindingCode.FILE_EMPTY)
        return scan
    scan.has_rows = True
    if not scan.findings:
        _check_amount(scan, scan.header, limits.max_rows)
    return scan


def _line_end(beginning: bytes) -> bytes:
    return b"\n" if b"\n" in beginning and b"\r" not in beginning.partition(b"\n")[0] else b"\r\n"


def _tell(scan: Scan, code: FindingCode, **facts: str | int) -> None:
    scan.findings.append(Finding(None, None, code, file_reason(code, **facts)))


def _take(scan: Scan, piece: Piece, expected: Sequence[str]) -> None:
    """Adds a piece, looking for the header in it."""
    if scan.header is None and not _is_all_blank(piece):
        for place, record in enumerate(piece.records()):
            if place in piece.malformed or not is_blank(record, piece.separator):
                scan.header, scan.findings = read_header(piece, place, record, expected)
                scan.header_number = piece.first + place
                break
    scan.pieces.append(piece)


def _is_all_blank(piece: Piece) -> bool:
    """Whether nothing but line ends and commas, or line ends and spaces, is there: then nothing is looked at."""
    return not piece.text.strip(piece.end + piece.separator) or not piece.text.strip(piece.end + b" \t")


def _check_amount(scan: Scan, header: Header, max_rows: int | None) -> None:
    most = 0 if max_rows is None else max_rows
    count = 0
    for _ in _rows(scan, header):
        count += 1
        if count > most:
            break
    if max_rows is not None and count > max_rows:
        _tell(scan, FindingCode.TOO_MANY_ROWS, limit=max_rows)
    elif not count:
        _tell(scan, FindingCode.NO_ROWS)


def _rows(scan: Scan, header: Header) -> Iterator[int]:
    """The numbers of the records below the header that aren't skipped."""
    for piece in scan.pieces:
        malformed = frozenset(piece.malformed)
        for place, record in enumerate(piece.records()):
            if piece.first + place <= scan.header_number or not record:
                continue
            width = piece.width_of(place)
            if place in malformed or check_record(record, width, header, piece.separator) is not None:
                yield piece.first + place

"""What a file is before it is a CSV: UTF-16, a spreadsheet's own format, columns separated by something else."""

from collections.abc import Collection
from typing import Final

# UTF-16 with a byte order mark, ZIP (xlsx, ods), OLE (xls), gzip, PDF.
_BINARY_SIGNATURES: Final = (
    b"\xff\xfe",
    b"\xfe\xff",
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0",
    b"\x1f\x8b",
    b"%PDF-",
)
_DELIMITERS: Final = {b";": "semicolons", b"\t": "tabs"}
# More of a header row is not looked at: two hundred long names are shorter.
_HEADER_BYTES: Final = 64 * 1024


def is_binary(beginning: bytes) -> bool:
    """Whether the first bytes are those of something that is no text in UTF-8."""
    return beginning.startswith(_BINARY_SIGNATURES)


def foreign_delimiter(header: bytes, names: Collection[str], expected: Collection[str]) -> str | None:
    """What the header row is separated by, in words, if it is not commas.

    `header` is the row's own text, `names` what commas make of it. It is another one where there is no comma at all, or
    where cutting there gives more of the expected names.
    """
    found = len(set(expected).intersection(names))
    for delimiter, words in _DELIMITERS.items():
        if delimiter not in header:
            continue
        if b"," not in header:
            return words
        cells = header[:_HEADER_BYTES].decode("utf-8", "replace").split(delimiter.decode())
        if len(set(expected).intersection(cell.strip().strip('"').strip() for cell in cells)) > found:
            return words
    return None

"""Files that browsers save: their names, as RFC 6266 and RFC 8187 write them."""

import re
from typing import Final
from urllib.parse import quote

# Path separators and what ends a quoted string, control characters, and marks that turn a line around, so that a name can't look
# like another one.
_UNSAFE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\"*/:<>?\\|\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
_MOST_CHARACTERS: Final = 150
CSV_TYPE: Final = "text/csv; charset=utf-8"
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def attachment(name: str) -> str:
    """The value of Content-Disposition for a file to be saved under this name: once in ASCII, and once as it is.

    A long name is cut before its ending, by which programs know what to open it with.
    """
    # Whoever gives a name gives it a short ending.
    stem, dot, ending = (_UNSAFE.sub("_", name).strip(" .") or "download").rpartition(".")
    safe = f"{stem[: _MOST_CHARACTERS - 1 - len(ending)]}{dot}{ending}"[:_MOST_CHARACTERS]
    plain = safe.encode("ascii", "replace").decode().replace("?", "_")
    written = quote(safe.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{written}"

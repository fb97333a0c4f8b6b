"""The names of files that are sent in a batch send: what they may be. Pure."""

from typing import Final

from api.errors import RequestRefused
from rules.characters.code_points import DECEIVING

_MOST_BYTES: Final = 255


def check_file_name(name: str) -> None:
    """Raises RequestRefused (400) for a name that isn't one of a CSV file, or that would deceive whoever reads it later."""
    if not name:
        raise RequestRefused(400, 'the part "file" has no filename')
    if not name.casefold().endswith(".csv"):
        raise RequestRefused(
            400, 'only .csv files are accepted: the filename of the part "file" ends otherwise'
        )
    if len(name.encode()) > _MOST_BYTES or not DECEIVING.isdisjoint(name):
        raise RequestRefused(
            400, f"the filename must have at most {_MOST_BYTES} bytes, and no control characters"
        )

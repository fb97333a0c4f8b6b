"""The names of files that are sent in a batch send: what is said of one that can't be taken."""

from collections.abc import Mapping
from typing import Final

from api.errors import RequestRefused
from rules.characters.file_names import MOST_NAME_BYTES, NameFault, find_name_fault

_WORDS: Final[Mapping[NameFault, str]] = {
    NameFault.MISSING: 'the part "file" has no filename',
    NameFault.NOT_CSV: 'only .csv files are accepted: the filename of the part "file" ends otherwise',
    NameFault.DECEIVING: f"the filename must have at most {MOST_NAME_BYTES} bytes, and no control characters",
}


def check_file_name(name: str) -> None:
    """Raises RequestRefused (400) for a name that isn't one of a CSV file, or that would deceive whoever reads it later."""
    fault = find_name_fault(name)
    if fault is not None:
        raise RequestRefused(400, _WORDS[fault])

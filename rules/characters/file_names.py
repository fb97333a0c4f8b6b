"""The names of files that are sent: what they may be. Pure."""

from enum import Enum, auto
from typing import Final

from rules.characters.code_points import DECEIVING

MOST_NAME_BYTES: Final = 255


class NameFault(Enum):
    """What is wrong with a name: there is none, it isn't one of a CSV file, or it would deceive whoever reads it later."""

    MISSING = auto()
    NOT_CSV = auto()
    DECEIVING = auto()


def find_name_fault(name: str) -> NameFault | None:
    """What is wrong with the name of a file, if anything."""
    if not name:
        return NameFault.MISSING
    if not name.casefold().endswith(".csv"):
        return NameFault.NOT_CSV
    if len(name.encode()) > MOST_NAME_BYTES or not DECEIVING.isdisjoint(name):
        return NameFault.DECEIVING
    return None

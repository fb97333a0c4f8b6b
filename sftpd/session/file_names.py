"""Names in the drop box: which path means which name, what a name may be, and which names wait for a rename. Pure."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from rules.characters.code_points import DECEIVING
from sftpd.refusals import FolderRefused, NameRefused

MAX_NAME_BYTES: Final = 255

# As POSIX has it, slashes and single dots before a name mean nothing. OpenSSH's sftp and paramiko put the folder that they are in
# before what the user typed, so that `./x` comes as `/./x`. Above the root there is the root: `cd ..` asks for `/..`.
_NO_STEP: Final = re.compile(rb"(?:\.?/)*")
_ROOT: Final = re.compile(rb"(?:\.?/)*(?:\.\.?/?)?")

# What programs put behind a name until they rename it: rclone 8 hex digits, Azure Data Factory 32, Cyberduck a dash and some
# letters and digits, YADE a tilde. A tail of digits only is a date: the job that puts it there never renames the file.
_TEMPORARY_TAIL: Final = re.compile(
    r"\.csv(?:\.(?!\d+\Z)(?:[0-9a-f]{8}|[0-9a-f]{32})|-(?!\d+\Z)[0-9a-z]{4,16}|~)\Z", re.ASCII | re.IGNORECASE
)


class NameKind(StrEnum):
    """What closing a file of that name means."""

    CSV = "csv"
    TEMPORARY = "temporary"
    OTHER = "other"


def is_root(path: bytes) -> bool:
    """Whether a path names the drop box itself."""
    return _ROOT.fullmatch(path) is not None


def parse_name(path: bytes) -> str:
    """The name that a path means, which is the same for `x`, `/x`, `//x` and `./x`.

    Raises FolderRefused for a path with any other slash or `..`, and NameRefused for what may not be a name.
    """
    path = _NO_STEP.sub(b"", path, count=1)
    if b"/" in path or path in {b".", b".."}:
        raise FolderRefused
    if not path or len(path) > MAX_NAME_BYTES:
        raise NameRefused
    try:
        name = path.decode("utf-8")
    except UnicodeDecodeError:
        raise NameRefused from None
    if not DECEIVING.isdisjoint(name):
        raise NameRefused
    return name


def classify_name(name: str, temporary_suffixes: Iterable[str]) -> NameKind:
    """Whether a file that is closed under this name is an upload, waits for its rename, or is refused.

    An upload ends in .csv, in upper or lower case. A name with a temporary suffix or a leading dot waits, whatever its
    end, and so does one in .csv with a tail that programs take off again.
    """
    folded = name.casefold()
    if name.startswith(".") or any(folded.endswith(suffix.casefold()) for suffix in temporary_suffixes):
        return NameKind.TEMPORARY
    if _TEMPORARY_TAIL.search(name):
        return NameKind.TEMPORARY
    return NameKind.CSV if folded.endswith(".csv") else NameKind.OTHER


def may_become(temporary: str, name: str, temporary_suffixes: Sequence[str]) -> bool:
    """Whether a temporary name is plausibly one made for `name`: `x.csv.filepart`, `.in.x.csv.`, `x.csv.1a2b3c4d.partial`."""
    return classify_name(temporary, temporary_suffixes) is NameKind.TEMPORARY and name in temporary


def final_names(name: str, temporary_suffixes: Sequence[str]) -> list[str]:
    """The names under which an upload may come in that was begun as `name`: that name, and what a temporary one stands for.

    `.x.csv`, `x.csv.filepart`, `x.csv.1a2b3c4d.partial`, `.in.x.csv.` and `x.part` all may stand for `x.csv`.
    """
    names = [name]
    if classify_name(name, temporary_suffixes) is NameKind.TEMPORARY:
        stem = name.lstrip(".")
        for stand_in in (stem, stem.removeprefix("in.")):
            folded = stand_in.casefold()
            if (end := folded.rfind(".csv")) >= 0:
                names.append(stand_in[: end + len(".csv")])
            for suffix in temporary_suffixes:
                if folded.endswith(suffix.casefold()):
                    names += [stand_in[: -len(suffix)], f"{stand_in[: -len(suffix)]}.csv"]
    return list(dict.fromkeys(names))

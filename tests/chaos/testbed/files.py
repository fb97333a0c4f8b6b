"""The uploads of the harness: no two alike, and what must come of each."""

import hashlib
import itertools
import random
from dataclasses import dataclass
from typing import Final

from rules.templates import Language, Template

TEMPLATE: Final = Template("Harbour Office", {Language.ENGLISH: "Dear {{name}}, we have your {{topic}}."})
_HEADER: Final = "recipient,language,name,topic"
_count = itertools.count(1)


@dataclass(frozen=True, slots=True)
class UploadFile:
    """A CSV and its verdict: `rows` messages, or a rejection with so many bad rows (0: the file as a whole)."""

    name: str
    content: bytes
    rows: int
    bad_rows: int = 0
    whole_is_bad: bool = False

    @property
    def is_good(self) -> bool:
        return not self.bad_rows and not self.whole_is_bad

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def make_file(rows: int, *, bad_rows: int = 0, whole_is_bad: bool = False) -> UploadFile:
    """A file of so many rows; each row's topic is found in no other file of this run, nor twice in this one."""
    number = next(_count)
    lines = [_HEADER.replace("topic", "subject") if whole_is_bad else _HEADER]
    for row in range(1, rows + 1):
        plus = "+" if row <= bad_rows else ""
        lines.append(f"{plus}65{80000000 + row},english,Emily Yeo,letter {number} of row {row}")
    content = ("\n".join(lines) + "\n").encode()
    # A size between blocks: an upload that ends on one looks interrupted.
    while len(content) % 16_384 == 0 or len(content) % 261_120 == 0:
        content += b"\n"
    return UploadFile(f"letters-{number:05}.csv", content, rows, bad_rows, whole_is_bad)


def any_file(chance: random.Random, *, largest: int = 4000) -> UploadFile:
    """One of those that agencies send: mostly small and good, some large, some with faults."""
    rows = chance.choice((1, 3, 10, 40, 200, largest))
    match chance.randrange(8):
        case 0 | 1:
            return make_file(rows, bad_rows=chance.randint(1, rows))
        case 2:
            return make_file(rows, whole_is_bad=True)
        case _:
            return make_file(rows)

"""The uploads that the tests send: no two are alike, and each says what must come of it."""

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
    """A CSV and its verdict: `rows` messages, or a rejection with `bad_rows` bad rows, or (`whole_is_bad`) as a whole."""

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
    """A CSV of so many rows. No topic occurs twice in a run, so that a message that was made twice is found by its topic."""
    number = next(_count)
    lines = [_HEADER.replace("topic", "subject") if whole_is_bad else _HEADER]
    for row in range(1, rows + 1):
        plus = "+" if row <= bad_rows else ""
        lines.append(f"{plus}65{80000000 + row},english,Emily Yeo,letter {number} of row {row}")
    content = ("\n".join(lines) + "\n").encode()
    # An upload that ends exactly at a block of a client looks interrupted, so the size avoids that.
    while len(content) % 16_384 == 0 or len(content) % 261_120 == 0:
        content += b"\n"
    return UploadFile(f"letters-{number:05}.csv", content, rows, bad_rows, whole_is_bad)


def any_file(chance: random.Random, *, largest: int = 4000) -> UploadFile:
    """A CSV as agencies send them: most are small and good, some are large, some have findings."""
    rows = chance.choice((1, 3, 10, 40, 200, largest))
    match chance.randrange(8):
        case 0 | 1:
            return make_file(rows, bad_rows=chance.randint(1, rows))
        case 2:
            return make_file(rows, whole_is_bad=True)
        case _:
            return make_file(rows)

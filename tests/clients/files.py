"""Valid uploads of any size. They have few rows, so that 29 MB are judged quickly, and no two are alike."""

import itertools
import random
from typing import Final

from tests.chaos.testbed.files import UploadFile

_LETTERS: Final = "the quick brown fox jumps over the lazy dog. "
_HEADER: Final = "recipient,language,name,topic\n"
# Within the 1,000 characters of a body.
_LONGEST: Final = 900
# The block sizes of clients: an upload that ends exactly at a block looks interrupted.
_BLOCKS: Final = (5_000, 8_192, 10_000, 12_288, 16_384, 30_000, 261_120)
_count = itertools.count(1)


def sized_file(chance: random.Random, size: int) -> UploadFile:
    """A CSV of about `size` bytes for the template of the chaos testbed."""
    number = next(_count)
    lines = [_HEADER]
    left = size - len(_HEADER)
    while left > 0 or len(lines) < 3:
        row = len(lines)
        start = f"65{80000000 + row},english,Emily Yeo,reminder {number} of row {row} "
        words = _LETTERS * 20
        length = chance.randint(200, _LONGEST) - len(start)
        lines.append(f"{start}{words[:length].strip()}\n")
        left -= len(lines[-1])
    rows = len(lines) - 1
    content = "".join(lines).encode()
    while any(len(content) % block == 0 for block in _BLOCKS):
        content += b"\n"
    return UploadFile(f"reminders-{number:05}.csv", content, rows)

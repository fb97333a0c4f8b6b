"""Good uploads of any size with few rows, so that 29 MB of them are judged quickly; no two alike."""

import itertools
import random
from typing import Final

from tests.chaos.testbed.files import UploadFile

_LETTERS: Final = "the quick brown fox jumps over the lazy dog. "
_HEADER: Final = "recipient,language,name,topic\n"
# Within the 1,000 characters of a body.
_LONGEST: Final = 900
# What clients write at a time: a whole file that ends on one of these looks interrupted.
_BLOCKS: Final = (16_384, 30_000, 261_120)
_count = itertools.count(1)


def sized_file(chance: random.Random, size: int) -> UploadFile:
    """A file of about `size` bytes that the chaos harness's template takes."""
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

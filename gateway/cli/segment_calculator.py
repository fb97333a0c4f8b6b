"""The segment calculator of the command line: texts in, one JSON object out for each (2-gateway.md §5)."""

import json
import sys
from collections.abc import Iterator

from gateway.errors import CallMisused


def count_text(text: str) -> str:
    """The object of exactly that text, on one line. The service's default list of unsupported characters applies."""
    from rules.characters.unsupported import UnsupportedRule, all_unsupported
    from rules.segments import segment

    counted = segment(text)
    answer = {
        "encoding": counted.encoding,
        "units": counted.units,
        "segments": counted.segments,
        "characters": counted.characters,
        "unsupported": [
            {"character": found.character, "codePoint": found.code_point, "replacement": found.replacement}
            for found in all_unsupported(text, UnsupportedRule())
        ],
    }
    return json.dumps(answer, ensure_ascii=not _prints_unicode(), separators=(",", ":"))


def count_line(line: bytes, number: int) -> str:
    """The object of a line that holds a JSON string; `number` counts from 1. Raises CallMisused."""
    try:
        text = json.loads(line)
    except ValueError:
        text = None
    if not isinstance(text, str):
        raise CallMisused(
            f'line {number} is not a JSON string: write one text per line, such as "Dear Ms Tan"'
        )
    return count_text(text)


def read_stdin_lines() -> Iterator[bytes]:
    """The lines of standard input."""
    yield from sys.stdin.buffer


def read_stdin_text() -> str:
    """All of standard input, as it stands. Raises CallMisused."""
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise CallMisused("standard input is not UTF-8 text") from None


def _prints_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"

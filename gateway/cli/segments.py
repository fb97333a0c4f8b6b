"""`sftp-gateway segments`: the segment calculator. Texts go in, one JSON object comes out for each (2-gateway.md §5)."""

import json
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from gateway.errors import CallMisused


def register(parent: typer.Typer) -> None:
    """Add this command to `parent`."""
    parent.command(
        epilog="Examples: sftp-gateway segments 'Dear Ms Tan' · sftp-gateway segments - < message.txt · "
        "sftp-gateway segments --jsonl - < messages.jsonl"
    )(segments)


def segments(
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="The whole message; - reads standard input.", show_default=False),
    ] = "-",
    jsonl: Annotated[
        bool,
        typer.Option("--jsonl", help="Standard input has a JSON string per line; print an object for each."),
    ] = False,
) -> None:
    """Count the segments that exactly this text takes, and name its unsupported characters."""
    if jsonl and text != "-":
        raise CallMisused("with --jsonl the texts come from standard input: give no TEXT, or -")
    if jsonl:
        answers = (_count_line(line, number) for number, line in enumerate(_read_stdin_lines(), start=1))
    else:
        answers = (_count_text(one) for one in [_read_stdin_text() if text == "-" else text])
    for answer in answers:
        sys.stdout.write(answer + "\n")
    sys.stdout.flush()


def _count_text(text: str) -> str:
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


def _count_line(line: bytes, number: int) -> str:
    """The object of a line that holds a JSON string; `number` counts from 1. Raises CallMisused."""
    try:
        text = json.loads(line)
    except ValueError:
        text = None
    if not isinstance(text, str):
        raise CallMisused(
            f'line {number} is not a JSON string: write one text per line, such as "Dear Ms Tan"'
        )
    return _count_text(text)


def _read_stdin_lines() -> Iterator[bytes]:
    """The lines of standard input."""
    yield from sys.stdin.buffer


def _read_stdin_text() -> str:
    """All of standard input, as it stands. Raises CallMisused."""
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise CallMisused("standard input is not UTF-8 text") from None


def _prints_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"

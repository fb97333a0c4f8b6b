"""How commands print: tables for people, one JSON document for scripts, notes on standard error. Times are UTC.

Standard output carries the answer alone. Whatever comes from outside, such as names of campaigns and files, is escaped.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TextIO, TypeVar

from rules.characters.code_points import DECEIVING, characters_of, python_class

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
# Half surrogates (General_Category=Cs) stand for bytes of an argument that aren't UTF-8; a terminal can't be sent them.
_UNPRINTABLE: Final = re.compile(python_class(DECEIVING | characters_of("D800-DFFF")))

# How a status is shown on a terminal.
STYLES: Final = {
    "active": "green",
    "in force": "green",
    "accepted": "green",
    "suspended": "yellow",
    "received": "cyan",
    "validating": "cyan",
    "rejected": "yellow",
    "deleted": "red",
    "revoked": "red",
    "failed": "bold red",
    "success": "green",
    "failure": "bold red",
}


def printable(text: str) -> str:
    """`text` on one line, control characters written as escapes."""
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def utc(at: datetime | None) -> str | None:
    """A time as JSON has it: `2026-11-22T06:05:04.321Z`."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def for_people(at: datetime | None) -> str:
    """A time as a table has it: `2026-11-22 06:05:04Z`, or a dash."""
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def print_json(document: object) -> None:
    """One JSON document."""
    print_line(json.dumps(document, ensure_ascii=False, indent=2))


def cut_page(found: Sequence[T], limit: int, id_of: Callable[[T], str]) -> list[T]:
    """The first `limit` of what was found. Where there are more, says how to come to them."""
    shown = list(found[:limit])
    if len(found) > limit:
        note(f"There are more: add --after {id_of(shown[-1])}, or raise --limit")
    return shown


def print_line(text: str) -> None:
    """One line of the answer. What the terminal's encoding can't show is escaped."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Something to know, on standard error."""
    _write(sys.stderr, text)


def warn(text: str) -> None:
    """Something to look at, on standard error, on one line."""
    _emphasise("warning", "33", text)


def fail(text: str) -> None:
    """What went wrong, on standard error: one line for each one in `text`."""
    for line in text.splitlines() or [""]:
        _emphasise("error", "1;31", line)


def _emphasise(word: str, colour: str, text: str) -> None:
    shown = f"\x1b[{colour}m{word}:\x1b[0m" if sys.stderr.isatty() else f"{word}:"
    _write(sys.stderr, f"{shown} {printable(text)}")


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _console() -> "Console":
    from rich.console import Console

    # Through a pipe nothing is cut or wrapped.
    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 4000)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str | None]], *, empty: str) -> None:
    """A table of texts; `empty` is said, on standard error, instead of a table without rows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not rows:
        note(empty)
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        # The first column is what people copy: it stays on one line while others can give way.
        table.add_column(column, overflow="fold", no_wrap=place == 0)
    for row in rows:
        cells = [printable(cell) if cell else "-" for cell in row]
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    _console().print(table)


def print_facts(facts: Sequence[tuple[str, str | None]]) -> None:
    """Names and values, one line each; a fact that is None is left out."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        if value is not None:
            table.add_row(Text(name, style="bold"), Text(printable(value), style=STYLES.get(value, "")))
    _console().print(table)


def counted(number: int, noun: str) -> str:
    """`1 message`, `1,000 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

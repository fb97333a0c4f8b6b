"""Options and arguments that several commands have: their names and texts, and how their words are read."""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final, TypeAlias, TypeVar

import typer

from gateway.errors import CallMisused, CallRefused
from gateway.output import cut_page, note

if TYPE_CHECKING:
    from rules.templates import Language


T = TypeVar("T")
_AGE: Final = re.compile(r"(\d{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

CampaignId: TypeAlias = Annotated[
    str, typer.Argument(metavar="CAMPAIGN", help="The campaignId.", show_default=False)
]
AFTER_HELP: Final = "Those below this one: the last of the page before."
After: TypeAlias = Annotated[str | None, typer.Option("--after", metavar="ID", help=AFTER_HELP)]
# Of lists that once printed all they had: scripts that read them miss nothing.
Limit: TypeAlias = Annotated[
    int | None,
    typer.Option("--limit", min=1, max=100_000, help="How many at most.", show_default="all"),
]
JSON: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def page_of(
    whole: Sequence[T],
    *,
    after: str | None,
    limit: int | None,
    search: str | None,
    id_of: Callable[[T], str],
    texts_of: Callable[[T], Sequence[str]],
) -> list[T]:
    """What is to be shown of a list that is never long, such as one campaign's keys: below `after`, and with `search` in a text.

    Raises CallRefused where `after` isn't in it.
    """
    ids = [id_of(one) for one in whole]
    if after is not None and after not in ids:
        raise CallRefused(f"there is no {after!r:.80} in this list: give the last of the page before")
    rest = whole if after is None else whole[ids.index(after) + 1 :]
    wanted = (search or "").casefold()
    found = [one for one in rest if any(wanted in text.casefold() for text in texts_of(one))]
    return cut_page(found, len(found) if limit is None else limit, id_of)


def confirm(warning: str, question: str, *, refusal: str) -> None:
    """Ask before what can't be undone. Raises typer.Abort for a no, CallMisused with `refusal` where nobody answers."""
    if sys.stdin.isatty():
        note(warning)
        typer.confirm(question, abort=True, err=True)
        return
    # A script may give the answer, as `yes` does; without one nothing is done.
    answer = sys.stdin.readline()
    if not answer:
        raise CallMisused(f"{refusal} can't be undone: add --yes to do it without being asked")
    if answer.strip().lower() not in {"y", "yes"}:
        raise typer.Abort


def read_input(name: str, *, limit: int) -> bytes:
    """What a file holds, or standard input for `-`; at most `limit` bytes and one more. Raises CallMisused."""
    if name == "-":
        return sys.stdin.buffer.read(limit + 1)
    try:
        with Path(name).open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise CallMisused(f"{name!r} can't be read: {error.strerror}") from None
    except ValueError:
        raise CallMisused(f"{name!r} is not the name of a file") from None


@contextlib.contextmanager
def new_private_file(path: Path) -> Iterator[BinaryIO]:
    """A new file with mode 0600, for personal data: gone again if the block fails. Raises CallMisused."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CallMisused(f"{str(path)!r} can't be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except OSError as error:
        path.unlink(missing_ok=True)
        raise CallMisused(f"{str(path)!r} can't be written: {error.strerror}") from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def parse_bodies(words: Sequence[str]) -> "dict[Language, str]":
    """The body of each language, in the order given by `--template LANG=TEXT`, once per language.

    Raises CallMisused: no such language, the same one twice, or an unreadable file.
    """
    from rules.languages import parse_language, suggest_language
    from rules.templates import Language

    bodies: dict[Language, str] = {}
    for word in words:
        name, separator, text = word.partition("=")
        language = parse_language(name.strip()) if separator else None
        if not separator:
            raise CallMisused(
                "a template is given as LANG=TEXT or LANG=@FILE, such as --template 'english=Dear {{name}}'"
            )
        if language is None:
            nearest = suggest_language(name, tuple(Language))
            hint = f": did you mean {nearest}?" if nearest else f": use {', '.join(Language)}"
            raise CallMisused(f"a template's language can't be {name.strip()[:30]!r}{hint}")
        if language in bodies:
            raise CallMisused(f"the template has two {language} bodies: give one per language")
        bodies[language] = _read_body(text[1:]) if text.startswith("@") else text
    if not bodies:
        raise CallMisused("give a template: --template LANG=TEXT, once per language")
    return bodies


def _read_body(name: str) -> str:
    try:
        text = Path(name).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CallMisused(f"the template's file {name!r} can't be read: {error.strerror}") from None
    except ValueError:
        raise CallMisused(f"the template's file {name!r} is not UTF-8 text") from None
    # The line end at the end was put there by the editor, and is not part of the message.
    return text.removesuffix("\n")


def parse_since(text: str, *, now: datetime) -> datetime:
    """A time given as an age or as ISO 8601, UTC unless it says otherwise. Raises CallMisused."""
    if match := _AGE.fullmatch(text.strip()):
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise CallMisused(
            f"--since {text!r:.40} is no time: write 24h, 7d, 2026-11-22 or 2026-11-22T08:00+08:00"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)

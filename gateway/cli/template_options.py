"""`--template LANG=TEXT`, as several commands take it: from words to bodies."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import CallMisused

if TYPE_CHECKING:
    from rules.templates import Language


def parse_bodies(words: Sequence[str]) -> "dict[Language, str]":
    """Each language's body, in the order given. Raises CallMisused: no such language, twice, or an unreadable file."""
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
    # The last line end is the editor's.
    return text.removesuffix("\n")

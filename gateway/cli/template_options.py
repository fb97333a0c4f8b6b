"""`--template LANG=TEXT`, as several commands take it: from words to checked bodies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.output import warn
from gateway.errors import CallMisused, CallRefused

if TYPE_CHECKING:
    from config.sections import MessageSettings
    from rules.characters.unsupported import UnsupportedRule
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


def check_bodies(header: str, bodies: "Mapping[Language, str]", settings: "MessageSettings | None") -> None:
    """Warn of what is unwise. Raises CallRefused, a line for each refusal. No settings: the defaults."""
    from rules.template_checks import check_template

    for text in (header, *bodies.values()):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise CallRefused("the template is not UTF-8 text") from None
    checked = check_template(
        header, {language.value: body for language, body in bodies.items()}, rule_of(settings)
    )
    for warning in checked.warnings:
        warn(warning)
    if checked.refusals:
        raise CallRefused("\n".join(checked.refusals))


def rule_of(settings: "MessageSettings | None") -> "UnsupportedRule":
    """Which characters are refused, by the settings; None: the defaults."""
    from rules.characters.unsupported import UnsupportedRule

    if settings is None:
        return UnsupportedRule()
    return UnsupportedRule(tier3=settings.refuse_typography, emoji=settings.refuse_emoji)

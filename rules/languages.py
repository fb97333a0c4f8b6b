"""The language column: one of the service's four, in any case, and one that the campaign's template has.

Decided here: empty or only white space is missing; otherwise the text is compared in lower case and not trimmed, so
`english ` is unknown. The suggestion is the nearest of the campaign's languages, asked of the trimmed text.
"""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from rules.characters.code_points import INVISIBLE, WHITE_SPACE, name_character
from rules.codes import FindingCode
from rules.templates import Language

_UNSEEN: Final = INVISIBLE | set(WHITE_SPACE)
# No text longer than this is looked at for a language that it may mean.
_LONGEST: Final = 40
_BY_NAME: Final = {language.value: language for language in Language}


def parse_language(text: str) -> Language | None:
    """The language that `text` names, in any case."""
    return _BY_NAME.get(text.lower())


def check_language(text: str, available: Collection[Language]) -> FindingCode | None:
    """What is wrong with one cell of the column, if anything."""
    language = parse_language(text)
    if language is not None:
        return None if language in available else FindingCode.LANGUAGE_UNAVAILABLE
    return FindingCode.LANGUAGE_UNKNOWN if text.strip() else FindingCode.LANGUAGE_MISSING


def suggest_language(text: str, among: Collection[Language]) -> Language | None:
    """The language that `text` was most likely meant to name."""
    names = [language.value for language in among]
    nearest = get_close_matches(text.strip().lower()[:_LONGEST], names, n=1, cutoff=0.6)
    return Language(nearest[0]) if nearest else None


def hint_of_language(text: str, among: Collection[Language]) -> str:
    """What the text of an unknown language adds in brackets: what in it can't be seen, or which one may be meant."""
    seen = "".join(char for char in text[:_LONGEST] if char not in _UNSEEN)
    if len(text) <= _LONGEST and parse_language(seen):
        unseen = next(char for char in text if char in _UNSEEN)
        named = "a space" if unseen == " " else name_character(unseen)
        where = "before it" if text[0] in _UNSEEN else "after it" if text[-1] in _UNSEEN else "in it"
        return f" (there is {named} {where}, which can't be seen: remove it)"
    nearest = suggest_language(text, among)
    return f" (did you mean {nearest}?)" if nearest else ""

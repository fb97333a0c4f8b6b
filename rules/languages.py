"""The language column: one of the service's four, in any case, and one that the campaign's template has.

Decided here: empty or only white space is missing; otherwise the text is compared in lower case and not trimmed, so
`english ` is unknown. The suggestion is the nearest of the campaign's languages, asked of the trimmed text.
"""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.characters.code_points import INVISIBLE, WHITE_SPACE, name_character
from rules.codes import FindingCode
from rules.templates import Language

LANGUAGES: Final = tuple(Language)
# In `LanguageColumn.languages`: the text is none of the four.
NO_LANGUAGE: Final = 255
# `LanguageColumn.findings` are places in this tuple.
LANGUAGE_FINDINGS: Final[tuple[FindingCode | None, ...]] = (
    None,
    FindingCode.LANGUAGE_MISSING,
    FindingCode.LANGUAGE_UNKNOWN,
    FindingCode.LANGUAGE_UNAVAILABLE,
)
_UNSEEN: Final = INVISIBLE | set(WHITE_SPACE)
# No text longer than this is looked at for a language that it may mean.
_LONGEST: Final = 40
_BY_NAME: Final = {language.value: language for language in Language}


class LanguageColumn(NamedTuple):
    """`languages`: for each row its place in LANGUAGES, known ones that the template lacks included, or NO_LANGUAGE.

    `findings`: for each row its place in LANGUAGE_FINDINGS, or None where no row has a finding.
    """

    languages: npt.NDArray[np.uint8]
    findings: npt.NDArray[np.uint8] | None


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


def check_languages(series: pl.Series, available: Collection[Language]) -> LanguageColumn:
    """`parse_language` and `check_language` over a String column without nulls."""
    languages = np.full(len(series), NO_LANGUAGE, np.uint8)
    names = series
    todo: npt.NDArray[np.int64] | None = None
    # The texts are compared as they stand first, because nearly every row has its language in lower case.
    for lowered in (False, True):
        if lowered:
            todo = np.flatnonzero(languages == NO_LANGUAGE)
            if not len(todo):
                break
            names = series.gather(todo).str.to_lowercase()
        for place, language in enumerate(LANGUAGES):
            same = (names == language.value).to_numpy()
            languages[same if todo is None else todo[same]] = place
    wrong = np.array([language not in available for language in LANGUAGES] + [True] * 252)[languages]
    if not wrong.any():
        return LanguageColumn(languages, None)
    findings = np.zeros(len(series), np.uint8)
    findings[wrong] = LANGUAGE_FINDINGS.index(FindingCode.LANGUAGE_UNAVAILABLE)
    unknown = np.flatnonzero(languages == NO_LANGUAGE)
    missing = (series.gather(unknown).str.strip_chars(WHITE_SPACE) == "").to_numpy()
    findings[unknown] = np.where(missing, 1, 2)
    return LanguageColumn(languages, findings)

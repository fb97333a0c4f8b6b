"""`rules.languages` over columns: the language of each row, and what is wrong with it."""

from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from rules.characters.code_points import WHITE_SPACE
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


class LanguageColumn(NamedTuple):
    """`languages`: for each row its place in LANGUAGES, known ones that the template lacks included, or NO_LANGUAGE.

    `findings`: for each row its place in LANGUAGE_FINDINGS, or None where no row has a finding.
    """

    languages: npt.NDArray[np.uint8]
    findings: npt.NDArray[np.uint8] | None


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

"""The language column: known, available, and what was probably meant."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.codes import FindingCode
from rules.columns.languages import LANGUAGE_FINDINGS, LANGUAGES, NO_LANGUAGE, check_languages
from rules.languages import check_language, hint_of_language, parse_language, suggest_language
from rules.templates import Language

OFFERED = (Language.ENGLISH, Language.TAMIL)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("english", None),
        ("ENGLISH", None),
        ("TaMiL", None),
        ("chinese", FindingCode.LANGUAGE_UNAVAILABLE),
        ("MALAY", FindingCode.LANGUAGE_UNAVAILABLE),
        ("", FindingCode.LANGUAGE_MISSING),
        (" \u3000", FindingCode.LANGUAGE_MISSING),
        ("english ", FindingCode.LANGUAGE_UNKNOWN),
        ("\ufeffenglish", FindingCode.LANGUAGE_UNKNOWN),
        ("en", FindingCode.LANGUAGE_UNKNOWN),
        ("ＥＮＧＬＩＳＨ", FindingCode.LANGUAGE_UNKNOWN),
        ("maIay", FindingCode.LANGUAGE_UNKNOWN),
    ],
    ids=ascii,
)
def test_a_cell_gets_its_code(text: str, code: FindingCode | None) -> None:
    assert check_language(text, OFFERED) == code


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("englsh", Language.ENGLISH),
        (" Tamil ", Language.TAMIL),
        ("chinese simplified", None),
        ("french", None),
        ("x" * 10**6, None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_near_miss_is_recognised_among_the_offered(text: str, language: Language | None) -> None:
    assert suggest_language(text, OFFERED) == language


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("English ", " (there is a space after it, which can't be seen: remove it)"),
        (" english", " (there is a space before it, which can't be seen: remove it)"),
        ("english\u00a0", " (there is U+00A0 (no-break space) after it, which can't be seen: remove it)"),
        (
            "\ufeffmalay",
            " (there is U+FEFF (zero width no-break space) before it, which can't be seen: remove it)",
        ),
        ("eng\u200blish", " (there is U+200B (zero width space) in it, which can't be seen: remove it)"),
        ("englsh", " (did you mean english?)"),
        ("french", ""),
        ("english" + " " * 10**6, " (did you mean english?)"),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_an_unknown_language_is_told_what_cant_be_seen_or_what_is_meant(text: str, hint: str) -> None:
    assert hint_of_language(text, OFFERED) == hint


WORDS = st.sampled_from(
    ["english", "English", "TAMIL", "chinese", "malay", "", " ", "english ", "englsh", "ENGLİSH"]
)


@given(st.lists(WORDS | st.text(max_size=4), max_size=10), st.sets(st.sampled_from(Language)))
def test_a_column_says_what_each_cell_alone_says(texts: list[str], offered: set[Language]) -> None:
    column = check_languages(pl.Series(texts, dtype=pl.String), offered)
    found = [0] * len(texts) if column.findings is None else column.findings.tolist()
    assert [LANGUAGE_FINDINGS[place] for place in found] == [check_language(text, offered) for text in texts]
    named = [None if place == NO_LANGUAGE else LANGUAGES[place] for place in column.languages.tolist()]
    assert named == [parse_language(text) for text in texts]

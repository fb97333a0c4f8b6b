"""The named sets against the Unicode that `regex` knows, and what the regular expressions make of them."""

import re
from collections.abc import Set as AbstractSet

import polars as pl
import pytest
import regex

from rules.characters.code_points import (
    BIDI_CONTROLS,
    CONTROLS,
    INVISIBLE,
    LINE_SEPARATORS,
    characters_of,
    polars_class,
    python_class,
)

EVERYTHING = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))


@pytest.mark.parametrize(
    ("characters", "property_of_unicode"),
    [
        pytest.param(CONTROLS, r"\p{Cc}", id="controls"),
        pytest.param(LINE_SEPARATORS, r"[\p{Zl}\p{Zp}]", id="line separators"),
        pytest.param(INVISIBLE, r"[\p{Default_Ignorable_Code_Point}\u2800]", id="invisible"),
        pytest.param(BIDI_CONTROLS, r"\p{Bidi_Control}", id="bidi controls"),
    ],
)
def test_a_set_has_the_characters_of_its_unicode_property(
    characters: AbstractSet[str], property_of_unicode: str
) -> None:
    assert characters == set(regex.findall(property_of_unicode, EVERYTHING))


def test_both_classes_match_the_set_and_nothing_else() -> None:
    characters = characters_of("5B-5E 2D 85 1F600-1F601")
    assert set(re.findall(python_class(characters), EVERYTHING)) == characters
    column = pl.Series(list(EVERYTHING))
    assert set(column.filter(column.str.contains(polars_class(characters)))) == characters

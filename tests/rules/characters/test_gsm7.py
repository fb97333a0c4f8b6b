"""The GSM-7 alphabet against the standard's tables."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.characters.gsm7 import BASIC, EXTENSION, gsm7_units, is_gsm7, with_escapes
from rules.columns.gsm7 import contains_non_gsm7, extension_counts
from tests.rules.vectors import GSM7


def test_the_alphabet_is_that_of_the_standard() -> None:
    assert GSM7["basic_string"] == BASIC
    assert set(EXTENSION) == set(GSM7["extension_string"])


def test_every_other_character_is_outside() -> None:
    inside = GSM7["basic_string"] + GSM7["extension_string"]
    assert [char for char in map(chr, range(0x11000)) if is_gsm7(char)] == sorted(inside)


@pytest.mark.parametrize(
    ("text", "units"),
    [("", 0), ("@", 1), ("\f", 2), ("[]{}~\\|^€", 18), ("Ça", 2), ("a\r\n", 3)],
    ids=repr,
)
def test_extension_characters_take_two_units(text: str, units: int) -> None:
    assert is_gsm7(text)
    assert gsm7_units(text) == units


TEXTS = st.lists(st.text(st.sampled_from("a@\n\r\f{€çÇ`é\t中😀")) | st.text(), max_size=8)


@given(TEXTS)
def test_a_column_says_what_each_text_alone_says(texts: list[str]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    assert contains_non_gsm7(series).tolist() == [not is_gsm7(text) for text in texts]
    units = [len(text) + more for text, more in zip(texts, extension_counts(series).tolist(), strict=True)]
    assert units == [gsm7_units(text) for text in texts]


@given(st.text(st.sampled_from(BASIC + EXTENSION)))
def test_with_escapes_a_text_has_one_character_a_unit(text: str) -> None:
    assert len(with_escapes(text)) == gsm7_units(text)

"""A parameter's value: what is wrong with it, alone and in a column."""

import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.characters.code_points import WHITE_SPACE
from rules.characters.gsm7 import gsm7_units, is_gsm7
from rules.characters.unsupported import UnsupportedRule, first_unsupported, replacements
from rules.codes import FindingCode
from rules.columns.values import FLAG_CODES, check_values, find_suspects
from rules.values import ValueRule, check_value, describe_unseen

MISSING = FindingCode.VALUE_MISSING
WHITESPACE = FindingCode.VALUE_WHITESPACE
CONTROL = FindingCode.VALUE_CONTROL_CHARACTER
GARBLED = FindingCode.ENCODING_INVALID
SPREADSHEET_ERROR = FindingCode.VALUE_SPREADSHEET_ERROR
MARKUP = FindingCode.VALUE_MARKUP
UNSUPPORTED = FindingCode.VALUE_UNSUPPORTED_CHARACTERS


def test_white_space_is_what_python_strips() -> None:
    assert set(WHITE_SPACE) == {char for char in map(chr, range(sys.maxunicode + 1)) if char.isspace()}


@pytest.mark.parametrize(
    ("value", "in_english", "elsewhere"),
    [
        ("", [MISSING], [MISSING]),
        (" \t\u00a0\n", [MISSING], [MISSING]),
        ("Emily Yeo", [], []),
        ("two\nlines\r\nmore", [], []),
        (" a", [WHITESPACE], [WHITESPACE]),
        ("a\n", [WHITESPACE], [WHITESPACE]),
        ("a\u2028", [WHITESPACE, UNSUPPORTED], [WHITESPACE]),
        ("a\u00a0", [WHITESPACE, UNSUPPORTED], [WHITESPACE]),
        ("a\t", [WHITESPACE, UNSUPPORTED], [WHITESPACE]),
        ("a\tb", [UNSUPPORTED], []),
        ("a\u200b", [UNSUPPORTED], []),
        ("\u200b", [MISSING], [MISSING]),
        ("\u2800 \u3164\ufe0f", [MISSING], [MISSING]),
        ("\u200b.", [UNSUPPORTED], []),
        ("a\x85b", [CONTROL], [CONTROL]),
        ("a\x85", [WHITESPACE, CONTROL], [WHITESPACE, CONTROL]),
        ("a\x00b", [CONTROL], [CONTROL]),
        ("a\x1a", [CONTROL], [CONTROL]),
        ("a\x7fb", [CONTROL], [CONTROL]),
        ("a\x9fb", [CONTROL], [CONTROL]),
        ("a\x0cb", [CONTROL], [CONTROL]),
        ("a\u2028b", [UNSUPPORTED], []),
        ("[x\x07] ", [WHITESPACE, CONTROL, UNSUPPORTED], [WHITESPACE, CONTROL]),
        ("Iâ€™m", [GARBLED], [GARBLED]),
        ("â€‹", [GARBLED], [GARBLED]),
        (" JosÃ©", [GARBLED, WHITESPACE], [GARBLED, WHITESPACE]),
        ("é\x99\x88Ã\xa0", [GARBLED], [GARBLED]),
        ("é\x99\x88\x07", [GARBLED, CONTROL], [GARBLED, CONTROL]),
        ("CAFÉ™ ZOÉ", [], []),
        ("#N/A", [SPREADSHEET_ERROR], [SPREADSHEET_ERROR]),
        ("Err:502", [SPREADSHEET_ERROR], [SPREADSHEET_ERROR]),
        ("Eric", [], []),
        ("#1", [], []),
        ("Tan &amp; [Sons] ", [WHITESPACE, MARKUP, UNSUPPORTED], [WHITESPACE, MARKUP]),
        ("AT&T a < b ?a=1&region=3", [], []),
        ("ç 陈 த", [], []),
        ("=1+1", [], []),
        ("a\ufeff", [UNSUPPORTED], []),
    ],
    ids=ascii,
)
def test_a_value_gets_its_findings(
    value: str, in_english: list[FindingCode], elsewhere: list[FindingCode]
) -> None:
    for english, expected in ((True, in_english), (False, elsewhere)):
        assert check_value(value, english=english, rule=ValueRule()) == expected
        column = check_values(pl.Series([value]), np.array([english]), ValueRule())
        flags = 0 if column.flags is None else int(column.flags[0])
        assert [code for bit, code in FLAG_CODES if flags & bit] == expected


def test_the_switches_of_the_unsupported_tiers_hold_for_values() -> None:
    lenient = ValueRule(UnsupportedRule(tier3=False, emoji=False))
    assert check_value("a\tb – 😀", english=True, rule=lenient) == []
    assert check_value("a|b", english=True, rule=lenient) == [UNSUPPORTED]


VALUES = st.text(
    st.sampled_from("Ãâ€™©&#;39<br>\u2800\u3164ab[“\t\u00a0😀ç中\n\r \x07\x85\x1c\u2028\u200b~`")
    | st.characters(codec="utf-8"),
    max_size=8,
)


@given(
    st.lists(st.tuples(VALUES, st.booleans()), max_size=12),
    st.builds(
        ValueRule,
        st.builds(UnsupportedRule, st.booleans(), st.booleans()),
        spreadsheet_errors=st.booleans(),
        markup=st.booleans(),
    ),
)
def test_a_column_says_what_each_value_alone_says(rows: list[tuple[str, bool]], rule: ValueRule) -> None:
    values = [value for value, _ in rows]
    english = np.array([is_english for _, is_english in rows], np.bool_)
    column = check_values(pl.Series(values, dtype=pl.String), english, rule)
    flags = [0] * len(rows) if column.flags is None else column.flags.tolist()
    alone = [check_value(value, english=is_english, rule=rule) for value, is_english in rows]
    assert [[code for bit, code in FLAG_CODES if flag & bit] for flag in flags] == alone
    firsts = dict(zip(column.unsupported.rows.tolist(), column.unsupported.characters.to_list(), strict=True))
    found = {
        row: first_unsupported(values[row], rule.unsupported)
        for row, codes in enumerate(alone)
        if UNSUPPORTED in codes
    }
    assert firsts == {row: one and one.character for row, one in found.items()}


def test_every_character_is_judged_alike_alone_and_in_a_column() -> None:
    rule = ValueRule()
    characters = [*map(chr, range(0x3100)), *replacements(rule.unsupported), "\ufffd", "\ue000", "\U0010ffff"]
    values = [shape.format(char) for char in characters for shape in ("{}", "a{}", "a{}b")]
    for english in (True, False):
        column = check_values(pl.Series(values), np.full(len(values), english), rule)
        assert column.flags is not None
        for value, flag in zip(values, column.flags.tolist(), strict=True):
            codes = [code for bit, code in FLAG_CODES if flag & bit]
            assert codes == check_value(value, english=english, rule=rule), ascii(value)


@given(st.lists(VALUES | st.text(st.sampled_from("aB9 #@_Er:"), max_size=8), max_size=12))
def test_whatever_is_no_suspect_is_plain(values: list[str]) -> None:
    suspects = set(find_suspects(pl.Series(values, dtype=pl.String)).tolist())
    for row, value in enumerate(values):
        if row not in suspects:
            assert check_value(value, english=True, rule=ValueRule()) == []
            assert is_gsm7(value)
            assert gsm7_units(value) == len(value.encode())
            assert "\r" not in value


@pytest.mark.parametrize(
    ("value", "described"),
    [
        ("", ""),
        (" \t", ""),
        ("\u200b", " (it only has U+200B (zero width space), which can't be seen)"),
        (" \u2060\u200b", " (it only has U+2060 (word joiner), which can't be seen)"),
        (" " * 39 + "\u200b", " (it only has U+200B (zero width space), which can't be seen)"),
        (" " * 40 + "\u200b", ""),
    ],
    ids=ascii,
)
def test_what_cant_be_seen_is_named(value: str, described: str) -> None:
    assert describe_unseen(value) == described

"""Unsupported characters against the documents' list, tier by tier."""

from collections.abc import Iterable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.characters.code_points import characters_of
from rules.characters.unsupported import (
    Unsupported,
    UnsupportedRule,
    all_unsupported,
    first_unsupported,
    replacements,
    with_replacements,
)
from rules.columns.unsupported import first_unsupported_column
from tests.rules.vectors import UNSUPPORTED

ALL = UnsupportedRule()
FRACTIONS = characters_of("00BC-00BE 2150-215F 2189")


def written(code_points: Iterable[str]) -> frozenset[str]:
    return characters_of(" ".join(code_points).replace("U+", ""))


@pytest.mark.parametrize(
    ("rule", "tiers"),
    [
        (ALL, ("tier1", "tier2", "tier3", "emoji")),
        (UnsupportedRule(tier3=False), ("tier1", "tier2", "emoji")),
        (UnsupportedRule(emoji=False), ("tier1", "tier2", "tier3")),
        (UnsupportedRule(tier3=False, emoji=False), ("tier1", "tier2")),
    ],
    ids=["all", "without_tier3", "without_emoji", "printed_and_variants"],
)
def test_each_rule_refuses_the_characters_of_its_tiers(rule: UnsupportedRule, tiers: tuple[str, ...]) -> None:
    by_tier = {name: written(UNSUPPORTED["flat"][name]) for name in ("tier1", "tier2", "tier3")}
    by_tier["emoji"] = written(UNSUPPORTED["emoji"]["ranges"])
    assert set(replacements(rule)) == frozenset().union(*(by_tier[tier] for tier in tiers))


def test_all_tiers_together_are_the_lists_own_sum() -> None:
    assert set(replacements(ALL)) == written(UNSUPPORTED["flat"]["blocked_ranges_all"])


def character(listed: dict[str, str]) -> str:
    return next(iter(written([listed["codepoint"]])))


def test_every_replacement_is_the_lists() -> None:
    listed = {character(one): row["replacement"] for row in UNSUPPORTED["rows"] for one in row["codepoints"]}
    listed |= {character(one): one["replacement"] for one in UNSUPPORTED["tier3_typography"]}
    ours = replacements(ALL)
    assert {char: ours[char] for char in listed.keys() - FRACTIONS} == {
        char: listed[char] for char in listed.keys() - FRACTIONS
    }


@pytest.mark.parametrize(
    ("char", "spelled"), [("¼", "1/4"), ("½", "1/2"), ("¾", "3/4"), ("⅔", "2/3"), ("⅒", "1/10")]
)
def test_a_vulgar_fraction_is_spelled_out(char: str, spelled: str) -> None:
    assert replacements(ALL)[char] == spelled


@pytest.mark.parametrize(
    "text",
    ["ç", "陈", "த", "á", "e\u0301", "。", "，！？：；（）", "© ® ° ™ ± × µ ¢", "a\nb", "\x07"],
    ids=ascii,
)
def test_what_the_list_leaves_out_is_not_refused(text: str) -> None:
    assert first_unsupported(text, ALL) is None


def test_the_first_refused_character_is_told_and_all_of_them_in_order() -> None:
    assert first_unsupported("a “b” [", ALL) == Unsupported("“", "U+201C", '"')
    assert [one.character for one in all_unsupported("[“[😀", ALL)] == ["[", "“", "[", "😀"]
    assert first_unsupported("😀", ALL) == Unsupported("😀", "U+1F600", None)


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("“hi” – ok…", '"hi" - ok...'),
        ("[a]|{b}", "(a)I(b)"),
        ("½ cup, 1½ cups", "1/2 cup, 1 1/2 cups"),
        ("zero\u200bwidth, a\u00a0blank, ^ 😀", "zerowidth, a blank,  "),
        # Its replacement is refused too.
        ("a\u02c6b", "ab"),
        ("plain", "plain"),
    ],
)
def test_replacements_leave_nothing_that_is_refused(text: str, replaced: str) -> None:
    assert with_replacements(text, ALL) == replaced
    assert first_unsupported(replaced, ALL) is None


MIXED = st.text(st.sampled_from("ab[“\t\u00a0😀ç中\ufe0f¬~\n") | st.characters(codec="utf-8"), max_size=10)


@given(st.lists(MIXED, max_size=10), st.builds(UnsupportedRule, st.booleans(), st.booleans()))
def test_a_column_says_what_each_text_alone_says(texts: list[str], rule: UnsupportedRule) -> None:
    series = pl.Series(texts, dtype=pl.String)
    alone = {
        row: found.character for row, text in enumerate(texts) if (found := first_unsupported(text, rule))
    }
    column = first_unsupported_column(series, rule)
    assert dict(zip(column.rows.tolist(), column.characters.to_list(), strict=True)) == alone
    among = np.arange(1, len(texts), 2)
    column = first_unsupported_column(series, rule, among)
    assert dict(zip(column.rows.tolist(), column.characters.to_list(), strict=True)) == {
        row: char for row, char in alone.items() if row % 2
    }

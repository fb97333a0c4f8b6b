"""Markup in values, and what spreadsheets write in place of values: what is told of them, and what isn't one."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.columns.markup import markup_rows
from rules.columns.spreadsheets import spreadsheet_errors
from rules.markup import first_markup
from rules.spreadsheets import describe_error, is_spreadsheet_error, without_formula


@pytest.mark.parametrize(
    ("text", "markup", "advice"),
    [
        ("Tan &amp; Sons", "&amp;", "write & instead"),
        ("O&#39;Brien", "&#39;", "write ' instead"),
        ("O&#x27;Brien", "&#x27;", "write ' instead"),
        ("&#X27;", "&#X27;", "write ' instead"),
        ("Tan&nbsp;Ah Kow", "&nbsp;", "write a space instead"),
        ("&eacute;", "&eacute;", "write é instead"),
        ("O&rsquo;Brien", "&rsquo;", "write ’ instead, in English '"),
        ("&lt;b&gt;", "&lt;", "write < instead"),
        ("a&#10;b", "&#10;", "write a line break instead"),
        ("a&#13;b", "&#13;", "write a line break instead"),
        ("&#8203;", "&#8203;", "it stands for U+200B (zero width space), remove it"),
        ("Siti&ensp;Nur", "&ensp;", "write a space instead"),
        ("Siti&#12288;Nur", "&#12288;", "write a space instead"),
        ("O&amp;#39;Brien", "&amp;#39;", "write ' instead"),
        ("Tan &amp;amp;amp; Sons", "&amp;amp;amp;", "write & instead"),
        ("AT&amp;T;", "&amp;", "write & instead"),
        ("&#0;", "&#0;", "remove it"),
        ("&#xD800;", "&#xD800;", "remove it"),
        (f"&#{'9' * 50};", f"&#{'9' * 38}", "remove it"),
        ("a<br>b", "<br>", "write a line break instead, or remove it"),
        ("a<br/>b", "<br/>", "write a line break instead, or remove it"),
        ("a<BR />b", "<BR />", "write a line break instead, or remove it"),
        ("<b>Tan</b>", "<b>", "remove it"),
        ("Tan</b>", "</b>", "remove it"),
        ("<p>Tan", "<p>", "remove it"),
        ("Tan</p>", "</p>", "remove it"),
        ("one_x000D_\ntwo", "_x000D_", "write a line break instead, or remove it"),
        ("&nosuchname; &lt;", "&lt;", "write < instead"),
    ],
    ids=ascii,
)
def test_the_first_markup_is_told_with_the_character_meant(text: str, markup: str, advice: str) -> None:
    assert first_markup(text) == (markup, advice)
    assert markup_rows(pl.Series(["plain", text])) == [1]


@pytest.mark.parametrize(
    "text",
    ["AT&T", "AT&T;", "?a=1&region=3", "&region=3;", "a < b", "a <b", "b> a", "<br", "<i>", "& ;", "&;", "&#;", "&#x;", "&amp",
     "R&D; S&P", "x_x000D", "<person>", "#1", "&#39"],
    ids=ascii,
)  # fmt: skip
def test_what_only_looks_like_markup_passes(text: str) -> None:
    assert first_markup(text) is None
    assert markup_rows(pl.Series([text])) == []


@given(st.lists(st.text(st.sampled_from("&;#aAmptlg39xX<>bBrRp/ _0dD"), max_size=12), max_size=8))
def test_a_column_has_the_markup_of_each_text(texts: list[str]) -> None:
    found = [row for row, text in enumerate(texts) if first_markup(text)]
    assert markup_rows(pl.Series(texts, dtype=pl.String)) == found


ERRORS = [
    "#N/A",
    "#REF!",
    "#NAME?",
    "#VALUE!",
    "#DIV/0!",
    "#NUM!",
    "#NULL!",
    "#SPILL!",
    "#CALC!",
    "#ERROR!",
    "Err:502",
    "Err:509",
    "###",
    "##########",
]
NO_ERRORS = (
    "",
    "#1",
    "#",
    "##",
    "###1",
    "#N/A ",
    " #N/A",
    "x#N/A",
    "#n/a",
    "N/A",
    "Err:50",
    "Err:5022",
    "Err: 502",
    "#REF",
    "#12345F",
)


@pytest.mark.parametrize("text", ERRORS)
def test_a_spreadsheet_s_error_is_told_with_its_cure(text: str) -> None:
    assert is_spreadsheet_error(text)
    assert pl.select(spreadsheet_errors(pl.lit(text))).item() is True
    cure = "widen the column" if text.startswith("##") else "mend the formula or type the value"
    assert describe_error(text).startswith(text)
    assert cure in describe_error(text)


@pytest.mark.parametrize("text", NO_ERRORS, ids=ascii)
def test_only_a_whole_cell_is_a_spreadsheet_s_error(text: str) -> None:
    assert not is_spreadsheet_error(text)
    assert pl.select(spreadsheet_errors(pl.lit(text))).item() is False


@pytest.mark.parametrize(
    ("text", "within"),
    [('="6591234567"', "6591234567"), ('=""', ""), ("=6591234567", None), ('="a"b"', None), ('x="a"', None)],
)
def test_a_formula_of_a_text_is_the_text(text: str, within: str | None) -> None:
    assert without_formula(text) == within

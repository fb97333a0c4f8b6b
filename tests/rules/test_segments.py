"""Segments: Twilio's vectors, graphemes against `regex`, and columns against single texts."""

import itertools
from functools import cache
from typing import Any

import polars as pl
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.characters import grapheme_properties
from rules.characters.code_points import characters_of
from rules.characters.graphemes import clusters
from rules.characters.gsm7 import EXTENSION, gsm7_units, is_gsm7
from rules.columns.measures import measure
from rules.columns.segments import SegmentColumns, segment_columns
from rules.segments import segment, segment_texts, utf16_units
from tests.rules.vectors import SEGMENTS

# Consonants of conjuncts bring their virama: `regex` joins a stray one to what follows, UAX #29 doesn't.
PIECES = [
    *"aa中é்́கிு\u200d👨👩🇸🇬🏽कष\u093f\u0600각가ᄀ\u1161\u11a8\n[€®\ufe0f\u20e3\x07\u0d4e",
    "क्",
    "ക്",
    "ক্ষ",
    "👨\u200d👩",
    "1️⃣",
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=230),
    st.lists(st.sampled_from("a[€"), min_size=140, max_size=500),
    st.lists(st.sampled_from(["a", "é"]), min_size=60, max_size=300),
    st.lists(st.sampled_from(["க்", "த", "கி", "a"]), min_size=50, max_size=150),
    st.lists(st.sampled_from(["a", "\u0301"]), min_size=60, max_size=300),
).map("".join)


def segment_column(texts: pl.Series) -> SegmentColumns:
    """The texts counted as a column, each as a message of one value and nothing else."""
    return segment_columns(("", ""), (measure(texts),), len(texts))


def graphemes_by_regex(text: str) -> list[str]:
    return [
        part
        for found in regex.findall(r"\X", text)
        for part in (["\r", "\n"] if found == "\r\n" else [found])
    ]


@cache
def segments_by_steps(text: str) -> int:
    """Twilio's packing, step by step: the reference."""
    if is_gsm7(text):
        sizes, single, part = [2 if char in EXTENSION else 1 for char in text], 160, 153
    else:
        sizes, single, part = [utf16_units(grapheme) for grapheme in graphemes_by_regex(text)], 70, 67
    segments: list[list[int]] = [[]]
    used = 0
    for size in sizes:
        if used + size > (single if len(segments) == 1 else part):
            segments.append([])
            while len(segments) == 2 and sum(segments[0]) > part:
                segments[1].insert(0, segments[0].pop())
            used = sum(segments[-1])
        segments[-1].append(size)
        used += size
    return len(segments)


@pytest.mark.parametrize("vector", SEGMENTS, ids=lambda vector: vector["id"])
def test_each_vector_of_twilios_calculator_is_counted_alike(vector: dict[str, Any]) -> None:
    counted = segment(vector["text"])
    assert counted.encoding == vector["encoding"]
    assert counted.units == vector["units"]
    assert counted.segments == vector["segments"]
    assert counted.characters == vector["chars"]
    assert segments_by_steps(vector["text"]) == vector["segments"]


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("é" + "\u0301" * 68 + "aa", 2),
        ("é" + "\u0301" * 68 + "aaa", 3),
        ("中" * 69 + "\ud83d", 1),
        ("中" * 70 + "\ud83d", 2),
    ],
    ids=["empty", "grapheme_of_69", "grapheme_of_69_and_more", "lone_surrogate_70", "lone_surrogate_71"],
)
def test_odd_texts_are_counted_too(text: str, segments: int) -> None:
    assert segment(text).segments == segments


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("क्ष", 1),
        ("क\u093c्ष", 1),
        ("क\u093cष", 2),
        ("क\u094d\u200cष", 2),
        ("a\u094dष", 2),
        ("ஸ்ரீ", 2),
        ("🇸🇬🇲", 2),
        ("👩\u0301\u200d👩", 1),
        ("a\u200d👩", 2),
        ("각\u11a8ᄀ", 2),
        ("\r\n", 2),
        ("\n\u0301", 2),
        ("\u0600a", 1),
    ],
    ids=ascii,
)
def test_a_text_has_so_many_graphemes(text: str, count: int) -> None:
    assert len(list(clusters(text))) == count


@given(TEXTS)
def test_graphemes_and_packing_are_exact(text: str) -> None:
    assert list(clusters(text)) == graphemes_by_regex(text)
    assert segment(text).segments == segments_by_steps(text)


@pytest.mark.parametrize("length", [2, 3])
def test_hangul_is_put_together_as_unicode_says(length: int) -> None:
    """Each kind of Hangul beside each: a leading consonant, a vowel, a trailing consonant, an open and a closed syllable."""
    for characters in itertools.product("\u1100\u1161\u11a8\uac00\uac01x", repeat=length):
        text = "".join(characters)
        assert list(clusters(text)) == graphemes_by_regex(text), ascii(text)


@pytest.mark.parametrize(
    ("table", "property_of_regex"),
    [
        (grapheme_properties.EXTEND, "GCB=Extend"),
        (grapheme_properties.SPACING_MARK, "GCB=SpacingMark"),
        (grapheme_properties.PREPEND, "GCB=Prepend"),
        (grapheme_properties.CONTROL, "GCB=Control"),
        (grapheme_properties.PICTOGRAPHIC, "Extended_Pictographic"),
        (grapheme_properties.CONJUNCT_CONSONANT, "InCB=Consonant"),
        (grapheme_properties.CONJUNCT_LINKER, "InCB=Linker"),
        (grapheme_properties.HANGUL_L, "GCB=L"),
        (grapheme_properties.HANGUL_V, "GCB=V"),
        (grapheme_properties.HANGUL_T, "GCB=T"),
    ],
    ids=lambda value: value if len(value) < 30 else "",
)
def test_the_committed_properties_are_those_of_the_installed_unicode(
    table: str, property_of_regex: str
) -> None:
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    assert characters_of(table) == set(regex.findall(rf"\p{{{property_of_regex}}}", everything))


@pytest.mark.parametrize(
    "joint",
    [
        "€",
        "கி",
        "க\u0bcd",
        "ক্ষ",
        "é\u0301",
        "a\u0301\u0301",
        "😀",
        "👍🏽",
        "🇸🇬",
        "👨\u200d👩\u200d👧",
        "1️⃣",
        "각",
        "x",
    ],
    ids=ascii,
)
@pytest.mark.parametrize(("filler", "part"), [("中", 67), ("a", 153)], ids=["ucs2", "gsm7"])
def test_whatever_stands_at_the_cut_is_kept_whole(joint: str, filler: str, part: int) -> None:
    """Before, across and after each of the first cuts, in a value and where template and value meet."""
    befores = [filler * (part - 6 + more) for more in range(9)]
    # The first kind ends where what was lost at the cut makes one segment more.
    afters = [filler * (part - 10 + more) for more in range(14)]
    afters += [filler * (part - 4 + more) + joint + filler * (part - 4) for more in range(8)]
    texts = [before + joint + after for before in befores for after in afters]
    wanted = [segments_by_steps(text) for text in texts]
    assert segment_column(pl.Series(texts)).segments.tolist() == wanted
    for cut in range(len(joint) + 1):
        values = measure(pl.Series([before + joint[:cut] for before in befores]))
        for after in afters:
            counted = segment_columns(("", joint[cut:] + after), (values,), len(befores))
            assert counted.segments.tolist() == [
                segments_by_steps(before + joint + after) for before in befores
            ]


@given(st.lists(TEXTS, max_size=6))
def test_a_column_of_texts_counts_as_each_text_alone(texts: list[str]) -> None:
    counted = segment_column(pl.Series(texts, dtype=pl.String))
    alone = [segment(text) for text in texts]
    assert counted.segments.tolist() == [one.segments for one in alone]
    assert counted.is_gsm7.tolist() == [one.encoding == "GSM-7" for one in alone]


# The literals, the columns between them, the columns' height, and the rows that are asked (None: all).
Message = tuple[list[str], list[list[str]], int, list[int] | None]


@st.composite
def messages(draw: st.DrawFn) -> Message:
    height = draw(st.integers(0, 8))
    column = st.lists(TEXTS | st.text(st.sampled_from("ab"), max_size=90), min_size=height, max_size=height)
    columns = draw(st.lists(column, min_size=1, max_size=2))
    literals = draw(st.lists(TEXTS, min_size=len(columns) + 1, max_size=len(columns) + 1))
    rows = draw(st.none() | st.lists(st.integers(0, height - 1), unique=True).map(sorted)) if height else None
    return literals, columns, height, rows


@settings(max_examples=50)
@given(messages())
def test_messages_put_together_from_columns_count_as_their_texts(message: Message) -> None:
    literals, columns, height, rows = message
    measures = [measure(pl.Series(column, dtype=pl.String)) for column in columns]
    counted = segment_columns(
        literals, measures, height, None if rows is None else pl.Series(rows, dtype=pl.Int64).to_numpy()
    )
    for place, row in enumerate(range(height) if rows is None else rows):
        text = literals[0] + "".join(
            column[row] + literal for column, literal in zip(columns, literals[1:], strict=True)
        )
        alone = segment(text)
        assert counted.segments[place] == alone.segments
        assert counted.is_gsm7[place] == (alone.encoding == "GSM-7")


def test_a_value_used_twice_and_a_body_without_values_are_counted() -> None:
    names = measure(pl.Series(["x" * 30, "中" * 40]))
    assert segment_columns(("[", " and ", "" * 90), (names, names), 2).segments.tolist() == [1, 2]
    assert segment_columns(("a" * 161,), (), 3).segments.tolist() == [2, 2, 2]


@given(st.lists(st.text(st.sampled_from("a\r\n€中é😀"), max_size=12), max_size=12))
def test_measures_are_of_texts_with_line_feeds(texts: list[str]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    measures = measure(series)
    fed = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    assert measures.texts.to_list() == fed
    assert measures.units.tolist() == [utf16_units(text) for text in fed]


@pytest.mark.parametrize("vector", SEGMENTS, ids=lambda vector: vector["id"])
def test_each_segment_of_a_vector_has_its_own_text(vector: dict[str, Any]) -> None:
    texts = segment_texts(vector["text"])
    assert "".join(texts) == vector["text"]
    units_of = gsm7_units if vector["encoding"] == "GSM-7" else utf16_units
    assert [units_of(text) for text in texts] == vector["segment_units"]


@given(TEXTS)
@settings(max_examples=200)
def test_segments_have_texts_that_fit_and_are_the_whole(text: str) -> None:
    texts = segment_texts(text)
    assert "".join(texts) == text
    counted = segment(text)
    assert len(texts) == counted.segments
    if counted.segments > 1 and counted.encoding == "GSM-7":
        assert all(segment(each).units <= 153 for each in texts)


# A letter under so many accents is one grapheme, which may be longer than a segment.
@given(st.lists(st.integers(0, 75), min_size=1, max_size=120))
@settings(max_examples=200)
def test_graphemes_longer_than_a_segment_stand_where_they_are_counted(accents: list[int]) -> None:
    text = "".join("中" + "\u0301" * many for many in accents)
    texts = segment_texts(text)
    assert "".join(texts) == text
    assert len(texts) == segment(text).segments


@pytest.mark.parametrize(
    ("before", "expected"),
    [(0, [0, 90]), (66, [66, 90]), (67, [67, 90]), (68, [67, 91]), (70, [67, 93])],
)
def test_a_grapheme_longer_than_a_segment_takes_what_the_first_segment_had_too_much_of(
    before: int, expected: list[int]
) -> None:
    """The first segment holds 70 units until a second one is needed: then what exceeds 67 moves on, unchecked."""
    texts = segment_texts("中" * before + "á" + "\u0301" * 89)
    assert [utf16_units(each) for each in texts] == expected

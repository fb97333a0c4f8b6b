"""Texts leave in as many parts as were counted, whole again at the other end, and nothing is cut that belongs together."""

import random
from collections.abc import Sequence
from typing import Final

import hypothesis.strategies as st
import pytest
from hypothesis import given
from smpplib.gsm import GSM_CHARACTER_TABLE

from rules.characters.graphemes import begins_cluster, clusters
from rules.characters.gsm7 import BASIC, EXTENSION
from rules.segments import UCS2_PART, segment, segment_texts, utf16_units
from sending.providers.smpp.pdus import Tag
from sending.providers.smpp.texts import DEFAULT_ALPHABET, UCS2, UDHI, LongMessages, Part, parts_of

CHARACTERS = BASIC + EXTENSION * 3
GRAPHEMES = ["您", "好", "a", "é", "e\u0301", "🎉", "👩‍👩‍👧‍👦", "🇸🇬", "\n", "\r\n", "ത്ര", "한"]


def long_text(pieces: Sequence[str], seed: int) -> str:
    """Several parts long, which hypothesis makes seldom by itself."""
    source = random.Random(seed)
    return "".join(source.choices(pieces, k=source.randrange(1, 600)))


NARROW = st.one_of(
    st.text(st.sampled_from(CHARACTERS), max_size=700),
    st.builds(long_text, st.just(CHARACTERS), st.integers()),
)
WIDE = st.builds(long_text, st.just(GRAPHEMES), st.integers())
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
# Longer than a part.
ZALGO = "a" + "\u0301" * 150


def text_of(part: Part) -> str:
    """A part's text without its header."""
    octets = part.short_message or part.tlvs.get(Tag.MESSAGE_PAYLOAD, b"")
    if part.esm_class & UDHI:
        octets = octets[octets[0] + 1 :]
    return octets.decode("utf-16-be") if part.data_coding == UCS2 else read_gsm7(octets)


# smpplib's table, which nobody here wrote: it has a backtick where the alphabet has §, and no form feed.
_TABLE: Final = (
    GSM_CHARACTER_TABLE[:0x5F] + "§" + GSM_CHARACTER_TABLE[0x60:0x8A] + "\f" + GSM_CHARACTER_TABLE[0x8B:]
)


def read_gsm7(octets: bytes) -> str:
    text, added = "", 0
    for octet in octets:
        if octet == 0x1B:
            assert not added
            added = 0x80
            continue
        text += _TABLE[octet + added]
        added = 0
    assert not added, "a part ends inside an escape pair"
    return text


@given(st.one_of(NARROW, WIDE, ANY))
def test_parts_are_those_that_were_counted_and_together_the_text(text: str) -> None:
    parts = parts_of(text, 7)
    assert "".join(map(text_of, parts)) == text
    if all(utf16_units(each) <= UCS2_PART for each in clusters(text)):
        assert len(parts) == segment(text).segments
        assert list(map(text_of, parts)) == segment_texts(text)


@given(st.one_of(WIDE, ANY))
def test_no_part_ends_inside_a_grapheme(text: str) -> None:
    end = 0
    for part in parts_of(text, 7)[:-1]:
        end += len(text_of(part))
        assert begins_cluster(text, end) or any(utf16_units(each) > UCS2_PART for each in clusters(text))


@given(st.one_of(NARROW, WIDE, ANY))
def test_a_part_fits_into_a_message(text: str) -> None:
    parts = parts_of(text, 7)
    for part in parts:
        assert len(part.short_message) <= (140 if part.data_coding == UCS2 else 160)
        if len(parts) > 1 and part.data_coding == DEFAULT_ALPHABET:
            assert len(part.short_message) <= 6 + 153


def test_a_grapheme_longer_than_a_part_is_cut_between_code_points() -> None:
    parts = parts_of("x" + ZALGO + "🎉", 7)
    assert "".join(map(text_of, parts)) == "x" + ZALGO + "🎉"
    assert all(len(part.short_message) <= 140 for part in parts)


def test_each_character_of_the_alphabet_is_an_octet_or_two() -> None:
    (part,) = parts_of(BASIC, 7)
    assert (part.data_coding, part.esm_class, len(part.short_message)) == (0, 0, len(BASIC))
    assert text_of(part) == BASIC
    assert parts_of("€[", 7) == (Part(b"\x1be\x1b<", 0),)


def test_the_header_numbers_the_parts() -> None:
    parts = parts_of("a" * 400, 0xAB)
    assert [part.short_message[:6] for part in parts] == [bytes((5, 0, 3, 0xAB, 3, n)) for n in (1, 2, 3)]
    assert {part.esm_class for part in parts} == {0x40}
    assert parts_of("a" * 160, 0xAB) == (Part(b"a" * 160, 0),)


def test_parts_may_be_numbered_by_parameters() -> None:
    parts = parts_of("您" * 100, 0xAB, long_messages="sar")
    assert [dict(part.tlvs) for part in parts] == [
        {Tag.SAR_MSG_REF_NUM: b"\0\xab", Tag.SAR_TOTAL_SEGMENTS: b"\2", Tag.SAR_SEGMENT_SEQNUM: bytes((n,))}
        for n in (1, 2)
    ]
    assert "".join(map(text_of, parts)) == "您" * 100
    assert {part.esm_class for part in parts} == {0}


@pytest.mark.parametrize("text", ["a€" * 200, "您好🎉" * 60])
def test_a_long_message_may_leave_as_a_whole(text: str) -> None:
    (part,) = parts_of(text, 7, long_messages="payload")
    assert (part.short_message, part.esm_class, text_of(part)) == (b"", 0, text)


@pytest.mark.parametrize("way", ["udh", "sar"])
def test_more_parts_than_an_octet_counts_are_refused(way: LongMessages) -> None:
    with pytest.raises(ValueError, match="256 parts"):
        parts_of("a" * (255 * 153 + 1), 7, long_messages=way)


def test_where_the_default_alphabet_is_latin_1_what_is_not_in_it_leaves_as_ucs2() -> None:
    assert parts_of("Grüße ñ {1}", 7, alphabet="latin1") == (Part("Grüße ñ {1}".encode("latin-1"), 0),)
    assert parts_of("5 €", 7, alphabet="latin1") == (Part("5 €".encode("utf-16-be"), 8),)
    # As many as were counted, since the aggregator makes GSM 7-bit of it.
    assert len(parts_of("{" * 200, 7, alphabet="latin1")) == segment("{" * 200).segments

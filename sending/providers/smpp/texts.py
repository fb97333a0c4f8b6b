"""A text as the parts in which it leaves, with the cuts that were counted when it was validated (data/smpp.md). Pure.

No part ends inside an escape pair, a surrogate pair or a grapheme; a grapheme longer than a part is cut between code points.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from rules.characters.graphemes import clusters
from rules.characters.gsm7 import BASIC, ESCAPE, EXTENSION, is_gsm7, with_escapes
from rules.segments import GSM7_PART, GSM7_SINGLE, UCS2_PART, UCS2_SINGLE, utf16_units
from sending.providers.smpp.pdus import Tag

LongMessages = Literal["udh", "sar", "payload"]
Alphabet = Literal["gsm7", "latin1"]

DEFAULT_ALPHABET: Final = 0
UCS2: Final = 8
# The text begins with a header of its own (§5.2.12).
UDHI: Final = 0x40
# A long message's parts are numbered by an octet.
MOST_PARTS: Final = 255
# 3GPP TS 23.038 §6.2.1.1: the extension's characters behind ESC.
_EXTENSION_CODES: Final = dict(
    zip("\f^{}\\[~]|€", (0x0A, 0x14, 0x28, 0x29, 0x2F, 0x3C, 0x3D, 0x3E, 0x40, 0x65), strict=True)
)
_GSM7_TABLE: Final = {
    **{ord(char): code for code, char in enumerate(BASIC[:0x1B])},
    **{ord(char): code for code, char in enumerate(BASIC[0x1B:], start=0x1C)},
    ord(ESCAPE): 0x1B,
}


@dataclass(frozen=True, slots=True)
class Part:
    """What one submit_sm carries."""

    short_message: bytes = field(repr=False)
    data_coding: int
    esm_class: int = 0
    tlvs: Mapping[int, bytes] = field(default_factory=dict, repr=False)


def parts_of(
    text: str, reference: int, *, long_messages: LongMessages = "udh", alphabet: Alphabet = "gsm7"
) -> tuple[Part, ...]:
    """The parts of a text. `reference`, 0 to 255, is that of all parts of a message; the next one to its number has another.

    With `payload` there is one part, however long. Raises ValueError for a text of more than 255 parts.
    """
    is_narrow = is_gsm7(text) and (alphabet == "gsm7" or _is_latin1(text))
    coding = DEFAULT_ALPHABET if is_narrow else UCS2
    coded = [_coded(piece, alphabet if is_narrow else None) for piece in pieces_of(text, is_gsm7=is_narrow)]
    if len(coded) == 1:
        return (Part(coded[0], coding),)
    if long_messages == "payload":
        return (Part(b"", coding, tlvs={Tag.MESSAGE_PAYLOAD: b"".join(coded)}),)
    if len(coded) > MOST_PARTS:
        message = f"a text of {len(coded)} parts can't be sent"
        raise ValueError(message)
    total = len(coded)
    if long_messages == "sar":
        return tuple(
            Part(
                octets,
                coding,
                tlvs={
                    Tag.SAR_MSG_REF_NUM: struct.pack(">H", reference),
                    Tag.SAR_TOTAL_SEGMENTS: bytes((total,)),
                    Tag.SAR_SEGMENT_SEQNUM: bytes((number,)),
                },
            )
            for number, octets in enumerate(coded, start=1)
        )
    return tuple(
        Part(bytes((5, 0, 3, reference, total, number)) + octets, coding, UDHI)
        for number, octets in enumerate(coded, start=1)
    )


def pieces_of(text: str, *, is_gsm7: bool) -> tuple[str, ...]:
    """The text cut where its parts begin. `is_gsm7`: it leaves in the default alphabet, else as UCS-2."""
    return tuple(_gsm7_pieces(text) if is_gsm7 else _ucs2_pieces(text))


def _is_latin1(text: str) -> bool:
    """Whether an aggregator whose default alphabet is Latin-1 can be given the text in it. If not, it leaves as UCS-2."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _gsm7_pieces(text: str) -> Iterator[str]:
    escaped = with_escapes(text)
    if len(escaped) <= GSM7_SINGLE:
        yield text
        return
    first = 0
    while len(escaped) - first > GSM7_PART:
        end = first + GSM7_PART
        if escaped[end - 1] == ESCAPE:
            end -= 1
        yield escaped[first:end].replace(ESCAPE, "")
        first = end
    yield escaped[first:].replace(ESCAPE, "")


def _ucs2_pieces(text: str) -> Iterator[str]:
    if utf16_units(text) <= UCS2_SINGLE:
        yield text
        return
    piece: list[str] = []
    used = 0
    for cluster in _fitting_clusters(text):
        size = utf16_units(cluster)
        if used + size > UCS2_PART:
            yield "".join(piece)
            piece, used = [], 0
        piece.append(cluster)
        used += size
    yield "".join(piece)


def _fitting_clusters(text: str) -> Iterator[str]:
    """The text's graphemes; one that is longer than a part as its code points."""
    for cluster in clusters(text):
        if utf16_units(cluster) <= UCS2_PART:
            yield cluster
        else:
            yield from cluster


def _coded(piece: str, alphabet: Alphabet | None) -> bytes:
    """A piece's octets in this default alphabet, or as UCS-2."""
    match alphabet:
        case "gsm7":
            return gsm7_octets(piece)
        case "latin1":
            return piece.encode("latin-1")
        case None:
            return piece.encode("utf-16-be", "surrogatepass")


def gsm7_octets(text: str) -> bytes:
    """A text that is GSM-7, one septet per octet, unpacked."""
    octets = bytearray()
    for char in text:
        if char in EXTENSION:
            octets.append(0x1B)
            octets.append(_EXTENSION_CODES[char])
        else:
            octets.append(_GSM7_TABLE[ord(char)])
    return bytes(octets)

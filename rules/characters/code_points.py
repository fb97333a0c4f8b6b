"""Sets of characters that several rules ask for, and how the tables of this folder write such sets.

A set is written as code points in hexadecimal, single ones or ranges: `41-43 5F`.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

# What Python's `str.strip()` takes: Unicode's White_Space and U+001C-001F.
WHITE_SPACE: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def code_points_of(ranges: str) -> Iterator[int]:
    """The code points of `41-43 005F`, in the order written."""
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)


def characters_of(ranges: str) -> frozenset[str]:
    """The same as characters."""
    return frozenset(map(chr, code_points_of(ranges)))


def _ranges_of(characters: Iterable[str]) -> list[tuple[int, int]]:
    """The characters' code points as ascending ranges, first and last."""
    ranges: list[tuple[int, int]] = []
    for point in sorted(map(ord, characters)):
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1] = ranges[-1][0], point
        else:
            ranges.append((point, point))
    return ranges


def python_class(characters: Iterable[str]) -> str:
    """A character class of Python's regular expressions."""
    return "[" + "".join(rf"\U{first:08X}-\U{last:08X}" for first, last in _ranges_of(characters)) + "]"


def polars_class(characters: Iterable[str], more: str = "") -> str:
    """A character class of polars' regular expressions; `more` is put in as it stands."""
    ranges = "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in _ranges_of(characters))
    return f"[{ranges}{more}]"


# General_Category=Cc: the controls of ASCII (C0), DEL, and those of ISO 8859 (C1). Unicode promises never to change them.
CONTROLS: Final = characters_of("0000-001F 007F-009F")
# General_Category=Zl and Zp: many programs break a line there, as they do at a line feed.
LINE_SEPARATORS: Final = characters_of("2028-2029")
# The property Bidi_Control of PropList.txt (UAX #9): marks, embeddings, overrides and isolates. They turn the reading
# direction, so that a text is shown in another order than it is written.
BIDI_CONTROLS: Final = characters_of("061C 200E-200F 202A-202E 2066-2069")
# The property Default_Ignorable_Code_Point of DerivedCoreProperties.txt: shown as nothing by programs that don't know them;
# and U+2800, the Braille pattern without a dot, which is a symbol that looks like nothing.
INVISIBLE: Final = characters_of(
    "00AD 034F 061C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 2800 3164 FE00-FE0F FEFF FFA0 FFF0-FFF8 "
    "1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"
)
# Whatever may start a line, move a cursor or turn the reading direction, so that what a person is shown isn't what is
# written. Names of uploads may not have these; elsewhere they are shown escaped.
DECEIVING: Final = CONTROLS | LINE_SEPARATORS | BIDI_CONTROLS


def name_character(character: str) -> str:
    """A character by its code point and, where people may know it, its name: `U+200B (zero width space)`."""
    name = "tab" if character == "\t" else unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X} ({name})" if name else f"U+{ord(character):04X}"

"""Where a grapheme (what a reader takes for one character) begins: UAX #29's extended clusters, but CR LF is two.

Twilio's calculator parts CR LF too. Python's `unicodedata` lacks the property, so `grapheme_properties` has it.
"""

from collections.abc import Iterator
from functools import cache
from typing import Final

from rules.characters import grapheme_properties as properties
from rules.characters.code_points import characters_of, polars_class

_ZWJ: Final = "\u200d"
_LV_STEP: Final = 28


class _Classes:
    """The property values as sets of characters, built once at first use."""

    def __init__(self) -> None:
        self.extend = characters_of(properties.EXTEND) | {_ZWJ}
        self.extending = self.extend | characters_of(properties.SPACING_MARK)
        self.prepend = characters_of(properties.PREPEND)
        self.control = characters_of(properties.CONTROL) | {"\r", "\n"}
        self.pictographic = characters_of(properties.PICTOGRAPHIC)
        self.consonant = characters_of(properties.CONJUNCT_CONSONANT)
        self.linker = characters_of(properties.CONJUNCT_LINKER)
        self.regional = characters_of("1F1E6-1F1FF")
        self.hangul_l = characters_of(properties.HANGUL_L)
        self.hangul_v = characters_of(properties.HANGUL_V)
        self.hangul_t = characters_of(properties.HANGUL_T)
        self.hangul_syllable = characters_of("AC00-D7A3")
        # Whatever can stand inside a cluster, depending on what precedes it; any other character begins one, unless a
        # prepended mark precedes it.
        self.sticky = (
            self.extending
            | self.pictographic
            | self.consonant
            | self.regional
            | self.hangul_l
            | self.hangul_v
            | self.hangul_t
            | self.hangul_syllable
        )


def may_follow(char: str) -> bool:
    """Whether `char` can stand in one grapheme with what precedes it."""
    return char in _classes().sticky


def may_lead(char: str) -> bool:
    """Whether `char` draws any character that follows into its grapheme."""
    return char in _classes().prepend


@cache
def tangled_class() -> str:
    """A class, for polars, of the characters that `may_follow` or `may_lead` others or take two UTF-16 units."""
    below = (char for char in _classes().sticky | _classes().prepend if char < "\U00010000")
    return polars_class(below, r"\x{10000}-\x{10FFFF}")


@cache
def _classes() -> _Classes:
    return _Classes()


def begins_cluster(text: str, place: int) -> bool:
    """Whether a grapheme begins at `place`, 0 < place < len(text)."""
    classes = _classes()
    char, before = text[place], text[place - 1]
    if char not in classes.sticky and before not in classes.prepend:
        return True
    if char in classes.control or before in classes.control:
        return True
    if char in classes.extending or before in classes.prepend:
        return False
    return not (
        _joins_hangul(char, before)
        or (char in classes.consonant and _follows_conjunct(text, place))
        or (char in classes.pictographic and before == _ZWJ and _follows_pictograph(text, place - 1))
        or (char in classes.regional and _regionals_before(text, place) % 2 == 1)
    )


def _joins_hangul(char: str, before: str) -> bool:
    """GB6 to GB8: the parts of one Korean syllable."""
    classes = _classes()
    syllable = before in classes.hangul_syllable
    open_syllable = syllable and (ord(before) - 0xAC00) % _LV_STEP == 0
    if before in classes.hangul_l:
        return char in classes.hangul_l or char in classes.hangul_v or char in classes.hangul_syllable
    if open_syllable or before in classes.hangul_v:
        return char in classes.hangul_v or char in classes.hangul_t
    return (syllable or before in classes.hangul_t) and char in classes.hangul_t


def _follows_conjunct(text: str, place: int) -> bool:
    """GB9c: a consonant, then marks with a linker (virama) among them, precede `place`."""
    classes = _classes()
    linked = False
    while place and text[place - 1] in classes.extend and text[place - 1] != "\u200c":
        place -= 1
        linked = linked or text[place] in classes.linker
    return linked and place > 0 and text[place - 1] in classes.consonant


def _follows_pictograph(text: str, place: int) -> bool:
    """GB11: an emoji and its marks precede `place`."""
    classes = _classes()
    while place and text[place - 1] in classes.extend and text[place - 1] != _ZWJ:
        place -= 1
    return place > 0 and text[place - 1] in classes.pictographic


def _regionals_before(text: str, place: int) -> int:
    """GB12, GB13: flags are pairs of regional indicators."""
    first = place
    while first and text[first - 1] in _classes().regional:
        first -= 1
    return place - first


def clusters(text: str) -> Iterator[str]:
    """The graphemes of `text`, in order."""
    first = 0
    for place in range(1, len(text)):
        if begins_cluster(text, place):
            yield text[first:place]
            first = place
    if text:
        yield text[first:]

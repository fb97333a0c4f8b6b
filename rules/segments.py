"""How many SMS a text takes, as Twilio packs them (its segment calculator 1.3.0 is the reference).

GSM-7: one segment up to 160 units, else packed by 153, and the two units of an extension character stay together.
Any other text is UCS-2: up to 70 UTF-16 units, else packed by 67, and a grapheme stays whole, but for CR LF, which may
be parted. A grapheme longer than a segment makes one over-full segment. Empty text takes one segment. Nothing is
normalised: line ends count as they stand (`messages` makes them LF first).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rules.characters.graphemes import begins_cluster, clusters
from rules.characters.gsm7 import (
    ESCAPE,
    gsm7_units,
    is_gsm7,
    with_escapes,
)

GSM7: Final = "GSM-7"
UCS2: Final = "UCS-2"
GSM7_SINGLE: Final = 160
GSM7_PART: Final = 153
UCS2_SINGLE: Final = 70
UCS2_PART: Final = 67


@dataclass(frozen=True, slots=True)
class Segmentation:
    """`units`: septets in GSM-7, UTF-16 units in UCS-2. `characters`: code points."""

    encoding: str
    units: int
    segments: int
    characters: int


def utf16_units(text: str) -> int:
    """UTF-16 units that `text` takes: two for a character beyond U+FFFF."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def segment(text: str) -> Segmentation:
    """Counts one text exactly as it stands."""
    if is_gsm7(text):
        units = gsm7_units(text)
        return Segmentation(GSM7, units, gsm7_segments(text, units), len(text))
    units = utf16_units(text)
    return Segmentation(UCS2, units, ucs2_segments(text, units), len(text))


def gsm7_segments(text: str, units: int) -> int:
    """Segments of a text known to be GSM-7 and to take so many units."""
    if units <= GSM7_SINGLE:
        return 1
    if units == len(text):
        return -(-units // GSM7_PART)
    escaped = with_escapes(text)
    first, count = 0, 1
    while units - first > GSM7_PART:
        first += GSM7_PART
        if escaped[first - 1] == ESCAPE:
            first -= 1
        count += 1
    return count


def ucs2_segments(text: str, units: int) -> int:
    """Segments of a text sent as UCS-2 and known to take so many units."""
    if units <= UCS2_SINGLE:
        return 1
    wide = units != len(text)
    first, count = 0, 1
    while len(text) - first > UCS2_PART or (wide and utf16_units(text[first:]) > UCS2_PART):
        end = min(first + UCS2_PART, len(text))
        if wide:
            end = _fitting(text, first, end)
        if end < len(text):
            while end > first and not begins_cluster(text, end):
                end -= 1
        if end == first:
            # A grapheme longer than a segment.
            return _pack([utf16_units(cluster) for cluster in clusters(text)])
        first = end
        count += 1
    return count


def _fitting(text: str, first: int, end: int) -> int:
    """The greatest end, this one at most, for which text[first:end] takes at most UCS2_PART units."""
    while (over := utf16_units(text[first:end]) - UCS2_PART) > 0:
        # A character takes two units at most, so that at least half as many have to go.
        end -= -(-over // 2)
    return end


def _pack(sizes: Sequence[int]) -> int:
    """Segments that graphemes of these sizes fill, in Twilio's own steps.

    The first segment is filled to UCS2_SINGLE; when it overflows, what exceeds UCS2_PART moves on to the second,
    unchecked. A grapheme larger than a segment makes these steps visible.
    """
    first: list[int] = []
    count, used = 1, 0
    for size in sizes:
        if used + size > (UCS2_SINGLE if count == 1 else UCS2_PART):
            moved = 0
            while count == 1 and used > UCS2_PART:
                moved += first[-1]
                used -= first.pop()
            count, used = count + 1, moved
        if count == 1:
            first.append(size)
        used += size
    return count


def segment_texts(text: str) -> list[str]:
    """What stands in each segment, as `segment` counts them: together they are the text."""
    if is_gsm7(text):
        if gsm7_units(text) <= GSM7_SINGLE:
            return [text]
        return _filled(text, gsm7_units, GSM7_PART)
    if utf16_units(text) <= UCS2_SINGLE:
        return [text]
    graphemes = list(clusters(text))
    if all(utf16_units(each) <= UCS2_PART for each in graphemes):
        return _filled(graphemes, utf16_units, UCS2_PART)
    return _packed(graphemes)


def _filled(pieces: Iterable[str], units_of: Callable[[str], int], most: int) -> list[str]:
    """The pieces, one after the other, in as few texts as hold them, none of which takes more units than that."""
    texts = [""]
    used = 0
    for piece in pieces:
        size = units_of(piece)
        if used + size > most:
            texts.append("")
            used = 0
        texts[-1] += piece
        used += size
    return texts


def _packed(graphemes: Iterable[str]) -> list[str]:
    """As `_pack` counts them."""
    texts: list[list[str]] = [[]]
    used = 0
    for grapheme in graphemes:
        size = utf16_units(grapheme)
        if used + size > (UCS2_SINGLE if len(texts) == 1 else UCS2_PART):
            moved: list[str] = []
            while len(texts) == 1 and used > UCS2_PART:
                moved.insert(0, texts[0].pop())
                used -= utf16_units(moved[0])
            texts.append(moved)
            used = sum(map(utf16_units, moved))
        texts[-1].append(grapheme)
        used += size
    return ["".join(each) for each in texts]

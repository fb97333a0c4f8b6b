"""Values in which UTF-8 was read as Windows-1252 or Latin-1 and saved again: `JosÃ©` for `José`, `é™ˆ` for `陈`.

Such a value is told by reading it once more the right way: all of it is made the bytes of Windows-1252 (of Latin-1 where that
has none), and they must be UTF-8 of characters that people write here: ASCII, Latin-1, Latin letters with marks, general
punctuation, the euro, Chinese, Japanese and Korean, Tamil and emoji. Whatever else they yield isn't believed, so that
`CAFÉ™`, `ZOÉ…` and `CAFÉ–BAR`, which are UTF-8 by chance (of letters of phonetic script), pass. Files that went the same wrong
way twice are read twice.

Decided here: letters with a double grave or an inverted breve (U+0200-0217) aren't believed, because no language is written
with them and `CAFFÈ…` would be one; letters with a stroke (Đ, Ł) are, because Vietnamese and Polish names have them.
Believed too are Œ, œ and ı, which have no mark, for the sake of French and Turkish, and the apostrophe U+02BC of Malay names,
which a report would otherwise call a ¼; but not U+02BB, which `«BEBÊ»` would be.
"""

import re
import unicodedata
from functools import cache
from typing import Final

from rules.characters.code_points import characters_of, python_class

# Bytes 80 to 9F of Windows-1252, without the five that it leaves undefined: those are what Latin-1 has there, C1 controls.
SPECIALS: Final = {
    ord(bytes([byte]).decode("cp1252")): byte
    for byte in {*range(0x80, 0xA0)} - {0x81, 0x8D, 0x8F, 0x90, 0x9D}
}
_MOST_READINGS: Final = 3


def _is_marked_latin(character: str) -> bool:
    name = unicodedata.name(character, "")
    if not name.startswith("LATIN"):
        return False
    # Letters with a stroke can't be taken apart, and have ` WITH ` in their names.
    return bool(unicodedata.decomposition(character)) or (character < "\u0180" and " WITH " in name)


_MARKED_LATIN: Final = frozenset(
    filter(_is_marked_latin, characters_of("0100-017F 01A0-01A1 01AF-01B0 01CD-01FF 0218-024F 1E00-1EFF"))
)
_MORE_LETTERS: Final = frozenset("Œœı\u02bc")
# Marks of a decomposed letter, as macOS writes them.
_MARKS: Final = characters_of("0300-0304 0306-030C 031B 0323 0327-0328 0331")
_PUNCTUATION: Final = characters_of("2000-206F 20AC")
_CHINESE_JAPANESE_KOREAN: Final = (
    "1100-11FF 2E80-303F 3040-4DBF 4E00-9FFF AC00-D7AF F900-FAFF FE30-FE4F FF00-FFEF 20000-3134F"
)
_TAMIL: Final = characters_of("0B80-0BFF")
# The blocks that have emoji, and what emoji are put together with.
_EMOJI: Final = characters_of(
    "20E3 2122 2139 2190-21FF 2300-23FF 24C2 25A0-27BF 2934-2935 2B00-2BFF FE0F 1F000-1FAFF E0020-E007F"
)


@cache
def _believed() -> re.Pattern[str]:
    """Texts of characters that people write here: 120,000 of them, so that it is made when the first text is asked about."""
    characters = (
        characters_of("0000-007F 00A0-00FF")
        | _MARKED_LATIN
        | _MORE_LETTERS
        | _MARKS
        | _PUNCTUATION
        | characters_of(_CHINESE_JAPANESE_KOREAN)
        | _TAMIL
        | _EMOJI
    )
    return re.compile(python_class(characters) + "+")


def read_again(text: str) -> str | None:
    """What a garbled text was meant to be; None if it isn't garbled."""
    meant = None
    for _ in range(_MOST_READINGS):
        if text.isascii():
            break
        try:
            text = text.translate(SPECIALS).encode("latin-1").decode("utf-8")
        except UnicodeError:
            break
        if _believed().fullmatch(text):
            meant = text
    return meant

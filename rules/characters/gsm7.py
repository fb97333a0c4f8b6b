"""The GSM 03.38 default alphabet: which texts fit it, and how many units (septets) they take.

Source: 3GPP TS 23.038 §6.2.1 (BASIC, in code order) and §6.2.1.1 (EXTENSION), without national shift tables. ESC is
no character. 0x09 is the capital Ç; the backtick is the only printable ASCII character outside.
"""

import re
from typing import Final

BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
ESCAPE: Final = "\x1b"
EXTENSION: Final = "\f^{}\\[~]|€"

# Any character of one unit.
PLAIN: Final = "x"
_OUTSIDE_PATTERN: Final = re.compile(f"[^{re.escape(BASIC + EXTENSION)}]")
_EXTENSION_PATTERN: Final = re.compile(f"[{re.escape(EXTENSION)}]")


def is_gsm7(text: str) -> bool:
    """Whether every character of `text` is in the alphabet or its extension."""
    return _OUTSIDE_PATTERN.search(text) is None


def gsm7_units(text: str) -> int:
    """Septets that `text` takes: one a character, two for those of the extension. Only of a text that `is_gsm7`."""
    return len(text) + len(_EXTENSION_PATTERN.findall(text))


def all_gsm7(text: str) -> str:
    """`text` with a character of GSM-7 in the place of each one that is outside: of what it would be, if that were avoided."""
    return _OUTSIDE_PATTERN.sub(PLAIN, text)


def with_escapes(text: str) -> str:
    """`text` with ESC before each character of the extension: one character a unit. Only of a text that `is_gsm7`."""
    return _EXTENSION_PATTERN.sub(rf"{ESCAPE}\g<0>", text)

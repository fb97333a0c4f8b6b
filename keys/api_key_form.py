"""The form of a key of the HTTP API: made here once, and read from every call. Pure but for the random numbers.

`key_test_` (`key_live_`, `key_load_`: where it is good), 8 characters by which it is known, 43 that are secret (256 bits), and 6
that are the CRC-32 of all before them: so a mistyped or invented key is refused without a look into the database, and a scanner
of source code knows a key when it sees one. All after the first words is base62.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from config.environment import Environment

_WORDS: Final[Mapping[Environment, str]] = MappingProxyType(
    {Environment.TEST: "test", Environment.PRODUCTION: "live", Environment.LOADTEST: "load"}
)
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX, _SECRET, _CHECK = 8, 43, 6
_FORM: Final = re.compile(
    rf"key_(?P<word>{'|'.join(_WORDS.values())})_(?P<prefix>[0-9A-Za-z]{{{_PREFIX}}})[0-9A-Za-z]{{{_SECRET + _CHECK}}}",
    re.ASCII,
)
_PREFIX_FORM: Final = re.compile(rf"[0-9A-Za-z]{{{_PREFIX}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A key of the right form. `digest` is its SHA-256, which is what is stored of it."""

    prefix: str
    digest: bytes


def new_key(environment: Environment) -> str:
    """A new random key."""
    drawn = "".join(secrets.choice(_BASE62) for _ in range(_PREFIX + _SECRET))
    text = f"key_{_WORDS[environment]}_{drawn}"
    return text + _check_of(text)


def parse_key(text: str, environment: Environment) -> PresentedKey | None:
    """The key that `text` is, or None where it can't be a key of this environment."""
    match = _FORM.fullmatch(text)
    if match is None or match["word"] != _WORDS[environment] or _check_of(text[:-_CHECK]) != text[-_CHECK:]:
        return None
    return PresentedKey(match["prefix"], hashlib.sha256(text.encode()).digest())


def shown_key(prefix: str, environment: Environment) -> str:
    """A key as people are shown it: all of its beginning that is no secret, such as `key_test_Fj4iqW0b****`."""
    return f"key_{_WORDS[environment]}_{prefix}****"


def is_prefix(text: str) -> bool:
    """Whether `text` has the form of the 8 characters that a key is known by."""
    return _PREFIX_FORM.fullmatch(text) is not None


def _check_of(text: str) -> str:
    """CRC-32 (that of zlib and PNG) of the text, as 6 digits of base 62, the highest first."""
    number = zlib.crc32(text.encode())
    digits = ""
    for _ in range(_CHECK):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits

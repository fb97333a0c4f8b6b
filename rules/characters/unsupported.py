"""Characters that the service refuses in English texts because they make a message dearer and can be avoided.

Source: the guide's list of unsupported characters (tier 1), its "and variants" (tier 2), the same kind beyond the
printed list (tier 3: dashes, ellipsis, odd spaces, zero-width, letters that serve as apostrophes) and emoji. Letters of any
script are never in it but for those written here. A replacement of "" means "remove it", and so does None. That of U+02C6 is ^,
as in the list, though ^ is refused too. Vulgar fractions have the fraction spelled out.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from rules.characters.code_points import code_points_of, python_class

# Replacement → code points in hexadecimal, single or ranges.
_TIER_1: Final[tuple[tuple[str | None, str], ...]] = (
    ("(", "005B 007B"),
    (")", "005D 007D"),
    ("-", "007E 00AC 2022"),
    ("'", "005C 2018"),
    ('"', "0060 00AB 00BB 201C-201D 275B-275E"),
    ("/", "00F7"),
    ("1/4", "00BC"),
    ("1/2", "00BD"),
    ("*", "229B 2722-2725 273A 2743 29C6"),
    ("I (uppercase i)", "007C"),
    ("EUR", "20AC"),
    (None, "005E"),
)
_TIER_2: Final[tuple[tuple[str | None, str], ...]] = (
    ("-", "02DC 02F7 2053 223C 301C FF5E"),
    ("'", "00B4 02B9 02BD 02C8 02CA 2019 201B 2032 2035 2216 29F5 29F9 FE68 FF07 FF3C"),
    ('"', "02BA 02CB 02EE 1FEF 201E-201F 2033 2036 301D-301F FF02 FF40"),
    ("3/4", "00BE"),
    ("1/7", "2150"),
    ("1/9", "2151"),
    ("1/10", "2152"),
    ("1/3", "2153"),
    ("2/3", "2154"),
    ("1/5", "2155"),
    ("2/5", "2156"),
    ("3/5", "2157"),
    ("4/5", "2158"),
    ("1/6", "2159"),
    ("5/6", "215A"),
    ("1/8", "215B"),
    ("3/8", "215C"),
    ("5/8", "215D"),
    ("7/8", "215E"),
    ("1/", "215F"),
    ("0/3", "2189"),
    ("*", "204E 2051 2217 2731-2733 273B-273D 2749-274B A673 FE61 FF0A 122EC 12394 1F7AF-1F7BF"),
    (
        "I (uppercase i)",
        "00A6 01C0 2016 2223 2225 239C 239F 23B8-23B9 23D0 2502-2503 2758-275A FF5C FFE8",
    ),
    ("(", "2774 FE5B FF5B"),
    (")", "2775 FE5C FF5D"),
)
_TIER_3: Final[tuple[tuple[str | None, str], ...]] = (
    (" ", "0009 00A0 2000-200A 202F 205F 3000"),
    ("", "00AD 200B-200F 202A-202E 2060 2066-2069 FEFF"),
    ("\n", "2028-2029"),
    # As in Qurʼan and Oʻahu: letters by their property, and typed as apostrophes.
    ("'", "02BB-02BC"),
    ("-", "2010-2015 2043 2212 23BC-23BD"),
    ("_", "2017"),
    (",", "201A"),
    ("...", "2026"),
    ("<", "2039"),
    (">", "203A"),
    ("!", "01C3"),
    ("!!", "203C"),
    ("/", "2044 2215 29F8"),
    (":", "02D0 02F8 2982 A789"),
    (";", "204F"),
    ("(", "2768 276A 27EE 2985"),
    (")", "2769 276B 27EF 2986"),
    ("^", "02C6"),
    ("+", "02D6"),
    ("=", "A78A"),
    # Small capitals, used for their looks.
    ("A", "1D00"),
    ("B", "0299"),
    ("C", "1D04"),
    ("D", "1D05"),
    ("E", "1D07"),
    ("F", "A730"),
    ("G", "0262"),
    ("H", "029C"),
    ("I", "026A"),
    ("J", "1D0A"),
    ("K", "1D0B"),
    ("L", "029F"),
    ("M", "1D0D"),
    ("N", "0274"),
    ("O", "1D0F"),
    ("P", "1D18"),
    ("R", "0280"),
    ("S", "A731"),
    ("T", "1D1B"),
    ("U", "1D1C"),
    ("V", "1D20"),
    ("W", "1D21"),
    ("Y", "028F"),
    ("Z", "1D22"),
)
_EMOJI: Final = (
    "20E3 231A-231B 23E9-23EC 23F0 23F3 25FD-25FE 2614-2615 2648-2653 267F 2693 26A1 26AA-26AB 26BD-26BE 26C4-26C5 "
    "26CE 26D4 26EA 26F2-26F3 26F5 26FA 26FD 2705 270A-270B 2728 274C 274E 2753-2755 2757 2795-2797 27B0 27BF "
    "2B1B-2B1C 2B50 2B55 FE0F 1F004 1F02C-1F02F 1F094-1F09F 1F0AF-1F0B0 1F0C0 1F0CF-1F0D0 1F0F6-1F0FF 1F170-1F171 "
    "1F17E-1F17F 1F18E 1F191-1F19A 1F1AF-1F1FF 1F201-1F20F 1F21A 1F22F 1F232-1F23A 1F23C-1F23F 1F249-1F25F "
    "1F266-1F321 1F324-1F393 1F396-1F397 1F399-1F39B 1F39E-1F3F0 1F3F3-1F3F5 1F3F7-1F4FD 1F4FF-1F53D 1F549-1F54E "
    "1F550-1F567 1F56F-1F570 1F573-1F57A 1F587 1F58A-1F58D 1F590 1F595-1F596 1F5A4-1F5A5 1F5A8 1F5B1-1F5B2 1F5BC "
    "1F5C2-1F5C4 1F5D1-1F5D3 1F5DC-1F5DE 1F5E1 1F5E3 1F5E8 1F5EF 1F5F3 1F5FA-1F64F 1F680-1F6C5 1F6CB-1F6D2 "
    "1F6D5-1F6E5 1F6E9 1F6EB-1F6F0 1F6F3-1F6FF 1F7DC-1F7F0 1F80C-1F80F 1F848-1F84F 1F85A-1F85F 1F888-1F88F "
    "1F8AE-1F8AF 1F8BC-1F8BF 1F8C2-1F8CF 1F8D9-1F8FF 1F90C-1F93A 1F93C-1F945 1F947-1F9FF 1FA58-1FA5F 1FA6E-1FAFF"
)


@dataclass(frozen=True, slots=True)
class UnsupportedRule:
    """Which tiers are refused. Tiers 1 and 2 always are."""

    tier3: bool = True
    emoji: bool = True


class Unsupported(NamedTuple):
    """One refused character. `code_point` is written `U+005B`; no or an empty `replacement` means "remove it"."""

    character: str
    code_point: str
    replacement: str | None

    @property
    def named(self) -> str:
        """The character and its code point: `[ (U+005B)`; one that can't be seen by its name."""
        if unicodedata.category(self.character)[0] in "LNPS":
            return f"{self.character} ({self.code_point})"
        name = "tab" if self.character == "\t" else unicodedata.name(self.character, "").lower()
        return f"{name} ({self.code_point})" if name else self.code_point

    @property
    def advice(self) -> str:
        """What to do about it, as the end of a sentence."""
        if not self.replacement:
            return "remove it"
        in_words = {" ": "a space", "\n": "a line break"}
        return f"use {in_words.get(self.replacement, self.replacement)} instead"


# How a replacement is told where that is more than what is written.
_TOLD: Final = {"I (uppercase i)": "I"}


@cache
def replacements(rule: UnsupportedRule) -> dict[str, str | None]:
    """Every character that `rule` refuses, with what to write instead."""
    tiers = _TIER_1 + _TIER_2 + (_TIER_3 if rule.tier3 else ()) + (((None, _EMOJI),) if rule.emoji else ())
    return {chr(point): instead for instead, ranges in tiers for point in code_points_of(ranges)}


@cache
def _pattern(rule: UnsupportedRule) -> re.Pattern[str]:
    return re.compile(python_class(replacements(rule)))


def describe_unsupported(character: str, rule: UnsupportedRule) -> Unsupported:
    """What to say of one refused character."""
    return Unsupported(character, f"U+{ord(character):04X}", replacements(rule)[character])


def first_unsupported(text: str, rule: UnsupportedRule) -> Unsupported | None:
    """The first refused character of `text`."""
    match = _pattern(rule).search(text)
    return describe_unsupported(match[0], rule) if match else None


def all_unsupported(text: str, rule: UnsupportedRule) -> list[Unsupported]:
    """Every refused character of `text` in order, once for each time it stands there."""
    return [describe_unsupported(match[0], rule) for match in _pattern(rule).finditer(text)]


def with_replacements(text: str, rule: UnsupportedRule) -> str:
    """`text` with each refused character replaced as the list says, or left out.

    A fraction doesn't run into the digit before it: `1½` becomes `1 1/2`.
    """

    def instead(match: re.Match[str]) -> str:
        told = replacements(rule)[match[0]] or ""
        written = _TOLD.get(told, told)
        before = text[match.start() - 1 : match.start()] if match.start() else ""
        return f" {written}" if before.isdigit() and written[:1].isdigit() else written

    replaced = _pattern(rule).sub(instead, text)
    # What stands for U+02C6 is refused by itself.
    return replaced if replaced == text else with_replacements(replaced, rule)

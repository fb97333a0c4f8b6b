"""The reference's rules for one cell or one message, written from 4-sms-content.md §1 to §5 alone."""

import re
import unicodedata
from functools import cache
from html.entities import html5

import phonenumbers
import regex
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberType

from config.environment import Environment
from rules.codes import FindingCode as Code
from tests.rules.vectors import GSM7, UNSUPPORTED

GSM7_BASIC = frozenset(entry["char"] for entry in GSM7["basic"] if entry["codepoint"] != "U+001B")
GSM7_EXTENSION = frozenset(entry["char"] for entry in GSM7["extension"])
SIMULATORS = frozenset(
    ["6511111111", "6511112222", "6511113333", "6511114444", "6511115555", "6511119999", "6522222222"]
)
REACHABLE = frozenset(
    [
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.VOIP,
    ]
)
ALPHABET = GSM7_BASIC | GSM7_EXTENSION
DIGITS = re.compile(r"[0-9]+")
CONTROL = regex.compile(r"[\p{Cc}--[\t\n\r]]", regex.V1)
INVISIBLE = regex.compile(r"[\p{Default_Ignorable_Code_Point}\u2800]")
SPREADSHEET_ERRORS = [
    "#N/A",
    "#REF!",
    "#NAME?",
    "#VALUE!",
    "#DIV/0!",
    "#NUM!",
    "#NULL!",
    "#SPILL!",
    "#CALC!",
    "#ERROR!",
]
ENTITY = re.compile(r"&(#[0-9]+|#[xX][0-9a-fA-F]+|[0-9A-Za-z]+);")
TAG = re.compile(r"<br>|<br/>|<br />|<b>|</b>|<p>|</p>|_x000d_", re.IGNORECASE)
# What people write here, beside ASCII and Latin letters with marks.
WRITTEN = regex.compile(
    r"[\u00a0-\u00ff€ℹ™Ⓜ⃣️⤴⤵\p{InGeneral_Punctuation}\p{InTamil}"
    r"\p{InArrows}\p{InMiscellaneous_Technical}\p{InGeometric_Shapes}\p{InMiscellaneous_Symbols}\p{InDingbats}"
    r"\p{InMiscellaneous_Symbols_And_Arrows}\U0001f000-\U0001faff\U000e0020-\U000e007f"
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Bopomofo}\p{InCJK_Symbols_And_Punctuation}"
    r"\p{InHalfwidth_And_Fullwidth_Forms}\p{InCJK_Compatibility_Forms}\p{InEnclosed_CJK_Letters_And_Months}"
    r"\p{InCJK_Compatibility}]"
)
# Beyond Latin-1: letters that Unicode takes apart into a letter and a mark, and those with a stroke of European languages; but
# not the double grave and the inverted breve, which no language writes. Beside them the marks, as macOS writes them.
MARKS = frozenset(
    "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u0309\u030a\u030b\u030c\u031b\u0323\u0327\u0328\u0331"
)


def _expand(ranges: list[str]) -> frozenset[str]:
    """`["U+0041-U+0042"]` → A, B."""
    characters: set[str] = set()
    for text in ranges:
        first, _, last = text.replace("U+", "").partition("-")
        characters.update(chr(code) for code in range(int(first, 16), int(last or first, 16) + 1))
    return frozenset(characters)


DOCUMENTED = _expand(UNSUPPORTED["flat"]["tier1"]) | _expand(UNSUPPORTED["flat"]["tier2"])
TYPOGRAPHY = _expand(UNSUPPORTED["flat"]["tier3"])
EMOJI = _expand(UNSUPPORTED["emoji"]["ranges"])


@cache
def unsupported_characters(*, tier3: bool, emoji: bool) -> frozenset[str]:
    return DOCUMENTED | (TYPOGRAPHY if tier3 else frozenset()) | (EMOJI if emoji else frozenset())


def check_recipient(text: str, environment: Environment) -> Code | None:
    """§4, rule by rule; None is a number that may be sent to."""
    if not text.strip():
        return Code.RECIPIENT_MISSING
    if not DIGITS.fullmatch(text):
        return _explain_not_digits(text)
    if text in SIMULATORS:
        return None if environment is Environment.TEST else Code.RECIPIENT_SIMULATOR_NUMBER
    if text.startswith("0"):
        return Code.RECIPIENT_LEADING_ZERO
    if re.fullmatch(r"65[89][0-9]{7}", text):
        return None
    if len(text) > 15:
        return Code.RECIPIENT_TOO_LONG
    if re.fullmatch(r"[89][0-9]{7}", text):
        return Code.RECIPIENT_NO_COUNTRY_CODE
    for length in (1, 2, 3):
        if int(text[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            code, national = int(text[:length]), text[length:]
            return _check_singapore(national) if code == 65 else _check_foreign(code, national)
    return Code.RECIPIENT_UNKNOWN_COUNTRY


def _explain_not_digits(text: str) -> Code:
    if DIGITS.fullmatch(text.strip()):
        return Code.RECIPIENT_WHITESPACE
    if re.fullmatch(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+", text):
        return Code.RECIPIENT_SCIENTIFIC_NOTATION
    if re.fullmatch(r"[0-9]+[.,]0*", text):
        return Code.RECIPIENT_DECIMAL
    if re.fullmatch(r"\+[0-9]+", text):
        return Code.RECIPIENT_HAS_PLUS
    if re.fullmatch(r"[+0-9()\-\s.]+", text) and re.search(r"[0-9]", text):
        return Code.RECIPIENT_HAS_SEPARATORS
    if re.fullmatch(r"\+?[0-9]+", INVISIBLE.sub("", text)):
        return Code.RECIPIENT_INVISIBLE_CHARACTER
    formula = re.fullmatch(r'="([^"]*)"', text)
    if formula and not formula[1].startswith('="') and not DIGITS.fullmatch(formula[1]):
        return _explain_not_digits(formula[1]) if formula[1].strip() else Code.RECIPIENT_MISSING
    if regex.search(r"[\p{Nd}--[0-9]]", text, regex.V1):
        return Code.RECIPIENT_NON_ASCII_DIGITS
    return Code.RECIPIENT_NOT_DIGITS


def _check_singapore(national: str) -> Code:
    """Rule 9: what is left of 65 once its mobile numbers are gone is refused, for the most helpful reason."""
    if _number_type(65, national) is not PhoneNumberType.UNKNOWN:
        return Code.RECIPIENT_NOT_MOBILE
    if national.startswith("0"):
        return Code.RECIPIENT_TRUNK_ZERO
    if len(national) < 8:
        return Code.RECIPIENT_TOO_SHORT
    return Code.RECIPIENT_TOO_LONG if len(national) > 8 else Code.RECIPIENT_INVALID_NUMBER


def _check_foreign(code: int, national: str) -> Code | None:
    """Rule 10."""
    kind = _number_type(code, national)
    if kind in REACHABLE:
        return None
    if kind != PhoneNumberType.UNKNOWN:
        return Code.RECIPIENT_NOT_MOBILE
    if national.startswith("0") and _number_type(code, national[1:]) != PhoneNumberType.UNKNOWN:
        return Code.RECIPIENT_TRUNK_ZERO
    lengths = _possible_lengths(code)
    if len(national) < min(lengths):
        return Code.RECIPIENT_TOO_SHORT
    return Code.RECIPIENT_TOO_LONG if len(national) > max(lengths) else Code.RECIPIENT_INVALID_NUMBER


def _number_type(code: int, national: str) -> int:
    """libphonenumber's answer to exactly these digits: its parser isn't asked, it would mend them."""
    if not national:
        return PhoneNumberType.UNKNOWN
    zeros = len(national) - len(national.lstrip("0"))
    zeros -= zeros == len(national)  # the last zero of "000" is the number itself
    return phonenumbers.number_type(
        PhoneNumber(
            country_code=code,
            national_number=int(national),
            italian_leading_zero=zeros > 0,
            number_of_leading_zeros=zeros or None,
        )
    )


@cache
def _possible_lengths(code: int) -> frozenset[int]:
    """All lengths of the national numbers of all regions of a calling code; local-only ones not counted."""
    lengths: set[int] = set()
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        assert metadata is not None
        assert metadata.general_desc is not None
        lengths.update(length for length in metadata.general_desc.possible_length if length > 0)
    return frozenset(lengths)


def check_language(text: str, available: frozenset[str]) -> Code | None:
    if not text.strip():
        return Code.LANGUAGE_MISSING
    if text.lower() not in ("english", "chinese", "malay", "tamil"):
        return Code.LANGUAGE_UNKNOWN
    return None if text.lower() in available else Code.LANGUAGE_UNAVAILABLE


def check_value(
    text: str, *, english: bool, unsupported: frozenset[str], spreadsheet_errors: bool, markup: bool
) -> list[Code]:
    """Every finding of one parameter's value, each code once (§3, §5). A garbled one is judged as it was meant to be read."""
    if not text.strip() or not "".join(INVISIBLE.sub("", text).split()):
        return [Code.VALUE_MISSING]
    codes = []
    meant = read_as_utf8(text)
    if meant is not None:
        codes, text, english = [Code.ENCODING_INVALID], meant, False
    if spreadsheet_errors and is_spreadsheet_error(text):
        codes.append(Code.VALUE_SPREADSHEET_ERROR)
    if markup and has_markup(text):
        codes.append(Code.VALUE_MARKUP)
    if text != text.strip():
        codes.append(Code.VALUE_WHITESPACE)
    if CONTROL.search(text):
        codes.append(Code.VALUE_CONTROL_CHARACTER)
    if english and not unsupported.isdisjoint(text):
        codes.append(Code.VALUE_UNSUPPORTED_CHARACTERS)
    return codes


def is_spreadsheet_error(text: str) -> bool:
    is_narrow = len(text) >= 3 and not text.strip("#")
    return text in SPREADSHEET_ERRORS or is_narrow or bool(re.fullmatch(r"Err:[0-9]{3}", text))


def has_markup(text: str) -> bool:
    names = (found[1] for found in ENTITY.finditer(text))
    return bool(TAG.search(text)) or any(name[0] == "#" or f"{name};" in html5 for name in names)


def read_as_utf8(text: str) -> str | None:
    """A text whose UTF-8 was taken for Windows-1252, once or up to three times, as it was meant; None if it wasn't."""
    if text.isascii():
        return None
    meant = None
    for _ in range(3):
        try:
            again = b"".join(map(_saved_byte, text)).decode("utf-8")
        except UnicodeError:
            break
        if again == text:
            break
        text = again
        if all(map(_is_written, text)):
            meant = text
    return meant


def _saved_byte(character: str) -> bytes:
    """Of Windows-1252; of Latin-1 for what that leaves undefined."""
    return character.encode("latin-1" if "\x80" <= character <= "\x9f" else "cp1252")


def _is_written(character: str) -> bool:
    if character < "\x80" or character in MARKS or character in "Œœı\u02bc" or WRITTEN.match(character):
        return True
    name, parts = unicodedata.name(character, ""), unicodedata.normalize("NFKD", character)
    has_stroke = character < "\u0180" and " WITH " in name
    is_unused = "DOUBLE GRAVE" in name or "INVERTED BREVE" in name
    return name.startswith("LATIN") and (has_stroke or len(parts) > 1) and not is_unused


def normalise_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_gsm7(text: str) -> bool:
    return ALPHABET.issuperset(text)


def utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def count_segments(text: str) -> tuple[str, int, int]:
    """Encoding, units and segments of exactly this text; what can't be split is packed whole (§2)."""
    if is_gsm7(text):
        sizes = [2 if character in GSM7_EXTENSION else 1 for character in text]
        return "GSM-7", sum(sizes), 1 if sum(sizes) <= 160 else _pack(sizes, 153)
    sizes = [utf16_units(grapheme) for grapheme in regex.findall(r"\r|\X", text)]
    return "UCS-2", sum(sizes), 1 if sum(sizes) <= 70 else _pack(sizes, 67)


def _pack(sizes: list[int], limit: int) -> int:
    segments, used = 1, 0
    for size in sizes:
        if used + size > limit:
            segments, used = segments + 1, 0
        used += size
    return segments

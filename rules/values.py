"""A parameter's value: missing, garbled, white space at an end, control characters, errors, markup, unsupported characters.

Decided here (2-gateway.md §3, 4-sms-content.md §3, §5):
- Missing is a value without a character that can be seen: empty, or of white space, default-ignorable characters and U+2800
  only; nothing else is said of it then. Of any other value each further finding may be there, each at most once.
- A garbled value (see `mojibake`) is asked for white space, control characters, errors and markup as it was meant to be read, and
  never for unsupported characters: `Ã` with a no-break space is an à, and `Iâ€™m` has no euro in it.
- White space is what Python's `str.strip()` takes: Unicode's White_Space (TAB, LF, VT, FF, CR, space, U+0085, NBSP,
  U+1680, U+2000–200A, U+2028, U+2029, U+202F, U+205F, U+3000) and the separators U+001C–001F. Zero-width characters
  (U+200B, U+2060, U+FEFF) beside others are none: they are unsupported characters of tier 3 in English rows and allowed
  elsewhere.
- Control characters are U+0000–001F without TAB, LF and CR, U+007F and U+0080–009F (U+0085 among them: no line break
  here). TAB inside a value is an unsupported character of tier 3 in English rows and nothing elsewhere.
- A character may cause two findings: NBSP at the end of an English value is white space and unsupported; U+0085 at the
  end is white space and control.
- Unsupported characters are asked of rows whose language is English, as `languages` reads it, whether or not the
  campaign's template has English.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from rules.characters.code_points import CONTROLS, INVISIBLE, WHITE_SPACE, name_character, python_class
from rules.characters.unsupported import UnsupportedRule, first_unsupported
from rules.codes import FindingCode
from rules.markup import first_markup
from rules.mojibake import read_again
from rules.spreadsheets import is_spreadsheet_error

REFUSED_CONTROLS: Final = CONTROLS - set("\t\n\r")
_CONTROL_PATTERN: Final = re.compile(python_class(REFUSED_CONTROLS))
UNSEEN: Final = INVISIBLE | set(WHITE_SPACE)
_UNSEEN_PATTERN: Final = re.compile(python_class(UNSEEN) + "*")


@dataclass(frozen=True, slots=True)
class ValueRule:
    """Which values are refused, as far as a deployment may choose."""

    unsupported: UnsupportedRule = field(default_factory=UnsupportedRule)
    spreadsheet_errors: bool = True
    markup: bool = True


def first_control_character(text: str) -> str | None:
    """The first control character of `text` other than TAB, LF and CR."""
    match = _CONTROL_PATTERN.search(text)
    return match[0] if match else None


def describe_unseen(value: str) -> str:
    """What a value that looks empty has in it, in brackets; nothing where it is white space."""
    unseen = [char for char in value[:40] if char in INVISIBLE]
    return f" (it only has {name_character(unseen[0])}, which can't be seen)" if unseen else ""


def check_value(value: str, *, english: bool, rule: ValueRule) -> list[FindingCode]:
    """The findings of one value, in the order in which they are told."""
    if _UNSEEN_PATTERN.fullmatch(value):
        return [FindingCode.VALUE_MISSING]
    findings = []
    meant = read_again(value)
    if meant is not None:
        findings.append(FindingCode.ENCODING_INVALID)
        value = meant
    if value.strip() != value:
        findings.append(FindingCode.VALUE_WHITESPACE)
    if first_control_character(value):
        findings.append(FindingCode.VALUE_CONTROL_CHARACTER)
    if rule.spreadsheet_errors and is_spreadsheet_error(value):
        findings.append(FindingCode.VALUE_SPREADSHEET_ERROR)
    if rule.markup and first_markup(value):
        findings.append(FindingCode.VALUE_MARKUP)
    if english and meant is None and first_unsupported(value, rule.unsupported):
        findings.append(FindingCode.VALUE_UNSUPPORTED_CHARACTERS)
    return findings

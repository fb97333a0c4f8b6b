"""The text of one finding about one cell, as a report has it: the words of `texts` with what is told of this cell.

`processing.columns.checks` says the same of whole columns; a test compares the two.
"""

from collections.abc import Collection
from typing import Final

from rules.characters.unsupported import first_unsupported
from rules.codes import FindingCode
from rules.languages import hint_of_language
from rules.markup import first_markup
from rules.messages import BODY_LIMIT
from rules.mojibake import read_again
from rules.recipients import describe_invisible, explain_not_digits
from rules.spreadsheets import describe_error
from rules.templates import Language
from rules.texts import cell_reason, join_names, quote
from rules.values import ValueRule, describe_unseen, first_control_character

_EXPLAINED: Final = FindingCode.RECIPIENT_NOT_DIGITS


def recipient_reason(code: FindingCode, recipient: str) -> str:
    """What is wrong with a recipient that has this finding."""
    if code is _EXPLAINED:
        return cell_reason(code, explanation=explain_not_digits(recipient))
    return cell_reason(code, value=quote(recipient), character=describe_invisible(recipient))


def language_reason(code: FindingCode, text: str, available: Collection[Language]) -> str:
    """What is wrong with a language that has this finding."""
    hint = hint_of_language(text, available) if code is FindingCode.LANGUAGE_UNKNOWN else ""
    names = join_names([language.value for language in available])
    return cell_reason(code, value=quote(text), hint=hint, languages=names)


def value_reason(code: FindingCode, name: str, value: str, rule: ValueRule) -> str:
    """What is wrong with a value that has this finding. `name` is its parameter's."""
    meant = read_again(value) or value
    facts: dict[str, str] = {"column": name}
    match code:
        case FindingCode.VALUE_MISSING:
            facts["hint"] = describe_unseen(value)
        case FindingCode.ENCODING_INVALID:
            facts["value"] = quote(meant)
        case FindingCode.VALUE_CONTROL_CHARACTER:
            facts["code_point"] = f"U+{ord(first_control_character(meant) or ' '):04X}"
        case FindingCode.VALUE_SPREADSHEET_ERROR:
            facts["explanation"] = describe_error(meant)
        case FindingCode.VALUE_MARKUP if found := first_markup(meant):
            facts |= {"markup": found.text, "advice": found.advice}
        case FindingCode.VALUE_UNSUPPORTED_CHARACTERS if refused := first_unsupported(
            value, rule.unsupported
        ):
            facts |= {"character": refused.named, "advice": refused.advice}
        case _:
            pass
    return cell_reason(code, **facts)


def length_reason(length: int) -> str:
    """How much too long a message is, of that many characters without its header and footer."""
    return cell_reason(
        FindingCode.MESSAGE_TOO_LONG, count=length, excess=length - BODY_LIMIT, limit=BODY_LIMIT
    )

"""The rules for one message, those of a row of an upload: each refusal with what it is about and its text. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from config.environment import Environment
from rules.codes import FindingCode
from rules.languages import check_language, parse_language
from rules.messages import BODY_LIMIT
from rules.recipients import check_recipient
from rules.segments import utf16_units
from rules.single.reasons import language_reason, length_reason, recipient_reason, value_reason
from rules.templates import Language
from rules.texts import quote
from rules.values import ValueRule, check_value

# It stands where other bytes were lost, and must not be sent to anyone.
_LOST: Final = "\ufffd"


class Subject(Enum):
    """What a refusal is about."""

    RECIPIENT = auto()
    LANGUAGE = auto()
    VALUE = auto()
    LENGTH = auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message isn't sent. `name` is a parameter's; `code` is None where no row of a file could have this fault."""

    subject: Subject
    code: FindingCode | None
    text: str = field(repr=False)
    name: str = ""


def refuse_recipient(recipient: str, environment: Environment) -> Refusal | None:
    """What is wrong with the number, if anything."""
    code = check_recipient(recipient, environment)
    return None if code is None else Refusal(Subject.RECIPIENT, code, recipient_reason(code, recipient))


def read_language(text: str, available: Collection[Language]) -> Language | Refusal:
    """The language, or why there is none."""
    code = check_language(text, available)
    language = parse_language(text)
    if code is None and language is not None:
        return language
    code = code or FindingCode.LANGUAGE_UNKNOWN
    return Refusal(Subject.LANGUAGE, code, language_reason(code, text, list(available)))


def refuse_values(
    values: Mapping[str, str], parameters: Sequence[str], rule: ValueRule, *, english: bool
) -> Iterator[Refusal]:
    """What is wrong with the values: those that are missing first, then the first fault of each."""
    for name in parameters:
        if name not in values:
            yield _of_value(name, None, f"{name} is missing: give it a value")
    for name, value in values.items():
        if name not in parameters:
            text = f"{quote(name)} is not a parameter of this campaign's template: leave it out"
            yield _of_value(name, None, text)
        elif findings := check_value(value, english=english, rule=rule):
            yield _of_value(name, findings[0], value_reason(findings[0], name, value, rule))
        elif _LOST in value:
            text = (
                f"{name} has the character U+FFFD, which stands where text was lost: send the original text"
            )
            yield _of_value(name, None, text)


def refuse_length(body: str) -> Refusal | None:
    """Whether the text, without header and footer, is too long."""
    length = utf16_units(body)
    if length <= BODY_LIMIT:
        return None
    return Refusal(Subject.LENGTH, FindingCode.MESSAGE_TOO_LONG, length_reason(length))


def _of_value(name: str, code: FindingCode | None, text: str) -> Refusal:
    return Refusal(Subject.VALUE, code, text, name)

"""The rules for one message: what each refusal is about, and that what is right passes."""

import pytest

from config.environment import Environment
from rules.codes import FindingCode as Code
from rules.messages import BODY_LIMIT
from rules.single.checks import (
    Refusal,
    Subject,
    read_language,
    refuse_length,
    refuse_recipient,
    refuse_values,
)
from rules.single.reasons import language_reason, length_reason, recipient_reason, value_reason
from rules.templates import Language
from rules.values import ValueRule

RULE = ValueRule()
LANGUAGES = [Language.ENGLISH, Language.TAMIL]


def test_a_number_that_no_message_could_reach_is_refused_with_its_reason() -> None:
    assert refuse_recipient("6591234567", Environment.PRODUCTION) is None
    refusal = refuse_recipient("+6591234567", Environment.PRODUCTION)
    reason = recipient_reason(Code.RECIPIENT_HAS_PLUS, "+6591234567")
    assert refusal == Refusal(Subject.RECIPIENT, Code.RECIPIENT_HAS_PLUS, reason)


@pytest.mark.parametrize("text", ["english", "tamil"])
def test_a_language_of_the_template_is_read(text: str) -> None:
    assert read_language(text, LANGUAGES) is Language(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("englsh", Code.LANGUAGE_UNKNOWN),
        ("malay", Code.LANGUAGE_UNAVAILABLE),
        ("", Code.LANGUAGE_MISSING),
    ],
)
def test_any_other_language_is_refused_with_its_reason(text: str, code: Code) -> None:
    assert read_language(text, LANGUAGES) == Refusal(
        Subject.LANGUAGE, code, language_reason(code, text, LANGUAGES)
    )


def refused(english: bool = True, **values: str) -> list[Refusal]:
    return list(refuse_values(values, ["name", "topic"], RULE, english=english))


def test_values_that_are_right_pass() -> None:
    assert refused(name="Amy", topic="tax") == []
    assert refused(english=False, name="陈美玲", topic="税") == []


def test_a_missing_value_and_one_that_nobody_asked_for_are_refused_by_name() -> None:
    assert refused(topic="tax", other="x", name2="y") == [
        Refusal(Subject.VALUE, None, "name is missing: give it a value", "name"),
        Refusal(
            Subject.VALUE,
            None,
            "other is not a parameter of this campaign's template: leave it out",
            "other",
        ),
        Refusal(
            Subject.VALUE,
            None,
            "name2 is not a parameter of this campaign's template: leave it out",
            "name2",
        ),
    ]


def test_a_value_is_refused_with_its_first_fault() -> None:
    value = " A\x07my"
    reason = value_reason(Code.VALUE_WHITESPACE, "name", value, RULE)
    assert refused(name=value, topic="tax") == [Refusal(Subject.VALUE, Code.VALUE_WHITESPACE, reason, "name")]


def test_what_was_lost_is_sent_to_nobody() -> None:
    text = "topic has the character U+FFFD, which stands where text was lost: send the original text"
    assert refused(english=False, name="Amy", topic="t\ufffdx") == [
        Refusal(Subject.VALUE, None, text, "topic")
    ]


def test_a_text_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert refuse_length("x" * BODY_LIMIT) is None
    assert refuse_length("x" * (BODY_LIMIT + 1)) == Refusal(
        Subject.LENGTH, Code.MESSAGE_TOO_LONG, length_reason(BODY_LIMIT + 1)
    )
    # An emoji counts as two.
    assert refuse_length("😀" * (BODY_LIMIT // 2)) is None
    assert refuse_length("😀" * (BODY_LIMIT // 2) + "x") is not None

"""One cell's finding is told in the words that a report has for it."""

import io

import pytest

from processing.columns.results import Finding
from processing.verdicts.judge import judge
from rules.codes import FindingCode as Code
from rules.languages import check_language
from rules.messages import body_length
from rules.recipients import check_recipient
from rules.single.reasons import language_reason, length_reason, recipient_reason, value_reason
from rules.templates import Language
from rules.values import check_value
from tests.processing.cases.csv_case import RULES, cells

BODIES = RULES.template.bodies


def report_texts(data: bytes, column: str | None) -> list[tuple[Code, str]]:
    """What a report tells of a column of the file's one row."""
    found: list[Finding] = []
    judge(io.BytesIO(data), RULES, messages=None, report=io.BytesIO(), findings=found.append)
    return [(finding.code, finding.text) for finding in found if finding.column == column]


@pytest.mark.parametrize(
    "recipient",
    [
        "", " 6591234567", "6.59E+09", "6591234567.0", "+6591234567", "65-9123-4567", "6591234567\u200b", "６５９１２３４５６７",
        "six five", '="6591234567"', "'6591234567", "#N/A", "#####", "91234567,91234568", "6591234567ß", "6591234567\x07",
        "6511111111", "06591234567", "6591234567012345", "91234567", "9991234567", "6561234567", "65091234567", "659123",
        "447911", "a" * 50, "1" * 60,
    ],
)  # fmt: skip
def test_a_recipients_reason_is_the_reports(recipient: str) -> None:
    code = check_recipient(recipient, RULES.environment)
    assert code is not None
    assert report_texts(cells(recipient=recipient), "recipient") == [
        (code, recipient_reason(code, recipient))
    ]


@pytest.mark.parametrize(
    "language", ["", " ", "englsh", "english ", "english\u200b", "malay", "TAMIL", "x" * 60]
)
def test_a_languages_reason_is_the_reports(language: str) -> None:
    code = check_language(language, BODIES)
    assert code is not None
    expected = [(code, language_reason(code, language, list(BODIES)))]
    assert report_texts(cells(language=language), "language") == expected


@pytest.mark.parametrize(
    "value",
    [
        "", "\u200b", " Amy", "Amy\n", "A\x07my", "#N/A", "##########", "Tom &amp; Jerry", "a<br>b", "&amp;#39;", "[x", "“x”",
        "JosÃ©", " JosÃ©", "Amy\u00a0", "tab\there", "\u0085Amy", "😀",
    ],
)  # fmt: skip
def test_a_values_reasons_are_the_reports(value: str) -> None:
    codes = check_value(value, english=True, rule=RULES.values)
    assert codes
    expected = [(code, value_reason(code, "recipient_name", value, RULES.values)) for code in codes]
    assert report_texts(cells(name=value), "recipient_name") == expected


def test_a_lengths_reason_is_the_reports() -> None:
    name = "x" * 1500
    length = body_length(BODIES[Language.ENGLISH], {"recipient_name": name, "topic": "tax"})
    assert report_texts(cells(name=name), None) == [(Code.MESSAGE_TOO_LONG, length_reason(length))]

"""What people are told: every code has its words, and none of them is mistaken for a formula."""

from string import Formatter

import pytest

from rules.codes import FindingCode
from rules.texts import (
    REASONS,
    file_reason,
    join_names,
    join_reasons,
    quote,
    row_reason,
    text_of,
)

FACTS: dict[str, str | int] = {
    "advice": "use ( instead", "character": "[ (U+005B)", "code_point": "U+0000", "column": "topic", "count": 1012,
    "delimiter": "semicolons", "excess": 12, "expected": 4, "hint": "", "languages": "english", "limit": 1000,
    "explanation": "is no number", "markup": "&amp;",
    "received": 16384, "value": "6591234567", "way_out": "",
}  # fmt: skip


@pytest.mark.parametrize("code", FindingCode)
@pytest.mark.parametrize("whole_file", [True, False], ids=["file", "row"])
def test_every_code_has_a_text_a_meaning_and_a_cure(code: FindingCode, whole_file: bool) -> None:
    words = file_reason if whole_file else row_reason
    text = words(code, **FACTS)
    assert text[0] not in "=+-@\t\r\n"
    assert "{" not in text
    assert "; " not in text  # what reasons are joined by
    assert REASONS[code].meaning.endswith(".")
    assert REASONS[code].cure.endswith(".")


def test_only_known_facts_are_asked_for() -> None:
    names = {
        name
        for code in FindingCode
        for whole_file in (True, False)
        for _, name, _, _ in Formatter().parse(text_of(code, whole_file=whole_file))
        if name
    }
    assert names == set(FACTS)


@pytest.mark.parametrize(
    ("code", "facts", "text"),
    [
        (FindingCode.RECIPIENT_HAS_PLUS, {"value": "+6591234567"}, "remove the +"),
        (
            FindingCode.RECIPIENT_SCIENTIFIC_NOTATION,
            {"value": "6.59E+09"},
            "the spreadsheet changed the number: format the column as text",
        ),
        (FindingCode.RECIPIENT_NO_COUNTRY_CODE, {"value": "91234567"}, "country code missing: 6591234567?"),
        (
            FindingCode.VALUE_UNSUPPORTED_CHARACTERS,
            {"column": "topic", "character": "[ (U+005B)", "advice": "use ( instead"},
            "topic has the unsupported character [ (U+005B), use ( instead",
        ),
        (
            FindingCode.MESSAGE_TOO_LONG,
            {"count": 1012, "excess": 12, "limit": 1000},
            "12 over the limit of 1,000",
        ),
    ],
    ids=lambda value: value.value if isinstance(value, FindingCode) else "",
)
def test_the_contract_s_words_are_used(code: FindingCode, facts: dict[str, str | int], text: str) -> None:
    assert text in row_reason(code, **facts)


def test_an_interrupted_upload_is_told_its_bytes_and_both_cures() -> None:
    text = file_reason(FindingCode.UPLOAD_INTERRUPTED, received=261_120)
    assert "261,120 bytes" in text
    assert "one empty line added at its end" in text
    assert "released" in text


def test_a_file_is_too_large_at_30_megabytes_unless_the_limit_is_told() -> None:
    assert "not smaller than 30 MB:" in file_reason(FindingCode.FILE_TOO_LARGE)
    assert "not smaller than 5 MB:" in file_reason(FindingCode.FILE_TOO_LARGE, limit="5 MB")


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("Emily", "Emily"),
        ("陈美玲", "陈美玲"),
        ("a\nb\0c", "a\\nb\\x00c"),
        ("a\u202eb\u2028c", "a\\u202eb\\u2028c"),
        ("a\u3164b\u2800", "a\\u3164b\\u2800"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 40 + "…"),
    ],
)
def test_values_are_escaped_and_cut(value: str, quoted: str) -> None:
    assert quote(value) == quoted


def test_twenty_reasons_are_named() -> None:
    reasons = [f"reason {place:,}" for place in range(1_025)]
    assert join_reasons(reasons[:2]) == "reason 0; reason 1"
    assert join_reasons(reasons[:20]) == "; ".join(reasons[:20])
    assert join_reasons(reasons[:21]) == "; ".join(reasons[:20]) + "; and 1 more"
    assert join_reasons(reasons) == "; ".join(reasons[:20]) + "; and 1,005 more"


def test_a_file_is_told_in_words_of_its_own_where_a_code_has_them() -> None:
    own = [code for code in FindingCode if REASONS[code].file_text]
    assert own
    for code in own:
        told = file_reason(code, **FACTS)
        assert told != row_reason(code, **FACTS)
        assert told.startswith((REASONS[code].file_text or "").partition("{")[0])


def test_names_are_joined_as_people_do() -> None:
    assert [join_names(["a"]), join_names(["a", "b", "c"])] == ["a", "a, b or c"]

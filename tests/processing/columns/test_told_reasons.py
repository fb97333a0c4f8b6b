"""Reasons read back are the findings that made them."""

import csv
import io

import pytest

from config.environment import Environment
from processing.columns.results import Finding
from processing.columns.told_reasons import ReasonReader, ToldReason
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules
from rules.codes import FindingCode
from rules.templates import Language, Template

COLUMNS = ("recipient", "language", "name", "name_of_child", "note")
TEMPLATE = Template(
    "Clinic",
    {
        Language.ENGLISH: "Dear {{name}} ({{name_of_child}}): {{note}}",
        Language.MALAY: "{{name}} {{name_of_child}} {{note}}",
    },
)
RECIPIENTS = (
    "", " 6591234567", "6.59E+09", "6591234567.0", "+6591234567", "65 9123-4567", "\u202a6591234567", "６５９１２３４５６７",
    "n/a", "=A1; B2",
    "6511111111", "06591234567", "65912345678", "91234567", "99912345678", "6561234567", "4407911123456", "659123456",
    "6521234567",
    "#REF!", "a; name is empty: x", '"; "',
)  # fmt: skip
LANGUAGES = ("", "englsh", "tamil", "x; y", "chinese")
VALUES = (
    "", " a ", "a\x07b", "#N/A", "####", "Yeo &amp; Sons<br>", "_x000D_", "“Em” ‘’", "JosÃ©", "…; note is empty", "a" * 1200,
    "\u200b",
)  # fmt: skip


def _line(*cells: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _upload() -> str:
    good = ("6591234567", "english", "Em", "Jo", "x")
    lines = [_line(*COLUMNS), _line(*good)]
    lines += [_line(recipient, *good[1:]) for recipient in RECIPIENTS]
    lines += [_line(good[0], language, *good[2:]) for language in LANGUAGES]
    lines += [
        _line(*good[:2], *(value if place == i else "x" for i in range(3)))
        for value in VALUES
        for place in range(3)
    ]
    lines += [_line("n/a", "tamil", " a", "", "#N/A"), _line("+1", "", "“", "”", "\x07")]
    lines += [_line(*good, "more"), _line(*good[:3]), '6591234567,english,"Em"ily,x,y\n', "\x1a\n"]
    return "".join(lines)


def test_every_reason_of_a_report_is_read_back() -> None:
    findings: list[Finding] = []
    report = io.BytesIO()
    judge(
        io.BytesIO(_upload().encode()),
        Rules(TEMPLATE, Environment.PRODUCTION),
        messages=None,
        report=report,
        findings=findings.append,
    )
    reader = ReasonReader(COLUMNS)
    rows = list(csv.reader(io.StringIO(report.getvalue().decode("utf-8-sig"), newline="")))
    told = [
        Finding(number, reason.column, reason.code, reason.text)
        for number, row in enumerate(rows, 1)
        if number > 1
        for reason in reader.read(row[-1])
        if reason.code is not None
    ]
    # Whatever a sender writes into a cell, a report of it is read back in order, word by word.
    assert [(each.row, each.text) for each in told] == [(each.row, each.text) for each in findings]
    wrong = [
        (mine, its)
        for mine, its in zip(told, findings, strict=True)
        if (mine.code, mine.column or its.column) != (its.code, its.column)
    ]
    assert not wrong
    kinds = {finding.code for finding in findings}
    assert len(kinds) > 28, sorted(kinds)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", []),
        ("more", [ToldReason("more", None, None)]),
        ("something else; and more", [ToldReason("something else; and more", None, None)]),
        (
            "something else; name is empty: give it a value",
            [
                ToldReason("something else", None, None),
                ToldReason("name is empty: give it a value", FindingCode.VALUE_MISSING, "name"),
            ],
        ),
    ],
)
def test_other_words_stay_as_they_are(text: str, told: list[ToldReason]) -> None:
    assert list(ReasonReader(COLUMNS).read(text)) == told


def test_a_hostile_cell_takes_no_time() -> None:
    """Words that nearly fit, again and again, are read in steps that grow with the text and no faster."""
    text = "name has the unsupported character ; " * 5_000 + "recipient " * 5_000
    assert "".join(reason.text for reason in ReasonReader(COLUMNS).read(text))

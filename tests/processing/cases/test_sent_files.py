"""Files after reports of what real senders' programs make (`sent/`): each gets its codes, rows and a text that names the cure."""

import io
from pathlib import Path

import pytest

from config.environment import Environment
from processing.columns.results import Finding
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules
from rules.codes import FindingCode as Code
from rules.templates import Language, Template
from rules.values import ValueRule
from tests.processing.builders import FOOTERS
from tests.processing.reference.gateway_verdict import assert_agree, run_judge
from tests.processing.reference.row_by_row import reference_verdict

SENT = Path(__file__).parent / "sent"
TEMPLATE = Template("Clinic", dict.fromkeys(Language, "Dear {{name}}, see you on {{date}}."))
RULES = Rules(template=TEMPLATE, environment=Environment.PRODUCTION, footers=FOOTERS)

# By file: row, column, code, and words that the text must have.
Told = tuple[int | None, str | None, Code, str]


def of_file(code: Code, words: str) -> list[Told]:
    return [(None, None, code, words)]


def of_rows(column: str | None, code: Code, *words: str, first: int = 2) -> list[Told]:
    """One finding a row, from row `first` on, in the same column."""
    return [(row, column, code, text) for row, text in enumerate(words, first)]


NOT_DIGITS, HAS_SEPARATORS = Code.RECIPIENT_NOT_DIGITS, Code.RECIPIENT_HAS_SEPARATORS
SCIENTIFIC = Code.RECIPIENT_SCIENTIFIC_NOTATION
EXPECTED: dict[str, list[Told]] = {
    "pipe": of_file(Code.DELIMITER_INVALID, "separated by vertical bars (|): save the file as CSV with commas"),
    "caret": of_file(Code.DELIMITER_INVALID, "separated by carets (^): save"),
    "eu_sci": of_file(Code.DELIMITER_INVALID, "separated by semicolons: save"),
    "fullwidth_comma": of_file(Code.DELIMITER_INVALID, "separated by full-width commas (，): save"),
    "whole_line_quoted": of_file(Code.LINES_QUOTED, "remove the quotation mark at the beginning and at the end of each line"),
    "numbers_title": of_file(Code.HEADER_MISSING_COLUMN, "the header is row 2: delete the rows above it"),
    "ctrlz": of_rows(None, Code.ROW_TOO_FEW_FIELDS, "only control characters", first=3),
    "nul_pad": of_rows(None, Code.ROW_TOO_FEW_FIELDS, "at the end of a file: delete the row", first=3),
    "entities": of_rows(
        "name", Code.VALUE_MARKUP,
        "name has &amp;, which is sent as it stands because a message is plain text: write & instead",
        "has &#39;, which", "write a space instead", "has <b>, which", "write a line break instead", "has _x000D_", "has _x000D_",
    ),
    "excel_errors": of_rows(
        "name", Code.VALUE_SPREADSHEET_ERROR,
        "name is #N/A, an error of the spreadsheet: mend the formula or type the value, and save the file again",
        *("is #REF!", "is #NAME?", "is #VALUE!", "is #DIV/0!", "is #NUM!", "is #NULL!", "is #SPILL!", "is Err:502", "is #ERROR!"),
    ),
    "invisible_only": of_rows(
        "name", Code.VALUE_MISSING, *("which can't be seen): give it a value",) * 18,
    ),
    "invisible_only_en": of_rows(
        "name", Code.VALUE_MISSING, "(it only has U+2800 (braille pattern blank), which", *("can't be seen",) * 6
    ),
    "lang_trailing_space": of_rows("language", Code.LANGUAGE_UNKNOWN, "a space after it, which can't be seen: remove it"),
    "space_after_comma": [
        (2, "language", Code.LANGUAGE_UNKNOWN, "there is a space before it, which can't be seen: remove it"),
        (2, "name", Code.VALUE_WHITESPACE, "spaces or line breaks at its beginning or end: remove them"),
        (2, "date", Code.VALUE_WHITESPACE, "remove them"),
    ],
    "lre_number": [
        *of_rows(
            "recipient", Code.RECIPIENT_INVISIBLE_CHARACTER,
            "has U+202A (left-to-right embedding), which can't be seen: delete the cell and type the number again, digits only",
            "U+202D", "U+200B (zero width space)", "U+FEFF", "U+200E",
        ),
        (7, "recipient", Code.RECIPIENT_WHITESPACE, "spaces before or after the number: remove them"),
        (8, "recipient", NOT_DIGITS, "has ‑ (U+2011) in it, which is no digit: give the digits only"),
        (9, "recipient", NOT_DIGITS, "has – (U+2013) in it"),
    ],
    "moj_chinese": of_rows(
        "name", Code.ENCODING_INVALID,
        "name is garbled, it seems to mean 陈大文: save the original file as CSV UTF-8",
        *(f"it seems to mean {meant}:" for meant in ("陈大文", "José Tan", "Müller", "Nur – Aisyah", "Siti “Ann", "I’m")),
    ),
    "moj_latin1": of_rows("name", Code.ENCODING_INVALID, "mean José:", "mean 陈大:"),
    "objrepl": [
        (3, "name", Code.VALUE_WHITESPACE, "remove them"),
        (3, "name", Code.VALUE_UNSUPPORTED_CHARACTERS, "ideographic space (U+3000), use a space instead"),
        (4, "name", Code.VALUE_UNSUPPORTED_CHARACTERS, "ideographic space (U+3000), use a space instead"),
        (5, "name", Code.VALUE_UNSUPPORTED_CHARACTERS, "ʼ (U+02BC), use ' instead"),
        (6, "name", Code.VALUE_UNSUPPORTED_CHARACTERS, "ʻ (U+02BB), use ' instead"),
    ],
    "numbers_misc": [
        (2, "recipient", SCIENTIFIC, "6,59E+09: the spreadsheet changed the number"),
        (3, "recipient", NOT_DIGITS, "has a comma in it: give one number in a row, digits only"),
        (4, "recipient", NOT_DIGITS, "an apostrophe before the number: remove it"),
        (5, "recipient", NOT_DIGITS, 'has =" before and " after the number: remove them'),
        (6, "recipient", NOT_DIGITS, 'has =" before and " after the number: remove them'),
        (7, "recipient", Code.RECIPIENT_WHITESPACE, "\\t6591234567 has spaces before or after the number"),
        *((row, "recipient", NOT_DIGITS, "is not a number") for row in (8, 9, 10)),
        (12, "recipient", SCIENTIFIC, "format the column as text"),
        (13, "recipient", SCIENTIFIC, "format the column as text"),
        (14, "recipient", Code.RECIPIENT_DECIMAL, "remove the point or comma and what follows"),
        (15, "recipient", Code.RECIPIENT_DECIMAL, "remove the point or comma and what follows"),
        (16, "recipient", Code.RECIPIENT_TOO_LONG, "too many digits"),
        (17, "recipient", NOT_DIGITS, "recipient is #N/A, an error of the spreadsheet: mend the formula or type the value"),
        (18, "recipient", NOT_DIGITS, "nan is not a number"),
        (19, "recipient", NOT_DIGITS, "NULL is not a number"),
        (20, "recipient", NOT_DIGITS, "########, which a spreadsheet shows in a column too narrow: widen the column"),
        *((row, "recipient", NOT_DIGITS, "is not a number") for row in (21, 22, 23)),
        (24, "recipient", Code.RECIPIENT_LEADING_ZERO, "begins with 0"),
        (25, "recipient", NOT_DIGITS, "is not a number"),
        (26, "recipient", Code.RECIPIENT_NON_ASCII_DIGITS, "digits of another script"),
        (27, "recipient", HAS_SEPARATORS, "give the digits only"),
        (28, "recipient", HAS_SEPARATORS, "give the digits only"),
        (29, "recipient", Code.RECIPIENT_LEADING_ZERO, "begins with 0"),
        (30, "recipient", NOT_DIGITS, "is not a number"),
        (31, "recipient", SCIENTIFIC, "format the column as text"),
    ],
}  # fmt: skip


def judge_file(data: bytes, rules: Rules = RULES) -> list[Finding]:
    findings: list[Finding] = []
    judge(io.BytesIO(data), rules, messages=None, report=None, findings=findings.append)
    return findings


def test_every_file_has_its_expectation() -> None:
    assert {path.stem for path in SENT.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_gets_its_codes_and_a_text_that_names_the_cure(name: str) -> None:
    data = (SENT / f"{name}.csv").read_bytes()
    findings = judge_file(data)
    assert [(one.row, one.column, one.code) for one in findings] == [told[:3] for told in EXPECTED[name]]
    for finding, (*_, words) in zip(findings, EXPECTED[name], strict=True):
        assert words in finding.text
        assert "; " not in finding.text
    assert_agree(data, run_judge(data, RULES), reference_verdict(data, RULES))


NEAR_MISSES = (
    *(
        "AT&T",
        "?a=1&region=3",
        "a < b",
        "#1",
        "São Paulo",
        "CAFÉ™",
        "ZOÉ…",
        "Â",
        "Nguyễn Văn Đức",
        "陈大文",
        "முத்து",
    ),
    *("欢迎光临“CAFÉ”餐厅", "Err: 502", "N/A", "NULL", "नमस्ते", "x_x000D", "5% off", "👍🏽"),
)


@pytest.mark.parametrize("language", ["chinese", "malay", "tamil"])
def test_near_misses_pass(language: str) -> None:
    rows = [f"6591234567,{language},{text},1 May\n" for text in NEAR_MISSES]
    data = f"recipient,language,name,date\n{''.join(rows)}".encode()
    assert judge_file(data) == []
    assert_agree(data, run_judge(data, RULES), reference_verdict(data, RULES))


@pytest.mark.parametrize(
    "text", ["AT&T", "?a=1&region=3", "a < b", "#1", "São Paulo", "Â", "Nguyễn Văn Đức", "陈大文"]
)
def test_near_misses_pass_in_english_too(text: str) -> None:
    data = f"recipient,language,name,date\n6591234567,english,{text},1 May\n".encode()
    assert judge_file(data) == []


@pytest.mark.parametrize(
    ("values", "name"),
    [(ValueRule(spreadsheet_errors=False), "excel_errors"), (ValueRule(markup=False), "entities")],
    ids=["spreadsheet errors", "markup"],
)
def test_a_switch_lets_the_values_pass(values: ValueRule, name: str) -> None:
    rules = Rules(template=TEMPLATE, environment=Environment.PRODUCTION, footers=FOOTERS, values=values)
    assert judge_file((SENT / f"{name}.csv").read_bytes(), rules) == []


HEADER = "recipient,language,name,date"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (HEADER.replace(",", " | "), "vertical bars (|)"),
        (HEADER.replace(",", "||"), "vertical bars (|)"),
        ('"recipient"|"language"|"name"|"date"', "vertical bars (|)"),
        ("name|recipient|date|language", "vertical bars (|)"),
        (HEADER.replace(",", ":"), "colons (:)"),
        (HEADER.replace(",", "、"), "ideographic commas (、)"),
        (HEADER.replace(",", "；"), "； (U+FF1B (fullwidth semicolon))"),
        (HEADER.replace(",", " "), "spaces"),
        (HEADER.replace(",", "~"), "~ (U+007E (tilde))"),
        (HEADER.replace(",", "\x1f"), "U+001F"),
        (HEADER.replace(",", "\x01"), "U+0001"),
        ("recipient|language|a,b", "vertical bars (|)"),
        ("'recipient'|'language'|'name'|'date'", "vertical bars (|)"),
        ("'recipient';'language';'name';'date'", "semicolons"),
        ("Recipient|Language|Name|Date", "vertical bars (|)"),
    ],
    ids=ascii,
)
def test_any_mark_that_separates_the_columns_is_named(header: str, words: str) -> None:
    (finding,) = judge_file(f"{header}\nx\n".encode())
    assert finding.code is Code.DELIMITER_INVALID
    assert f"separated by {words}: save the file as CSV with commas" in finding.text


@pytest.mark.parametrize(
    ("rows", "number"),
    [
        (["Appointments of May", "", HEADER], 3),
        (["sep=,", HEADER], 2),
        (["Report;May", HEADER], 2),
        (['"May" list', HEADER], 2),
        (["x"] * 9 + [HEADER], 10),
        (["Title,,,", "6591234567,english,a,b", "name,date,language,recipient"], 3),
        (["Title", HEADER.replace(",", ";")], 2),
        (["Title", '"recipient,language,name,date"'], 2),
        (["Title", "Recipient,Language,Name,Date"], 2),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_header_below_other_rows_is_told_with_its_row(rows: list[str], number: int) -> None:
    data = "".join(f"{row}\n" for row in [*rows, "6591234567,english,a,b"]).encode()
    (finding,) = judge_file(data)
    assert finding.code is Code.HEADER_MISSING_COLUMN
    assert f"the header is row {number}: delete the rows above it" in finding.text
    assert run_judge(data, RULES, chunk_bytes=1).findings == [(None, None, Code.HEADER_MISSING_COLUMN)]


def test_beyond_the_tenth_row_no_header_is_looked_for() -> None:
    findings = judge_file("".join(f"{row}\n" for row in ["x"] * 10 + [HEADER]).encode())
    assert [finding.code for finding in findings] == [Code.HEADER_MISSING_COLUMN] * 4 + [
        Code.HEADER_UNKNOWN_COLUMN
    ]


def test_apostrophes_around_names_are_no_delimiter() -> None:
    data = b"'recipient','language','name','date'\n"
    findings = judge_file(data)
    assert {finding.code for finding in findings} == {Code.HEADER_MISSING_COLUMN, Code.HEADER_UNKNOWN_COLUMN}
    assert "(is it the one named 'recipient'?)" in findings[0].text
    assert_agree(data, run_judge(data, RULES), reference_verdict(data, RULES))


def test_a_header_in_capitals_is_the_header() -> None:
    data = f"{HEADER.upper()}\n{HEADER}\n".encode()
    findings = judge_file(data)
    assert len(findings) == 2 * 4
    assert "RECIPIENT" in findings[0].text
    assert_agree(data, run_judge(data, RULES), reference_verdict(data, RULES))


@pytest.mark.parametrize(
    "row", ["\x1a \0", '"\x1a"', "\x1a,", "\u200b", "\ufeff", '"\u2060"', "\u200b \x1a\u3000"], ids=ascii
)
def test_a_row_that_nobody_sees_is_to_be_deleted(row: str) -> None:
    data = f"{HEADER}\n6591234567,malay,a,b\n{row}\n".encode()
    (finding,) = judge_file(data)
    assert (finding.row, finding.code) == (3, Code.ROW_TOO_FEW_FIELDS)
    assert "characters or others that can't be seen" in finding.text
    assert_agree(data, run_judge(data, RULES), reference_verdict(data, RULES))


def test_a_short_row_with_something_to_see_is_told_its_columns() -> None:
    (finding,) = judge_file(f"{HEADER}\n\u200b陈\x1a\n".encode())
    assert "the row has 1 of 4 columns" in finding.text


def test_a_first_row_that_is_the_header_keeps_its_own_findings() -> None:
    (finding,) = judge_file(f"{HEADER},age\n{HEADER}\n".encode())
    assert finding.code is Code.HEADER_UNKNOWN_COLUMN
    assert "age" in finding.text

"""The header row: every name that is wrong is told, with the nearest right one."""

import io

import pytest

from processing.columns.chunks import read_chunks
from processing.columns.header import Header, read_header
from processing.columns.results import Finding

EXPECTED = ("recipient", "language", "recipient_name", "topic")


def read(text: str | bytes) -> tuple[Header, list[Finding]]:
    data = text if isinstance(text, bytes) else text.encode()
    (chunk,) = read_chunks(io.BytesIO(data))
    return read_header(chunk, 0, chunk.rows()[0], EXPECTED)


RIGHT = {
    "as the guide has it": ("recipient,language,recipient_name,topic", (0, 1, 2, 3), 4),
    "another order": ("topic,recipient_name,language,recipient", (0, 1, 2, 3), 4),
    "quoted, with spaces": ('"recipient"," language ", recipient_name ,topic', (0, 1, 2, 3), 4),
    "trailing columns without a name": ("recipient,language,recipient_name,topic,, ,", (0, 1, 2, 3), 7),
    "an earlier report's column": ("recipient,language,recipient_name,topic,Error Reason", (0, 1, 2, 3), 5),
    "an earlier report's column, padded": (
        "recipient,language,recipient_name,topic,,Error Reason",
        (0, 1, 2, 3),
        6,
    ),
    "an earlier report's column first": (
        "Error Reason,recipient,language,recipient_name,topic",
        (1, 2, 3, 4),
        5,
    ),
    "an earlier report on the file": (
        'recipient,language,recipient_name,topic,"Error Reason: the column x is missing"',
        (0, 1, 2, 3),
        5,
    ),
}
WRONG = {
    "case": (
        "Recipient,language,recipient_name,topic",
        ["header_missing_column", "header_unknown_column"],
        "the column Recipient is not one of this campaign's: did you mean recipient?",
    ),
    "missing": (
        "recipient,language,topic",
        ["header_missing_column"],
        "the column recipient_name is missing: add it to the header row",
    ),
    "missing, with a near one": (
        "recipient,language,recipient name,topic",
        ["header_missing_column", "header_unknown_column"],
        "the column recipient_name is missing (is it the one named recipient name?): add it to the header row",
    ),
    "a part of the name": (
        "recipient,language,name,topic",
        ["header_missing_column", "header_unknown_column"],
        "the column name is not one of this campaign's: did you mean recipient_name?",
    ),
    "no header row": (
        "6591234567,english,Amy,tax",
        ["header_missing_column"] * 4 + ["header_unknown_column"] * 4,
        "the column number 3 is not one of this campaign's: the first row must hold the columns' names",
    ),
    "unknown": (
        "recipient,language,recipient_name,topic,age",
        ["header_unknown_column"],
        "the column age is not one of this campaign's: delete it",
    ),
    "unknown twice": ("recipient,language,recipient_name,topic,age,age", ["header_unknown_column"], "age"),
    "duplicate": (
        "recipient,language,recipient_name,topic,topic",
        ["header_duplicate_column"],
        "the column topic is there 2 times: keep one",
    ),
    "no name in the middle": (
        "recipient,,language,recipient_name,topic",
        ["header_unknown_column"],
        "the column number 2, which has no name, is not one",
    ),
    "semicolons": (
        "recipient;language;recipient_name;topic",
        ["delimiter_invalid"],
        "the columns are separated by semicolons",
    ),
    "semicolons and a comma": (
        '"recipient";"language";recipient_name;topic,x',
        ["delimiter_invalid"],
        "separated by semicolons",
    ),
    "tabs": ("recipient\tlanguage\trecipient_name\ttopic", ["delimiter_invalid"], "separated by tabs"),
    "sep=": (
        "sep=,",
        ["header_missing_column"] * 4 + ["header_unknown_column"],
        "delete this row, the first one must hold the columns' names",
    ),
    "one column": ("recipient", ["header_missing_column"] * 3, "the column language is missing"),
    "over 200 columns": (",".join(["x"] * 201), ["header_unknown_column"], "the header row has 201 columns"),
    "over 1,000 columns": (
        ",".join(["x"] * 1001),
        ["header_unknown_column"],
        "the header row has 1,001 columns",
    ),
    "NUL": ("recipient,language\0", ["encoding_invalid"], "save it as CSV UTF-8"),
    "not UTF-8": (
        b"recipient,language,recipient_name,t\xf6pic",
        ["encoding_invalid"],
        "save it as CSV UTF-8",
    ),
    "a wrong quotation mark": (
        '"recipient"x,language',
        ["row_quote_invalid"],
        "the header row has a quotation mark",
    ),
}


@pytest.mark.parametrize(("text", "kept", "width"), RIGHT.values(), ids=RIGHT)
def test_a_right_header_is_found(text: str, kept: tuple[int, ...], width: int) -> None:
    header, findings = read(text)
    assert findings == []
    assert (header.kept, header.width, set(header.names)) == (kept, width, set(EXPECTED))


@pytest.mark.parametrize(("text", "codes", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_header_is_told_all_its_findings(text: str | bytes, codes: list[str], words: str) -> None:
    _, findings = read(text)
    assert [finding.code.value for finding in findings] == codes
    assert any(words in finding.text for finding in findings)
    assert {(finding.row, finding.column) for finding in findings} == {(None, None)}


@pytest.mark.parametrize("number", ["6591234567", "+65 9123 4567", "6.59E+09", "(65) 9123-4567"])
def test_nothing_of_a_row_of_data_is_told_where_the_header_row_is_missing(number: str) -> None:
    _, findings = read(f"{number},english,Emily Yeo,topics")
    told = " ".join(finding.text for finding in findings)
    assert not any(cell in told for cell in (number, "english", "Emily", "topics"))


def test_a_great_many_empty_columns_at_the_end_are_not_kept_in_mind() -> None:
    header, findings = read(",".join(EXPECTED) + "," * 100_000)
    assert findings == []
    assert header.width == 4

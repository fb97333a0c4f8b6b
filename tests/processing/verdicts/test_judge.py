"""The verdict as callers see it: its fields, its report and its messages."""

import io
from pathlib import Path

import pytest

from benchmarks import files
from config.environment import Environment
from config.sizes import MAX_UPLOAD_BYTES
from processing.columns.results import Finding
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules, Verdict
from rules.templates import Language, Template

HEADER = "recipient,language,recipient_name,topic\n"
GOOD = "6591234567,english,Emily Yeo,passport application #12345F\n"
TEMPLATE = Template(
    "Open Government Products",
    {
        Language.ENGLISH: "Dear {{recipient_name}}, about {{topic}}.",
        Language.CHINESE: "您好 {{recipient_name}}, {{topic}}。",
    },
)


def rules(
    environment: Environment = Environment.PRODUCTION,
    *,
    max_rows: int = 1_700_000,
    max_bytes: int = MAX_UPLOAD_BYTES,
) -> Rules:
    return Rules(TEMPLATE, environment, max_rows=max_rows, max_bytes=max_bytes)


def run(data: str | bytes, under: Rules | None = None) -> tuple[Verdict, list[Finding], str, bytes]:
    """The verdict, the findings, the messages' lines and the report."""
    findings: list[Finding] = []
    messages, report = io.BytesIO(), io.BytesIO()
    source = io.BytesIO(data if isinstance(data, bytes) else data.encode())
    verdict = judge(
        source,
        under or rules(),
        messages=messages,
        report=report,
        findings=findings.append,
    )
    return verdict, findings, messages.getvalue().decode(), report.getvalue()


def report_of(data: str | bytes, under: Rules | None = None) -> str:
    """The report without its byte order mark, which it must have."""
    report = run(data, under)[3]
    assert report.startswith(b"\xef\xbb\xbf")
    return report.decode("utf-8-sig")


def test_a_good_upload_becomes_lines_of_copy_text() -> None:
    verdict, findings, messages, report = run(HEADER + GOOD)
    assert verdict == Verdict(valid=True, total_messages=1)
    assert (findings, report) == ([], b"")
    values = '{"recipient_name": "Emily Yeo", "topic": "passport application #12345F"}'
    assert messages == f"2\t6591234567\tenglish\t{values}\t1\tGSM-7\n"


def test_rows_keep_the_numbers_that_a_spreadsheet_shows() -> None:
    _, _, messages, _ = run("\n" + HEADER + "\n,,,\n" + GOOD + "   \n" + GOOD)
    assert [line.split("\t")[0] for line in messages.splitlines()] == ["5", "7"]


def test_values_are_escaped_as_json_and_then_as_copy_text() -> None:
    _, _, messages, _ = run(HEADER + '6591234567,Chinese,"a\\b ""c""","d\r\ne\tf"\n')
    values = messages.split("\t")[3]
    assert values == r'{"recipient_name": "a\\\\b \\"c\\"", "topic": "d\\ne\\tf"}'
    assert messages.split("\t")[2] == "chinese"
    assert messages.endswith("\t2\tUCS-2\n")


def test_a_template_without_parameters_has_empty_values() -> None:
    plain = Rules(Template("Agency", {Language.ENGLISH: "Hello."}), Environment.PRODUCTION)
    _, _, messages, _ = run("recipient,language\n6591234567,ENGLISH\n", plain)
    assert messages == "2\t6591234567\tenglish\t{}\t1\tGSM-7\n"


def test_all_faults_of_all_rows_are_told_in_order() -> None:
    bad = "+6591234567,englsh,, x[\n"
    verdict, findings, _, _ = run(HEADER + GOOD + bad + GOOD + "6591234567,english,a\n")
    assert [(finding.row, finding.column, finding.code.value) for finding in findings] == [
        (3, "recipient", "recipient_has_plus"),
        (3, "language", "language_unknown"),
        (3, "recipient_name", "value_missing"),
        (3, "topic", "value_whitespace"),
        (5, None, "row_too_few_fields"),
    ]
    assert (verdict.valid, verdict.num_rows, verdict.num_errors, verdict.total_messages) == (False, 2, 5, 0)
    assert verdict.error_reason is None
    assert verdict.report_written


def test_reasons_name_what_where_and_the_cure() -> None:
    rows = ("91234567,englsh,[x,a\0b", f"6.59E+09,malay,x,{'y' * 1000}")
    _, findings, _, _ = run(HEADER + "".join(row + "\n" for row in rows))
    assert [finding.text for finding in findings][:5] == [
        "recipient 91234567: country code missing: 6591234567?",
        "language englsh is not known (did you mean english?): write english or chinese",
        "topic has the invisible control character U+0000: remove it, or type the text again",
        "recipient 6.59E+09: the spreadsheet changed the number: format the column as text, and enter the number again",
        "language malay is not in this campaign's template: write english or chinese",
    ]


def test_an_unsupported_character_is_named_with_its_replacement() -> None:
    verdict, findings, _, _ = run(HEADER + "6591234567,english,a,x[y\n6591234567,english,a,x\u200by\n")
    assert [finding.text for finding in findings] == [
        "topic has the unsupported character [ (U+005B), use ( instead",
        "topic has the unsupported character zero width space (U+200B), remove it",
    ]
    assert (verdict.has_avoidable, verdict.has_unicode) == (True, True)


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\u00a0", "no-break space (U+00A0), use a space instead"),
        ("\t", "tab (U+0009), use a space instead"),
        ("\ufe0f", "variation selector-16 (U+FE0F), remove it"),
        ("\u2028", "line separator (U+2028), use a line break instead"),
        ("\U0001f02c", "U+1F02C, remove it"),
        ("😀", "😀 (U+1F600), remove it"),
        ("’", "’ (U+2019), use ' instead"),
    ],
)
def test_a_character_that_cannot_be_seen_is_named(character: str, shown: str) -> None:
    _, findings, _, _ = run(f"{HEADER}6591234567,english,a,x{character}y\n")
    assert [finding.text for finding in findings] == [f"topic has the unsupported character {shown}"]


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        ("x[", (True, False)),
        ("ç", (False, True)),
        ("陈", (False, True)),
        ("“x", (True, True)),
        ("x", (False, False)),
    ],
)
def test_the_flags_tell_expensive_and_unicode_apart(value: str, flags: tuple[bool, bool]) -> None:
    verdict, *_ = run(f"{HEADER}6591234567,english,a,{value}\n")
    assert (verdict.has_avoidable, verdict.has_unicode) == flags


def test_rows_that_cannot_be_told_apart_do_not_count_as_unicode() -> None:
    verdict, *_ = run(HEADER + "6591234567,english,陈\n")
    assert not verdict.has_unicode


def test_the_report_is_the_upload_with_one_more_column() -> None:
    bad = "+6591234567,english,  O'Hara,5\" pipe\n"
    assert report_of(HEADER + GOOD + bad) == (
        HEADER.strip()
        + ',"Error Reason"\n'
        + GOOD.strip()
        + ',""\n'
        + bad.strip()
        + ',"recipient +6591234567 begins '
        'with +: remove the +; recipient_name has spaces or line breaks at its beginning or end: remove them"\n'
    )


def test_the_report_is_padded_to_the_widest_row() -> None:
    lines = report_of(HEADER + GOOD + "\n6591234567,english,a\n6591234567,english,a,b,,c\n").splitlines()
    assert lines[0] == HEADER.strip() + ',,,"Error Reason"'
    assert lines[1] == GOOD.strip() + ',,,""'
    assert lines[2] == ',,,,,,""'
    assert lines[3].startswith('6591234567,english,a,,,,"the row has 3 of 4 columns')
    assert lines[4].startswith('6591234567,english,a,b,,c,"the row has 6 columns instead of 4')


def test_columns_are_counted_up_to_the_last_filled_one() -> None:
    upload = HEADER + "6591234567,english,Tan, Amy,x\n6591234567,english,a,b,,c,d,,\n"
    report = report_of(upload)
    assert "the row has 5 columns instead of 4" in report.splitlines()[1]
    assert "the row has 7 columns instead of 4" in report.splitlines()[2]
    assert report_of(report) == report
    longer = report.replace('"the row has 5', ',,,"the row has 5')
    assert "the row has 5 columns instead of 4" in report_of(longer).splitlines()[1]


def test_an_earlier_report_s_column_is_replaced() -> None:
    first = report_of(HEADER + GOOD + "91234567,english,a,b\n")
    assert report_of(first) == first
    mended = first.replace("\n91234567", "\n6591234567")
    assert run(mended)[0].valid


def test_line_ends_of_the_report_are_the_upload_s() -> None:
    assert report_of((HEADER + "1,english,a,b\n").replace("\n", "\r\n")).count("\r\n") == 2
    assert report_of((HEADER + "1,english,a,b\n").replace("\n", "\r")).count("\r\n") == 2


def test_bytes_that_are_not_utf_8_are_told_on_their_row_and_shown_as_such() -> None:
    data = (HEADER + GOOD).encode() + b"6591234567,english,Jos\xe9,x\n"
    verdict, findings, _, report = run(data)
    assert [(finding.row, finding.code.value) for finding in findings] == [(3, "encoding_invalid")]
    assert verdict.num_rows == 1
    assert "Jos\ufffd,x," in report.decode("utf-8-sig")


def test_lost_characters_are_refused_again_when_the_report_is_sent_as_it_is() -> None:
    data = (HEADER + GOOD).encode() + b"6591234567,english,Jos\xe9,x\n"
    report = run(data)[3]
    _, findings, _, again = run(report)
    assert [(finding.row, finding.code.value) for finding in findings] == [(3, "encoding_invalid")]
    assert again == report
    mended = report.decode("utf-8-sig").replace("Jos\ufffd", "José")
    assert run(mended)[0].valid


def test_a_mark_never_closed_in_an_earlier_report_s_column_leaves_the_report_whole() -> None:
    upload = HEADER.strip() + ',Error Reason\n6591234567,english,x,"tax","remove\n'
    last = report_of(upload).splitlines()[-1]
    assert last.startswith('6591234567,english,x,"tax","a quotation mark is not closed')


def test_a_mark_never_closed_is_closed_in_the_report() -> None:
    report = report_of(HEADER + GOOD + '6591234567,english,"Tan,x\n' + GOOD)
    assert report.count("a quotation mark is not closed") == 1
    assert GOOD + '",,"a quotation mark' in report


def test_values_in_reasons_are_cut_and_quotation_marks_doubled() -> None:
    report = report_of(HEADER + '"x""' + "y" * 60 + '",english,a,b\n')
    assert '"recipient x""' + "y" * 38 + "… is not a number" in report


FILE_FAULTS = {
    "empty": (b"", "file_empty", False),
    "line ends only": (b"\n\r\n\r", "file_empty", False),
    "byte order mark only": (b"\xef\xbb\xbf", "file_empty", False),
    "UTF-16": (HEADER.encode("utf-16"), "encoding_invalid", False),
    "UTF-16 without a mark": (HEADER.encode("utf-16-le"), "encoding_invalid", False),
    "spreadsheet": (b"PK\x03\x04" + bytes(100), "encoding_invalid", False),
    "header only": (HEADER.encode(), "no_rows", True),
    "empty rows only": ((HEADER + ",,,\n\n  \n").encode(), "no_rows", True),
    "semicolons": (HEADER.replace(",", ";").encode(), "delimiter_invalid", True),
    "missing column": (b"recipient,language,topic\n6591234567,english,x\n", "header_missing_column", True),
}


@pytest.mark.parametrize(("data", "code", "has_report"), FILE_FAULTS.values(), ids=FILE_FAULTS)
def test_a_fault_of_the_file_stops_the_row_checks(data: bytes, code: str, has_report: bool) -> None:
    verdict, findings, _, report = run(data)
    assert [(finding.row, finding.column, finding.code.value) for finding in findings] == [(None, None, code)]
    assert (verdict.valid, verdict.num_rows, verdict.num_errors) == (False, 0, 1)
    assert verdict.error_reason == findings[0].text
    assert (verdict.report_written, bool(report)) == (has_report, has_report)
    if has_report:
        header_row = report.decode("utf-8-sig").splitlines()[0]
        assert header_row.endswith(f',"Error Reason: {verdict.error_reason}"')


def test_a_report_on_the_file_can_be_mended_and_sent_again() -> None:
    report = report_of("recipient,language,name,topic\n" + GOOD)
    assert run(report.replace(",name,", ",recipient_name,"))[0].valid


def test_twenty_names_are_told_of_a_header() -> None:
    verdict, findings, _, _ = run(HEADER.strip() + "".join(f",x{place}" for place in range(30)) + "\n" + GOOD)
    assert len(findings) == verdict.num_errors == 30
    assert verdict.error_reason is not None
    assert verdict.error_reason.endswith("; and 10 more")


def test_the_test_environment_takes_twenty_rows() -> None:
    test = rules(Environment.TEST)
    assert run(HEADER + ("\n,,,\n" + GOOD) * 20, test)[0].total_messages == 20
    verdict, findings, _, report = run(HEADER + GOOD * 21, test)
    assert [finding.code.value for finding in findings] == ["too_many_rows"]
    assert (
        verdict.error_reason
        == "the file has more than 20 rows: split it into several files, each with the header row"
    )
    assert report


def test_records_are_limited_blank_ones_too() -> None:
    small = rules(max_rows=5)
    assert run(HEADER + GOOD * 4, small)[0].valid
    verdict, findings, _, _ = run(HEADER + GOOD + "\n" * 4, small)
    assert [finding.code.value for finding in findings] == ["too_many_rows"]
    assert not verdict.report_written


def test_a_file_of_the_limit_is_too_large() -> None:
    size = len(HEADER + GOOD)
    assert run(HEADER + GOOD, rules(max_bytes=size + 1))[0].valid
    verdict, findings, _, _ = run(HEADER + GOOD, rules(max_bytes=size))
    assert [finding.code.value for finding in findings] == ["file_too_large"]
    assert not verdict.report_written


def test_without_sinks_the_verdict_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "upload.csv"
    path.write_text(HEADER + GOOD + "91234567,english,a,b\n")
    with path.open("rb") as source:
        verdict = judge(source, rules(), messages=None, report=None)
    assert (verdict.num_rows, verdict.report_written) == (1, False)


def test_a_finding_in_a_late_chunk_still_has_all_chunks_reported() -> None:
    data = files.clean(90_000) + b"91234567,english,a,b\n" + files.clean(40_000, seed=2).partition(b"\n")[2]
    verdict, findings, _, report = run(data, Rules(files.TEMPLATE, Environment.PRODUCTION))
    assert [finding.row for finding in findings] == [90_002]
    assert verdict.num_errors == 1
    lines = report.removeprefix(b"\xef\xbb\xbf").splitlines()
    assert [line.rsplit(b",", 1)[0] for line in lines[:90_001]] == data.splitlines()[:90_001]
    assert len(lines) == 130_002
    assert sum(line.endswith(b',""') for line in lines) == 130_000

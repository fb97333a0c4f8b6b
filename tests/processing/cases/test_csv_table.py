"""Every row of the table of CSV verdicts (4-sms-content.md §6), every code (2-gateway.md §3).

Each case is judged by the gateway and by the row-by-row reference: both must give the findings written with it.
"""

import pytest

from rules.codes import FindingCode as Code
from tests.processing.builders import GOOD_ROW, HEADER, guide_csv, quoted_csv
from tests.processing.cases.csv_accepted import ACCEPTED
from tests.processing.cases.csv_case import RULES, Case
from tests.processing.cases.csv_file_findings import OF_THE_FILE
from tests.processing.cases.csv_row_findings import OF_A_ROW
from tests.processing.reference.gateway_verdict import assert_agree, ordered, run_judge
from tests.processing.reference.row_by_row import reference_verdict
from tests.rules.vectors import PHONES

CASES = ACCEPTED + OF_THE_FILE + OF_A_ROW


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_verdict_of_the_table(case: Case) -> None:
    expected = reference_verdict(case.data, case.rules)
    assert ordered(expected.findings) == ordered(case.expected)
    judged = run_judge(case.data, case.rules)
    assert ordered(judged.findings) == ordered(case.expected)
    assert_agree(case.data, judged, expected)


@pytest.mark.parametrize("case", [case for case in CASES if len(case.data) < 5000], ids=lambda case: case.id)
def test_the_verdict_of_the_table_with_chunks_of_a_few_bytes(case: Case) -> None:
    whole = run_judge(case.data, case.rules)
    for chunk_bytes in (1, 3, 16):
        assert run_judge(case.data, case.rules, chunk_bytes=chunk_bytes) == whole


def test_every_code_that_bytes_alone_can_earn_has_a_case() -> None:
    by_the_front = {Code.FILE_NOT_CSV, Code.UPLOAD_INTERRUPTED}
    by_the_tables = {Code(vector["reason_code"]) for vector in PHONES if not vector["valid"]}
    told = {code for case in CASES for _, _, code in case.expected} | by_the_tables
    assert told == set(Code) - by_the_front


@pytest.mark.parametrize(
    ("value", "language", "has_avoidable", "has_unicode"),
    [
        ("[", "english", True, False),
        ("ç", "english", False, True),
        ("陈", "english", False, True),
        ("“", "english", True, True),
        ("Ç", "english", False, False),
        ("`", "english", True, True),
        ("“", "chinese", False, True),
        ("plain", "chinese", False, False),
        ("陈", "klingon", False, True),
    ],
)
def test_the_flags_of_the_file(value: str, language: str, has_avoidable: bool, has_unicode: bool) -> None:
    data = quoted_csv([HEADER.split(","), ["+65", language, "Amy", value]])
    verdict = run_judge(data, RULES).verdict
    assert (verdict.has_avoidable, verdict.has_unicode) == (has_avoidable, has_unicode)
    assert_agree(data, run_judge(data, RULES), reference_verdict(data, RULES))


def test_rows_with_a_wrong_number_of_fields_don_t_count_as_unicode() -> None:
    data = guide_csv("6591234567,chinese,陈", "6591234567,chinese,陈,陈,陈", GOOD_ROW)
    assert not run_judge(data, RULES).verdict.has_unicode
    assert not reference_verdict(data, RULES).has_unicode

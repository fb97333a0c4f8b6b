"""On generated uploads the gateway's columns and the row-by-row reference agree, and reports can be sent again.

`HYPOTHESIS_PROFILE=long` tries many more uploads, other ones each time; without it the same few are tried.
"""

import os
import random

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from processing.verdicts.terms import Rules
from rules.codes import FindingCode as Code
from tests.processing.reference.gateway_verdict import assert_agree, ordered, run_judge
from tests.processing.reference.reports import (
    is_well_formed,
    read_report,
    sent_fields,
    unpadded,
    write_rows,
)
from tests.processing.reference.row_by_row import reference_verdict
from tests.processing.reference.strategies import Upload, uploads, valid_uploads

# The long form may take an hour, each test of it.
pytestmark = pytest.mark.timeout(3600)
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
# Findings about a shape that the report has to change, so that sending it again finds something else.
CHANGED_BY_THE_REPORT = {Code.ROW_TOO_FEW_FIELDS, Code.ROW_QUOTE_INVALID}


def examples(short: int) -> settings:
    """So many examples where others have a hundred: 40 times as many in the long form, and fewer by `make quick`.

    A time-out is pytest's; the machine may be slow, so hypothesis sets no deadline.
    """
    return settings(
        max_examples=short * 40 if LONG else short * settings().max_examples // 100,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@given(uploads())
@examples(150)
def test_gateway_and_reference_agree_on_every_finding(upload: Upload) -> None:
    expected = reference_verdict(upload.data, upload.rules)
    for code in {code.value for _, _, code in expected.findings}:
        event(code)
    assert_agree(upload.data, run_judge(upload.data, upload.rules), expected)


@given(valid_uploads())
@examples(50)
def test_gateway_and_reference_agree_on_every_message(upload: Upload) -> None:
    expected = reference_verdict(upload.data, upload.rules)
    assert expected.messages
    assert_agree(upload.data, run_judge(upload.data, upload.rules), expected)


@given(st.one_of(uploads(), valid_uploads()), st.sampled_from((1, 2, 3, 5, 8, 13, 21, 40, 100)))
@examples(60)
def test_the_verdict_is_the_same_wherever_a_chunk_ends(upload: Upload, chunk_bytes: int) -> None:
    whole = run_judge(upload.data, upload.rules)
    assert run_judge(upload.data, upload.rules, chunk_bytes=chunk_bytes) == whole


@given(uploads())
@examples(40)
def test_a_report_minus_its_last_column_gives_back_the_sender_s_fields(upload: Upload) -> None:
    expected = reference_verdict(upload.data, upload.rules)
    assume(expected.num_rows and is_well_formed(upload.data))
    rows = read_report(run_judge(upload.data, upload.rules).report)
    sent = sent_fields(upload.data)
    assert [unpadded(row[:-1]) for row in rows] == [unpadded(fields) for fields in sent]
    bad = {row for row, _, _ in expected.findings}
    assert {number for number, row in enumerate(rows, 1) if row[-1]} - {_header_number(sent)} == bad
    width = max(map(len, sent)) + 1
    assert {len(row) for row in rows} == {width}


@given(uploads(), st.integers(0, 2**32))
@examples(50)
def test_a_mended_report_is_accepted_with_its_reasons_left_in_place(upload: Upload, seed: int) -> None:
    expected = reference_verdict(upload.data, upload.rules)
    assume(expected.num_rows)
    rows = read_report(run_judge(upload.data, upload.rules).report)
    mended = mend(rows, upload.rules, random.Random(seed))
    again = run_judge(mended, upload.rules)
    assert again.findings == [], mended
    assert_agree(mended, again, reference_verdict(mended, upload.rules))


@given(uploads())
@examples(40)
def test_a_report_sent_again_as_it_is_has_the_same_findings(upload: Upload) -> None:
    expected = reference_verdict(upload.data, upload.rules)
    assume(expected.num_rows)
    assume(CHANGED_BY_THE_REPORT.isdisjoint(code for _, _, code in expected.findings))
    report = run_judge(upload.data, upload.rules).report
    again = run_judge(report, upload.rules)
    assert ordered(again.findings) == ordered(expected.findings), report


def mend(rows: list[list[str]], rules: Rules, chance: random.Random) -> bytes:
    """Each bad row is taken out, emptied but for its reason, or written anew; the header and good rows stay."""
    place = _header_number(rows) - 1
    names = [name.strip() for name in rows[place]]
    language = next(iter(rules.template.bodies)).value
    good = {"recipient": "6591234567", "language": language} | dict.fromkeys(
        rules.template.parameters, "fine"
    )
    kept = rows[: place + 1]
    for row in rows[place + 1 :]:
        way = chance.choice(("remove", "clear", "write")) if row and row[-1] else "keep"
        if way == "keep":
            kept.append(row)
        elif way != "remove":
            cells = [good.get(name, "") if way == "write" else "" for name in names]
            kept.append([*cells[:-1], row[-1]])
    kept.append([good.get(name, "") for name in names])  # one row at least
    return write_rows(kept)


def _header_number(rows: list[list[str]]) -> int:
    """The number of the first row that isn't blank."""
    return next(number for number, row in enumerate(rows, 1) if row and (row[0].strip() or any(row[1:])))

"""How long a report gets, whatever was uploaded: reasons are whole while it can be put again, then `more`."""

import io

import pytest

from config.environment import Environment
from processing.columns.chunks import CHUNK_BYTES, read_chunks
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules, Verdict
from rules.templates import Language, Template

HEADER = b"recipient,language,a,b,c\n"
RULES = Rules(Template("H", {Language.ENGLISH: "{{a}}{{b}}{{c}}"}), Environment.PRODUCTION)
GOOD = b"6591234567,english,x,y,z\n"


def report_of(data: bytes, chunk_bytes: int = CHUNK_BYTES) -> tuple[Verdict, list[bytes]]:
    """The verdict, and the report's lines."""
    report = io.BytesIO()
    verdict = judge(io.BytesIO(data), RULES, messages=None, report=report, chunk_bytes=chunk_bytes)
    return verdict, report.getvalue().splitlines(keepends=True)


@pytest.mark.timeout(240)
def test_a_report_that_would_be_huge_can_be_put_again_and_counts_all_findings() -> None:
    verdict, lines = report_of(HEADER + b"1,,,,\n" * 1_699_000)
    assert (verdict.num_rows, verdict.num_errors) == (1_699_000, 5 * 1_699_000)
    assert 28_900_000 < sum(map(len, lines)) < 29_000_000
    is_short = [line == b'1,,,,,"more"\n' for line in lines[1:]]
    told = is_short.index(True)
    assert told > 10_000
    assert all(is_short[told:])
    assert all(b"is empty" in line for line in lines[1 : told + 1])


def test_where_reasons_end_depends_on_no_chunk() -> None:
    bad = b"1," + b"x" * 50 + b",,,\n"
    data = HEADER + bad * 150_000 + GOOD * 400_000 + bad * 30_000
    whole, lines = report_of(data)
    assert report_of(data, CHUNK_BYTES // 7) == (whole, lines)
    assert 27_000_000 < sum(map(len, lines)) < 29_000_000
    assert lines[-1] == bad[:-1] + b',"more"\n'


def test_few_bad_rows_of_an_upload_near_the_limit_have_their_reasons() -> None:
    rows = 31_000_000 // len(GOOD)
    verdict, lines = report_of(HEADER + GOOD * rows + b"1,english,x,y,z\n")
    assert verdict.num_errors == 1
    assert sum(map(len, lines)) > 31_000_000
    assert b"recipient" in lines[-1]


def test_no_row_is_padded_where_that_would_make_a_huge_report() -> None:
    _, lines = report_of(HEADER + b"1," + b"," * 200 + b"x\n" + b"1,,,,\n" * 1_000_000)
    assert sum(map(len, lines)) < 110_000_000
    assert lines[-1].startswith(b'1,,,,,"')


def test_chunks_are_cut_by_fields_too() -> None:
    chunks = list(read_chunks(io.BytesIO(b"1,,,,\n" * 1000 + b'"a",b\n"c"d\n'), 1600))
    assert all(chunk.count * chunk.widest <= 200 for chunk in chunks[:-1])
    assert sum(chunk.count for chunk in chunks) == 1002
    assert chunks[-1].malformed == (chunks[-1].count - 1,)

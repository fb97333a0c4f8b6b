"""The first findings are those that a whole list begins with, whatever is done for the report."""

import io

import pytest

from config.environment import Environment
from processing.columns.results import Finding
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules
from tests.processing.builders import GUIDE_TEMPLATE, HEADER

RULES = Rules(GUIDE_TEMPLATE, Environment.PRODUCTION)
ROWS = "".join(
    f"{6591234567 + number if number % 7 else number},english,Tan{' ' * (number % 3)},topic\n"
    for number in range(2000)
)
DATA = f"{HEADER}\n{ROWS}".encode()


@pytest.fixture(scope="module")
def every() -> list[Finding]:
    return findings(DATA, None)


def findings(data: bytes, most: int | None, rules: Rules = RULES, chunk_bytes: int = 4096) -> list[Finding]:
    told: list[Finding] = []
    judge(
        io.BytesIO(data), rules, messages=io.BytesIO(), report=io.BytesIO(),
        findings=told.append, most_findings=most, chunk_bytes=chunk_bytes,
    )  # fmt: skip
    return told


@pytest.mark.parametrize("chunk_bytes", [1024, 4096, 1 << 20])
@pytest.mark.parametrize("most", [1, 100, 700])
def test_the_first_ones_are_told_and_no_more(every: list[Finding], most: int, chunk_bytes: int) -> None:
    told = findings(DATA, most, chunk_bytes=chunk_bytes)
    assert told == every[:most]
    assert len(told) == most


def test_they_are_told_where_the_report_has_no_room_for_a_reason(every: list[Finding]) -> None:
    # From its first row on, this one fills what a report may have.
    large = DATA + f"6591234567,english,{'x' * 900},{'y' * 900}\n".encode() * 16_000
    assert findings(large, 100, chunk_bytes=1 << 20) == every[:100]


def test_those_of_the_file_are_cut_too() -> None:
    header = ",".join(f"column{number}" for number in range(30))
    every = findings(f"{header}\n1\n".encode(), None)
    assert len(every) > 3
    assert findings(f"{header}\n1\n".encode(), 3) == every[:3]

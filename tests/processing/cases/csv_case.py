"""One case of the table of CSV verdicts: an upload as bytes, its rules, and what must be found in it."""

from dataclasses import dataclass, replace

from config.environment import Environment
from processing.verdicts.terms import Rules
from rules.codes import FindingCode as Code
from tests.processing.builders import (
    FOOTERS,
    GOOD_ROW,
    GUIDE_TEMPLATE,
    HEADER,
    quoted_csv,
)

RULES = Rules(template=GUIDE_TEMPLATE, environment=Environment.PRODUCTION, footers=FOOTERS)
TEST_RULES = Rules(template=GUIDE_TEMPLATE, environment=Environment.TEST, footers=FOOTERS)
Expected = list[tuple[int | None, str | None, Code]]


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    data: bytes
    expected: Expected
    rules: Rules = RULES


def accepted(name: str, data: bytes, rules: Rules = RULES) -> Case:
    """A case of an upload without findings."""
    return Case(name, data, [], rules)


def file_refused(name: str, data: bytes, *codes: Code, rules: Rules = RULES) -> Case:
    """A case of findings of the file itself, which stop the row checks."""
    return Case(name, data, [(None, None, code) for code in codes], rules)


def rows_refused(
    name: str, data: bytes, *findings: tuple[int, str | None, Code], rules: Rules = RULES
) -> Case:
    """A case of findings in rows: row, column and code of each."""
    return Case(name, data, list(findings), rules)


def cells(
    recipient: str = "6591234567", language: str = "english", name: str = "Amy", topic: str = "tax"
) -> bytes:
    """A file of one row with these cells, quoted where needed."""
    return quoted_csv([HEADER.split(","), [recipient, language, name, topic]])


def at_most(first_size_refused: int = 10**6, *, rows: int = 1000) -> Rules:
    """The rules with other limits: the real ones are too large for a table."""
    return replace(RULES, max_bytes=first_size_refused, max_rows=rows)


TWO = (HEADER, GOOD_ROW, "6599999998,chinese,James Tan,passport application #67890A")
BAD = "+6591234567,english,Amy,tax"

"""Runs an upload through `processing.verdicts.judge.judge` and puts what came of it into the reference's own shape."""

import io
import json
import re
from dataclasses import dataclass

from processing.columns.chunks import CHUNK_BYTES
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules, Verdict
from tests.processing.reference.row_by_row import ReferenceFinding, ReferenceMessage, ReferenceVerdict

# COPY text, as PostgreSQL's manual has it: tab between columns, backslash before what would be misread.
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Judged:
    """One run of `judge`: its answer, and all that it wrote."""

    verdict: Verdict
    findings: list[ReferenceFinding]
    messages: list[ReferenceMessage]
    report: bytes


def run_judge(data: bytes, rules: Rules, *, chunk_bytes: int = CHUNK_BYTES) -> Judged:
    findings: list[ReferenceFinding] = []
    messages, report = io.BytesIO(), io.BytesIO()
    verdict = judge(
        io.BytesIO(data),
        rules,
        messages=messages,
        report=report,
        findings=lambda finding: findings.append((finding.row, finding.column, finding.code)),
        chunk_bytes=chunk_bytes,
    )
    rows = parse_copy(messages.getvalue()) if verdict.valid else []
    return Judged(verdict, findings, rows, report.getvalue())


def parse_copy(text: bytes) -> list[ReferenceMessage]:
    """Rows of COPY text in the columns that `messages` is filled with."""
    rows = []
    for line in text.decode().split("\n")[:-1]:
        row, recipient, language, values, segments, encoding = map(_unescape, line.split("\t"))
        rows.append((int(row), recipient, language, json.loads(values), int(segments), encoding))
    return rows


def _unescape(field: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), field, flags=re.DOTALL)


def assert_agree(data: bytes, judged: Judged, expected: ReferenceVerdict) -> None:
    """The gateway and the reference say the same of these bytes: findings, flags, counts and messages."""
    assert ordered(judged.findings) == ordered(expected.findings), data[:2000]
    verdict = judged.verdict
    found = (verdict.valid, verdict.num_rows, verdict.num_errors, verdict.has_avoidable, verdict.has_unicode)
    assert found == (
        expected.valid,
        expected.num_rows,
        expected.num_errors,
        expected.has_avoidable,
        expected.has_unicode,
    ), data[:2000]
    if expected.valid:
        assert judged.messages == expected.messages, data[:2000]
        assert verdict.total_messages == len(expected.messages)


def ordered(findings: list[ReferenceFinding]) -> list[tuple[int, str, str]]:
    """Sorted, whatever order they were found in."""
    return sorted((row or 0, column or "", code.value) for row, column, code in findings)

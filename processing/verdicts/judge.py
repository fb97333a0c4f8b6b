"""The verdict on one upload: bytes in; findings, report and messages out. Pure, and bounded in memory.

First all rows are cut, and whatever is wrong with the file as a whole is told. Then the rows are checked chunk by
chunk, two chunks at once (polars and numpy work outside Python's lock). Messages are written up to the first chunk with
a finding, the report from the first one on as soon as there is any: the last chunk decides which of the two counts.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from config.environment import Environment
from processing.columns.checks import Checks
from processing.columns.chunk_rows import read_rows
from processing.columns.chunks import CHUNK_BYTES, Chunk
from processing.columns.copytext import MessageForm
from processing.columns.findings import ChunkFindings
from processing.columns.header import LANGUAGE, RECIPIENT, Header
from processing.columns.report import (
    BEGINNING,
    ReasonBudget,
    ReportForm,
    escape_reasons,
    report_form,
    write_chunk,
    write_clean_chunk,
)
from processing.columns.results import Finding
from processing.columns.scan import Limits, Scan, scan_upload
from processing.verdicts.terms import Rules, Verdict
from rules.messages import layouts_of
from rules.texts import join_reasons

_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class _CheckedChunk:
    """One chunk's part. Of `messages` and `report` there is what was wanted when the chunk was done.

    `bad_rows` are the numbers of the rows with findings; `reasons`, escaped, are there where `report` has them whole.
    """

    rows: int
    findings: ChunkFindings | None
    has_avoidable: bool
    has_unicode: bool
    bad_rows: npt.NDArray[np.int64]
    messages: bytes | None = None
    report: bytes | None = None
    reasons: pl.Series | None = None


@dataclass(slots=True)
class _ChunkWork:
    """What the work on a chunk depends on. `is_bad` is set by the first chunk found to have a finding.

    From then on no messages are needed, and every chunk's part of the report is. `has_room` ends where the report has no
    room for whole reasons any more.
    """

    header: Header
    header_number: int
    checks: Checks
    message_form: MessageForm | None
    report_form: Callable[[], ReportForm] | None
    needs_texts: bool
    is_bad: bool = False
    has_room: bool = True

    def check(self, chunk: Chunk) -> _CheckedChunk:
        """Checks a chunk; in a thread of its own."""
        with_reasons = bool(self.report_form) and self.has_room
        rows = read_rows(chunk, self.header, self.header_number)
        checked = self.checks.check(rows, with_texts=self.needs_texts or with_reasons)
        findings = checked.findings
        bad_rows = findings.bad_rows if findings else np.zeros(0, np.int64)
        messages = report = reasons = None
        self.is_bad = self.is_bad or findings is not None
        if self.report_form and findings:
            form = self.report_form()
            if with_reasons:
                reasons = escape_reasons(findings.by_row()[1])
                report = write_chunk(chunk, form, bad_rows, reasons)
            else:
                report = write_chunk(chunk, form, bad_rows, pl.Series(dtype=pl.String), 0)
        elif self.report_form and self.is_bad:
            report = write_clean_chunk(chunk, self.report_form())
        elif self.message_form and not self.is_bad:
            messages = self.message_form.lines(checked)
        return _CheckedChunk(
            len(checked.rows.numbers),
            findings,
            checked.has_avoidable,
            checked.has_unicode,
            bad_rows,
            messages,
            report,
            reasons,
        )


@dataclass(slots=True)
class _Telling:
    """Tells the caller of findings, in the order of rows, as long as more are wanted: texts cost most of time and memory."""

    tell: Callable[[Finding], None] | None
    most: int | None
    _told: int = 0

    @property
    def wants_more(self) -> bool:
        """Whether the next finding is told."""
        return self.tell is not None and (self.most is None or self._told < self.most)

    def pass_findings(self, findings: Iterable[Finding]) -> None:
        """Tell of these, up to the last that is wanted."""
        if self.tell is None or not self.wants_more:
            return
        for finding in islice(findings, None if self.most is None else self.most - self._told):
            self.tell(finding)
            self._told += 1


@dataclass(slots=True)
class _Report:
    """Writes the report chunk by chunk, from the first chunk on as soon as one has a finding."""

    sink: BinaryIO
    form: ReportForm
    chunks: Sequence[Chunk]
    budget: ReasonBudget
    _written: int = 0

    @classmethod
    def of_form(cls, sink: BinaryIO, form: ReportForm, chunks: Sequence[Chunk]) -> "_Report":
        """An empty report."""
        return cls(sink, form, chunks, ReasonBudget(form))

    def write(self, place: int, checked: _CheckedChunk) -> None:
        """Writes the part of the chunk at `place`, after all before it that haven't been written."""
        if not self._written:
            self.sink.write(BEGINNING)
        for chunk in self.chunks[self._written : place]:
            self.sink.write(self._clean(chunk))
        chunk, text = self.chunks[place], checked.report
        if checked.reasons is not None:
            lengths = checked.reasons.str.len_bytes().to_numpy().astype(np.int64)
            whole = self.budget.pass_chunk(chunk, checked.bad_rows, lengths)
            if whole < len(lengths):
                text = write_chunk(chunk, self.form, checked.bad_rows, checked.reasons, whole)
        elif text is None:
            text = self._clean(chunk)
        else:
            self.budget.pass_clean_chunk(chunk)
        self.sink.write(text or b"")
        self._written = place + 1

    def _clean(self, chunk: Chunk) -> bytes:
        self.budget.pass_clean_chunk(chunk)
        return write_clean_chunk(chunk, self.form)


def message_form_of(rules: Rules) -> MessageForm:
    """What all messages have in common that a verdict by these rules writes."""
    return MessageForm.of_template(rules.template.parameters, layouts_of(rules.template), rules.frame())


def judge(
    source: BinaryIO,
    rules: Rules,
    *,
    messages: BinaryIO | None,
    report: BinaryIO | None,
    findings: Callable[[Finding], None] | None = None,
    most_findings: int | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Verdict:
    """Checks an upload, all of it. `source` is seekable and read from its start.

    `messages` receives PostgreSQL COPY text lines of the columns in `results.MESSAGE_COLUMNS`, with meaning only if the
    upload is valid. `report` receives the report's bytes if it isn't, unless no rows could be read. `findings` is called with
    each finding in the order of rows, or with the first `most_findings`. The verdict doesn't depend on `chunk_bytes`, what is
    checked at a time; memory does.
    """
    expected = (RECIPIENT, LANGUAGE, *rules.template.parameters)
    max_filled_rows = rules.max_rows_test if rules.environment is Environment.TEST else None
    scan = scan_upload(
        source, expected, Limits(rules.max_bytes, rules.max_rows, max_filled_rows), chunk_bytes
    )
    telling = _Telling(findings, most_findings)
    if scan.findings or scan.header is None:
        return _refuse_file(scan, report, telling)
    return _judge_rows(scan, scan.header, rules, messages, report, telling)


def _refuse_file(scan: Scan, report: BinaryIO | None, telling: _Telling) -> Verdict:
    reason = join_reasons([finding.text for finding in scan.findings])
    telling.pass_findings(scan.findings)
    is_written = False
    if report and scan.header and scan.has_rows:
        form = report_form(scan.chunks, scan.header, scan.header_number, scan.line_end)
        report.write(BEGINNING)
        for chunk in scan.chunks:
            report.write(write_clean_chunk(chunk, form, reason))
        is_written = True
    return Verdict(valid=False, num_errors=len(scan.findings), error_reason=reason, report_written=is_written)


def _judge_rows(
    scan: Scan,
    header: Header,
    rules: Rules,
    messages: BinaryIO | None,
    report: BinaryIO | None,
    telling: _Telling,
) -> Verdict:
    template = rules.template
    checks = Checks.of_template(template, rules.environment, rules.values, len(header.kept))
    frame = rules.frame()
    message_form = MessageForm.of_template(template.parameters, checks.layouts, frame)
    # Valid uploads have no report, so that its form is only looked for when the first finding is there.
    form = cache(lambda: report_form(scan.chunks, header, scan.header_number, scan.line_end))
    work = _ChunkWork(
        header,
        scan.header_number,
        checks,
        message_form if messages else None,
        form if report else None,
        needs_texts=telling.wants_more,
    )
    writer = None
    total = rows = errors = 0
    has_avoidable = has_unicode = False
    for place, checked in enumerate(_in_order(work.check, scan.chunks)):
        total += checked.rows
        has_avoidable |= checked.has_avoidable
        has_unicode |= checked.has_unicode
        if checked.findings:
            rows += len(checked.bad_rows)
            errors += len(checked.findings.rows)
            if telling.wants_more:
                telling.pass_findings(checked.findings.each())
                work.needs_texts = telling.wants_more
        if errors and report:
            writer = writer or _Report.of_form(report, form(), scan.chunks)
            writer.write(place, checked)
            work.has_room = not writer.budget.is_spent
        elif messages and checked.messages and not errors:
            messages.write(checked.messages)
    return Verdict(
        valid=not errors,
        total_messages=0 if errors else total,
        num_rows=rows,
        num_errors=errors,
        has_avoidable=has_avoidable,
        has_unicode=has_unicode,
        report_written=writer is not None,
    )


def _in_order(work: Callable[[Chunk], _CheckedChunk], chunks: Sequence[Chunk]) -> Iterator[_CheckedChunk]:
    """The checked chunks in their order, two being worked on at once. A single one needs no thread of its own."""
    if len(chunks) == 1:
        yield work(chunks[0])
        return
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="verdict") as pool:
        waiting: deque[Future[_CheckedChunk]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(work, chunk))
            if len(waiting) > _AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

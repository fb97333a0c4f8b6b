"""The verdict on one upload: bytes in; findings, report and messages out. Pure, and bounded in memory.

First all records are cut, and whatever is wrong with the file as a whole is told. Then the rows are checked piece by
piece, two pieces at once (polars and numpy work outside Python's lock). Messages are written up to the first piece with
a finding, the report from the first one on as soon as there is any: the last piece decides which of the two counts.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from config.environment import Environment
from config.sizes import MAX_UPLOAD_BYTES
from processing.columns.checks import Checks
from processing.columns.chunk_findings import Faults
from processing.columns.chunk_rows import read_rows
from processing.columns.chunks import PIECE_BYTES, Piece
from processing.columns.copytext import MessageForm
from processing.columns.findings import Finding
from processing.columns.header import LANGUAGE, RECIPIENT, Header
from processing.columns.report import BEGINNING, ReportForm, report_form, write_clean_piece, write_piece
from processing.columns.scan import Limits, Scan, scan_upload
from rules.characters.unsupported import UnsupportedRule
from rules.messages import DEFAULT_FOOTERS, Frame
from rules.templates import Language, Template
from rules.texts import join_reasons

_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that a verdict depends on besides the bytes. `max_bytes` is the first size refused."""

    template: Template
    environment: Environment
    footers: Mapping[Language, str] = field(default_factory=lambda: DEFAULT_FOOTERS)
    unsupported: UnsupportedRule = field(default_factory=UnsupportedRule)
    max_rows_test: int = 20
    max_records: int = 1_700_000
    max_bytes: int = MAX_UPLOAD_BYTES


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an upload.

    `num_rows` are the rows with findings, `num_errors` all findings. `error_reason` is there where the file as a whole
    is at fault: then no row was checked, and `num_rows` is 0. `report_written`: the report has its bytes.
    """

    valid: bool
    total_messages: int = 0
    num_rows: int = 0
    num_errors: int = 0
    has_avoidable: bool = False
    has_unicode: bool = False
    error_reason: str | None = None
    report_written: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One piece's part. Of `messages` and `report` there is what was wanted when the piece was done."""

    rows: int
    faults: Faults | None
    has_avoidable: bool
    has_unicode: bool
    messages: bytes | None
    report: bytes | None


@dataclass(slots=True)
class _Work:
    """What the work on a piece depends on. `is_bad` is set by the first piece found to have a finding.

    From then on no messages are needed, and every piece's part of the report is.
    """

    header: Header
    header_number: int
    checks: Checks
    message_form: MessageForm | None
    report_form: ReportForm | None
    is_bad: bool = False

    def do(self, piece: Piece) -> _Outcome:
        """Checks a piece; in a thread of its own."""
        checked = self.checks.check(read_rows(piece, self.header, self.header_number))
        faults = checked.faults
        messages = report = None
        self.is_bad = self.is_bad or faults is not None
        if self.report_form and faults:
            report = write_piece(piece, self.report_form, *faults.by_row())
        elif self.report_form and self.is_bad:
            report = write_clean_piece(piece, self.report_form)
        elif self.message_form and not self.is_bad:
            messages = self.message_form.lines(checked)
        rows = len(checked.rows.numbers)
        return _Outcome(rows, faults, checked.has_avoidable, checked.has_unicode, messages, report)


@dataclass(slots=True)
class _Report:
    """Writes the report piece by piece, from the first piece on as soon as one has a finding."""

    sink: BinaryIO
    form: ReportForm
    pieces: Sequence[Piece]
    _written: int = 0

    def write(self, place: int, text: bytes | None) -> None:
        """Writes the part of the piece at `place`, after all before it that haven't been written."""
        if not self._written:
            self.sink.write(BEGINNING)
        for piece in self.pieces[self._written : place]:
            self.sink.write(write_clean_piece(piece, self.form))
        self.sink.write(write_clean_piece(self.pieces[place], self.form) if text is None else text)
        self._written = place + 1


def decide(
    source: BinaryIO,
    rules: Rules,
    *,
    file_name: str,  # noqa: ARG001  (kept for whoever calls: a rule on names would be one of the verdict's)
    batch_id: str,
    messages: BinaryIO | None,
    report: BinaryIO | None,
    findings: Callable[[Finding], None] | None = None,
    piece_bytes: int = PIECE_BYTES,
) -> Verdict:
    """Checks an upload, all of it. `source` is seekable and read from its start.

    `messages` receives PostgreSQL COPY text lines of the columns in `copytext.COLUMNS`, with meaning only if the upload is
    valid. `report` receives the report's bytes if it isn't, unless no rows could be read. `findings` is called with
    each finding in the order of rows. The verdict doesn't depend on `piece_bytes`, what is checked at a time; memory does.
    """
    expected = (RECIPIENT, LANGUAGE, *rules.template.parameters)
    max_rows = rules.max_rows_test if rules.environment is Environment.TEST else None
    scan = scan_upload(source, expected, Limits(rules.max_bytes, rules.max_records, max_rows), piece_bytes)
    if scan.findings or scan.header is None:
        return _refuse_file(scan, report, findings)
    return _decide_rows(scan, scan.header, rules, batch_id, messages, report, findings)


def _refuse_file(scan: Scan, report: BinaryIO | None, findings: Callable[[Finding], None] | None) -> Verdict:
    reason = join_reasons([finding.text for finding in scan.findings])
    if findings:
        for finding in scan.findings:
            findings(finding)
    is_written = False
    if report and scan.header and scan.has_rows:
        form = report_form(scan.pieces, scan.header, scan.header_number, scan.line_end)
        report.write(BEGINNING)
        for piece in scan.pieces:
            report.write(write_clean_piece(piece, form, reason))
        is_written = True
    return Verdict(valid=False, num_errors=len(scan.findings), error_reason=reason, report_written=is_written)


def _decide_rows(
    scan: Scan,
    header: Header,
    rules: Rules,
    batch_id: str,
    messages: BinaryIO | None,
    report: BinaryIO | None,
    findings: Callable[[Finding], None] | None,
) -> Verdict:
    template = rules.template
    checks = Checks.of_template(template, rules.environment, rules.unsupported, len(header.kept))
    frame = Frame(template.header, rules.environment, rules.footers)
    message_form = MessageForm.of_batch(batch_id, template.parameters, checks.layouts, frame)
    form = report_form(scan.pieces, header, scan.header_number, scan.line_end)
    work = _Work(
        header,
        scan.header_number,
        checks,
        message_form if messages else None,
        form if report else None,
    )
    writer = _Report(report, form, scan.pieces) if report else None
    total = rows = errors = 0
    has_avoidable = has_unicode = False
    for place, outcome in enumerate(_in_order(work.do, scan.pieces)):
        total += outcome.rows
        has_avoidable |= outcome.has_avoidable
        has_unicode |= outcome.has_unicode
        if outcome.faults:
            rows += outcome.faults.row_count
            errors += len(outcome.faults.rows)
            if findings:
                for finding in outcome.faults.findings():
                    findings(finding)
        if errors and writer:
            writer.write(place, outcome.report)
        elif messages and outcome.messages and not errors:
            messages.write(outcome.messages)
    return Verdict(
        valid=not errors,
        total_messages=0 if errors else total,
        num_rows=rows,
        num_errors=errors,
        has_avoidable=has_avoidable,
        has_unicode=has_unicode,
        report_written=bool(errors and writer),
    )


def _in_order(work: Callable[[Piece], _Outcome], pieces: Sequence[Piece]) -> Iterator[_Outcome]:
    """The pieces' outcomes in their order, two being worked on at once."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="verdict") as pool:
        waiting: deque[Future[_Outcome]] = deque()
        for piece in pieces:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > _AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

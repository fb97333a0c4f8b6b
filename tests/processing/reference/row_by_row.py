"""The verdict on an upload, row by row in plain Python, written from the specification alone.

Bytes and rules come in, a `ReferenceVerdict` goes out. The tests hold the gateway's columns against it; the benchmark
takes it for the row-by-row way. Cells are judged by `cell_rules`, rows are cut by `split_rows`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from config.environment import Environment
from rules.codes import FindingCode as Code
from rules.templates import Language, Template, split_body
from tests.processing.reference import cell_rules
from tests.processing.reference.split_rows import SentRow, decode, split_rows

MOST_COLUMNS = 200
ALWAYS = {"recipient", "language"}
OF_THE_HEADER = {
    Code.HEADER_MISSING_COLUMN,
    Code.HEADER_UNKNOWN_COLUMN,
    Code.HEADER_DUPLICATE_COLUMN,
    Code.DELIMITER_INVALID,
    Code.ROW_QUOTE_INVALID,
}
# UTF-16, ZIP (a spreadsheet), OLE (an old one), gzip, PDF.
BINARY = (b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"%PDF-")
TRAINING_LINE = "This is a test message used for training purposes."

ReferenceFinding = tuple[int | None, str | None, Code]
ReferenceMessage = tuple[int, str, str, dict[str, str], int, str]


class UnsupportedSwitches(Protocol):
    @property
    def tier3(self) -> bool: ...
    @property
    def emoji(self) -> bool: ...


class ValueSwitches(Protocol):
    @property
    def unsupported(self) -> UnsupportedSwitches: ...
    @property
    def spreadsheet_errors(self) -> bool: ...
    @property
    def markup(self) -> bool: ...


class ReferenceRules(Protocol):
    """What of `processing.verdicts.terms.Rules` the reference looks at."""

    @property
    def template(self) -> Template: ...
    @property
    def environment(self) -> Environment: ...
    @property
    def footers(self) -> Mapping[Language, str]: ...
    @property
    def values(self) -> ValueSwitches: ...
    @property
    def max_rows_test(self) -> int: ...
    @property
    def max_rows(self) -> int: ...
    @property
    def max_bytes(self) -> int: ...


@dataclass(slots=True)
class ReferenceVerdict:
    """`findings` are (row, column, code), in the order of rows; those of the file have neither row nor column.

    `messages` are (row, recipient, language, values, segments, encoding), and empty unless the upload is valid.
    """

    findings: list[ReferenceFinding] = field(default_factory=list)
    messages: list[ReferenceMessage] = field(default_factory=list)
    has_avoidable: bool = False
    has_unicode: bool = False

    @property
    def valid(self) -> bool:
        return not self.findings

    @property
    def num_rows(self) -> int:
        return len({row for row, _, _ in self.findings if row is not None})

    @property
    def num_errors(self) -> int:
        return len(self.findings)


def reference_verdict(data: bytes, rules: ReferenceRules) -> ReferenceVerdict:
    """What should come of an upload of these bytes."""
    sent = list(split_rows(decode(data)))
    header, rows = _without_blank(sent)
    codes = _check_file(data, header, rules)
    if header and codes and set(codes) <= OF_THE_HEADER and _is_header_below(sent, header):
        codes = [Code.HEADER_MISSING_COLUMN]
    if not codes:
        codes = _check_amount(len(sent), len(rows), rules)
    if codes or not header:
        return ReferenceVerdict([(None, None, code) for code in codes])
    verdict = ReferenceVerdict()
    check = _RowCheck(rules, _names_of(header), verdict)
    for row in rows:
        check.judge(row)
    if not verdict.valid:
        verdict.messages.clear()
    return verdict


def _without_blank(sent: list[SentRow]) -> tuple[SentRow | None, list[SentRow]]:
    """The header and the rows, without blank ones and without the cells under an old report's columns.

    A row of which a person left only the old reason standing is blank too.
    """
    header, ignored, rows = None, set[int](), []
    for row in sent:
        if row.is_blank:
            continue
        if header is None:
            header = row
            ignored = {place for place, name in enumerate(row.fields) if _is_old_reason(name.strip())}
        row.fields = [text for place, text in enumerate(row.fields) if place not in ignored]
        if row is not header and not row.is_blank:
            rows.append(row)
    return header, rows


def _is_old_reason(name: str) -> bool:
    """An earlier report's column; the reason for a whole file stands in the name itself."""
    return name == "Error Reason" or name.startswith("Error Reason: ")


def _check_file(data: bytes, header: SentRow | None, rules: ReferenceRules) -> list[Code]:
    """The codes of the file's own findings, which stop the row checks, up to those of the header."""
    wanted = {"recipient", "language", *rules.template.parameters}
    if len(data) >= rules.max_bytes:
        return [Code.FILE_TOO_LARGE]
    if data.startswith(BINARY):
        return [Code.ENCODING_INVALID]
    if header is None:
        return [Code.FILE_EMPTY]
    if header.encoding_invalid or "\0" in header.raw:
        return [Code.ENCODING_INVALID]
    if _has_other_delimiter(header, wanted):
        return [Code.DELIMITER_INVALID]
    if header.quote_invalid:
        return [Code.ROW_QUOTE_INVALID]
    if _is_line_quoted(header):
        return [Code.LINES_QUOTED]
    return _check_names(_names_of(header), wanted)


def _is_header_below(sent: list[SentRow], header: SentRow) -> bool:
    """Whether another of the first ten rows is the header."""
    rows = sent[header.number - 1 : 10]
    return not _is_meant_as_header(header) and any(map(_is_meant_as_header, rows))


def _is_meant_as_header(row: SentRow) -> bool:
    return _lower_names(row) >= ALWAYS or _is_line_quoted(row) or bool(_marks_between(row))


def _is_line_quoted(header: SentRow) -> bool:
    names = _names_of(header)
    return len(names) == 1 and _cut(names[0].lower(), ",") >= ALWAYS


def _lower_names(header: SentRow) -> set[str]:
    return {name.lower() for name in _names_of(header)}


def _marks_between(header: SentRow) -> set[str]:
    """The marks that make the columns of every file where commas don't."""
    if _lower_names(header) >= ALWAYS:
        return set()
    marks = {mark for mark in header.raw if not mark.isalnum() and mark not in "_\"',"}
    return {mark for mark in marks if _cut(header.raw.lower(), mark) >= ALWAYS}


def _cut(text: str, mark: str) -> set[str]:
    return {name.strip().strip("\"'").strip() for name in text.split(mark)}


def _has_other_delimiter(header: SentRow, wanted: set[str]) -> bool:
    """Any mark that makes `recipient` and `language`; `;` or tab for every comma, or making more names than commas do."""
    if _marks_between(header):
        return True
    others = [mark for mark in ";\t" if mark in header.raw]
    if others and "," not in header.raw:
        return True
    found = len(wanted.intersection(_names_of(header)))
    return any(len(wanted & _cut(header.raw, mark)) > found for mark in others)


def _names_of(header: SentRow) -> list[str]:
    """Trimmed names, without trailing empty ones."""
    names = [name.strip() for name in header.fields]
    while names and not names[-1]:
        names.pop()
    return names


def _check_names(names: list[str], wanted: set[str]) -> list[Code]:
    if len(names) > MOST_COLUMNS:
        return [Code.HEADER_UNKNOWN_COLUMN]
    counts = Counter(names)
    return (
        [Code.HEADER_MISSING_COLUMN for name in wanted if name not in counts]
        + [Code.HEADER_UNKNOWN_COLUMN for name in counts if name not in wanted]
        + [Code.HEADER_DUPLICATE_COLUMN for name in wanted if counts[name] > 1]
    )


def _check_amount(sent: int, filled: int, rules: ReferenceRules) -> list[Code]:
    """`sent` counts all rows, the header and blank ones too; `filled` neither."""
    most_filled = rules.max_rows_test if rules.environment is Environment.TEST else filled
    if sent > rules.max_rows or filled > most_filled:
        return [Code.TOO_MANY_ROWS]
    return [] if filled else [Code.NO_ROWS]


class _RowCheck:
    """Judges one row after the other, writing into the verdict."""

    def __init__(self, rules: ReferenceRules, names: list[str], verdict: ReferenceVerdict) -> None:
        self.rules, self.names, self.verdict = rules, names, verdict
        self.parameters = rules.template.parameters
        self.bodies = {
            language.value: split_body(cell_rules.normalise_line_ends(body))
            for language, body in rules.template.bodies.items()
        }
        self.available = frozenset(self.bodies)
        self.unsupported = cell_rules.unsupported_characters(
            tier3=rules.values.unsupported.tier3, emoji=rules.values.unsupported.emoji
        )

    def judge(self, row: SentRow) -> None:
        code = self._check_shape(row)
        if code:
            self.verdict.findings.append((row.number, None, code))
            return
        before = len(self.verdict.findings)
        cell = dict(zip(self.names, row.fields, strict=False))
        recipient, language = cell["recipient"], cell["language"].lower()
        values = {name: cell_rules.normalise_line_ends(cell[name]) for name in self.parameters}
        self._note(row, "recipient", cell_rules.check_recipient(recipient, self.rules.environment))
        self._note(row, "language", cell_rules.check_language(cell["language"], self.available))
        for name in self.parameters:
            self._check_value(row, name, cell[name], english=language == "english")
        body = self._fill(language, values) if language in self.available else ""
        if cell_rules.utf16_units(body) > 1000:
            self._note(row, None, Code.MESSAGE_TOO_LONG)
        if len(self.verdict.findings) == before:
            encoding, _, segments = cell_rules.count_segments(self._frame(language, body))
            self.verdict.messages.append((row.number, recipient, language, values, segments, encoding))

    def _check_shape(self, row: SentRow) -> Code | None:
        if row.quote_invalid:
            return Code.ROW_QUOTE_INVALID
        if row.encoding_invalid or row.has_lost_characters:
            return Code.ENCODING_INVALID
        if len(row.fields) < len(self.names):
            return Code.ROW_TOO_FEW_FIELDS
        if any(row.fields[len(self.names) :]):
            return Code.ROW_TOO_MANY_FIELDS
        return None

    def _check_value(self, row: SentRow, name: str, text: str, *, english: bool) -> None:
        self.verdict.has_unicode |= not cell_rules.is_gsm7(text)
        switches = self.rules.values
        for code in cell_rules.check_value(
            text,
            english=english,
            unsupported=self.unsupported,
            spreadsheet_errors=switches.spreadsheet_errors,
            markup=switches.markup,
        ):
            self._note(row, name, code)
            self.verdict.has_avoidable |= code is Code.VALUE_UNSUPPORTED_CHARACTERS

    def _note(self, row: SentRow, column: str | None, code: Code | None) -> None:
        if code:
            self.verdict.findings.append((row.number, column, code))

    def _fill(self, language: str, values: dict[str, str]) -> str:
        parts = self.bodies[language]
        return "".join(values[part] if place % 2 else part for place, part in enumerate(parts))

    def _frame(self, language: str, body: str) -> str:
        """Header, body and footer as they go out (§2)."""
        header = self.rules.template.header
        if self.rules.environment is Environment.TEST:
            header = f"{TRAINING_LINE}\n\n{header}"
        return f"{header}\n\n---\n\n{body}\n\n---\n\n{self.rules.footers[Language(language)]}"

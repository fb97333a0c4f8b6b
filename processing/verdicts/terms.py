"""What a verdict depends on besides the bytes, and what it says: all that those need who only ask for verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.environment import Environment
from config.sizes import MAX_UPLOAD_BYTES
from processing.checked.counts import Counts
from processing.columns.results import Finding
from rules.messages import DEFAULT_FOOTERS, Frame
from rules.templates import Language, Template
from rules.values import ValueRule


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that a verdict depends on besides the bytes. `max_bytes` is the first size refused."""

    template: Template
    environment: Environment
    footers: Mapping[Language, str] = field(default_factory=lambda: DEFAULT_FOOTERS)
    values: ValueRule = field(default_factory=ValueRule)
    max_rows_test: int = 20
    max_rows: int = 1_700_000
    max_bytes: int = MAX_UPLOAD_BYTES

    def frame(self) -> Frame:
        """What stands around each body."""
        return Frame(self.template.header, self.environment, self.footers)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement over an upload: valid, or with how many findings.

    `num_rows` are the rows with findings, `num_errors` all findings. `error_reason` is there where the file as a whole
    is at fault: then no row was checked, and `num_rows` is 0. `report_written`: the report has its bytes. `findings` are the
    first ones, as many as the caller keeps. `counts` are of a valid upload, where the caller asked for them.
    """

    valid: bool
    total_messages: int = 0
    num_rows: int = 0
    num_errors: int = 0
    has_avoidable: bool = False
    has_unicode: bool = False
    error_reason: str | None = None
    report_written: bool = False
    findings: tuple[Finding, ...] = ()
    counts: Counts | None = None

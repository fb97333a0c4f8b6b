"""Plans as PostgreSQL's module auto_explain logs them, and what is wrong with one: it reads more the longer the gateway has run.

A plan may read each row of a large table that it returns, and a few besides. It reads too much where it reads a large table
whole, or by an index many more rows than it returns, or many more pages than these rows lie in.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

MODULE: Final = "auto_explain.so"
# What the server's settings are to be, for `read_plans` to understand its log. Whoever logs nothing has a negative duration.
SETTINGS: Final[Mapping[str, str]] = {
    "log_line_prefix": "%m [%p] growth=%a ",
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "-1",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
}
# Rows of large tables that any statement may read, and how many more for each row that it returns.
ROWS: Final = 1_000
ROWS_FOR_EACH: Final = 25
# Pages for each row read: the levels of an index and the table's own.
PAGES_FOR_EACH: Final = 10
_ENTRY: Final = re.compile(r"^\S+ \S+ \S+ \[\d+\] growth=(.*?) LOG:  duration: ([0-9.]+) ms  plan:$")
_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_ROOT: Final = Path(__file__).parents[2]
_INSTALLED: Final = Path("/usr/lib/postgresql")
_PARTITION: Final = re.compile(r"_(?:to_)?\d+$")


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of a statement: who asked (`application`), the statement's name where it is one of ours, and its plan."""

    application: str
    statement: str
    seconds: float
    root: Mapping[str, Any]

    @property
    def pages(self) -> int:
        """Pages of tables and indexes that it has touched."""
        return int(self.root.get("Shared Hit Blocks", 0)) + int(self.root.get("Shared Read Blocks", 0))


def find_programs() -> Path | None:
    """The programs of the newest PostgreSQL of this machine's that has the module; the embedded one has none."""
    found = [
        path for path in _INSTALLED.glob("*/lib/" + MODULE) if (path.parents[1] / "bin/postgres").exists()
    ]
    return max(found, key=lambda path: int(path.parts[-3])).parents[1] / "bin" if found else None


def read_plans(log: Path, begin: int = 0) -> Iterator[Plan]:
    """The plans in the log from that byte on."""
    entry: tuple[str, str] | None = None
    lines: list[str] = []
    with log.open(encoding="utf-8", errors="replace") as opened:
        opened.seek(begin)
        for line in opened:
            if line.startswith("\t"):
                lines.append(line[1:])
                continue
            if entry is not None:
                yield _plan_of(*entry, "".join(lines))
            match = _ENTRY.match(line)
            entry = (match[1], match[2]) if match else None
            lines = []
    if entry is not None:
        yield _plan_of(*entry, "".join(lines))


def _plan_of(application: str, milliseconds: str, text: str) -> Plan:
    document = json.loads(text)
    return Plan(application, name_of(document["Query Text"]), float(milliseconds) / 1000, document["Plan"])


def name_of(statement: str) -> str:
    """Where a statement of ours stands, such as `processing/uploads.sql: list_uploads`; else how it begins."""
    known = _statements().get(statement.strip())
    return known or " ".join(statement.split())[:100]


@cache
def _statements() -> Mapping[str, str]:
    found = {}
    for path in _ROOT.glob("[a-z]*/**/*.sql"):
        _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            found[text.strip()] = f"{path.relative_to(_ROOT)}: {name}"
    return found


def faults_of(plan: Plan, large: frozenset[str], most_rows: int = ROWS, allowed: int = 0) -> Iterator[str]:
    """What is wrong with a plan, a sentence each. `large`: tables that grow; `allowed`: rows that it may read besides."""
    read = 0
    returned = _rows(plan.root)
    for node in _nodes(plan.root):
        table = table_of(str(node.get("Relation Name", "")))
        if table not in large or not (seen := _seen(node)):
            continue
        read += seen
        returned = max(returned, _rows(node) if plan.root["Node Type"] == "ModifyTable" else 0)
        # A range that has just begun, or a table that stays small, is on a page or two.
        if node["Node Type"].endswith("Seq Scan") and seen > max(allowed, most_rows // 10):
            yield f"reads {table} whole: {seen:,} rows"
    most = most_rows + allowed + ROWS_FOR_EACH * returned
    if read > most:
        yield f"reads {read:,} rows of large tables and returns {returned:,}"
    if plan.pages > PAGES_FOR_EACH * max(read, most):
        yield f"touches {plan.pages:,} pages for {read:,} rows"


def table_of(relation: str) -> str:
    """The table that a relation is, or is a partition of."""
    return _PARTITION.sub("", relation)


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: Mapping[str, Any]) -> int:
    return int(node.get("Actual Rows", 0) * node.get("Actual Loops", 0))


def _seen(node: Mapping[str, Any]) -> int:
    if "Scan" not in node["Node Type"]:
        return 0
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node.get("Actual Rows", 0) + removed) * node.get("Actual Loops", 0))

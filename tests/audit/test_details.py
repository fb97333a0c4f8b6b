"""One vocabulary for what events tell: mypy refuses a name that isn't in it; here every place that writes one is walked."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.details import EventDetails, read_details
from audit.events import AuditEvent, fetch_events_of_upload, record_event
from database.connections import Connection

ROOT = Path(__file__).parents[2]
ROOMS = (
    "api", "billing", "campaigns", "console", "gateway", "keys", "messages", "notifications", "processing", "sending",
    "sftpd",
)  # fmt: skip


def written_details() -> Iterator[tuple[str, str]]:
    """Each name that stands in a literal of an event's details, with its place."""
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            tree = ast.parse(path.read_text())
            if not any(
                isinstance(node, ast.ImportFrom) and (node.module or "").startswith("audit.")
                for node in ast.walk(tree)
            ):
                continue
            for node in ast.walk(tree):
                if not isinstance(node, ast.Call | ast.AnnAssign | ast.FunctionDef):
                    continue
                for given in _details_of(node):
                    for name in given.keys:
                        if isinstance(name, ast.Constant):
                            yield f"{path.relative_to(ROOT)}:{given.lineno}", str(name.value)


def _details_of(node: ast.Call | ast.AnnAssign | ast.FunctionDef) -> Iterator[ast.Dict]:
    values: list[ast.expr | None]
    if isinstance(node, ast.AnnAssign):
        is_details = isinstance(node.annotation, ast.Name) and node.annotation.id == "EventDetails"
        values = [node.value] if is_details else []
    elif isinstance(node, ast.FunctionDef):
        is_details = isinstance(node.returns, ast.Name) and node.returns.id == "EventDetails"
        returned = [each.value for each in ast.walk(node) if isinstance(each, ast.Return)]
        values = returned if is_details else []
    else:
        values = [word.value for word in node.keywords if word.arg == "details"]
    for value in values:
        if value is not None:
            yield from (inner for inner in ast.walk(value) if isinstance(inner, ast.Dict))


def test_every_name_that_is_written_is_in_the_vocabulary_and_in_snake_case() -> None:
    written = list(written_details())
    assert len({place for place, _ in written}) > 30
    unknown = [(place, name) for place, name in written if name not in EventDetails.__annotations__]
    assert not unknown
    for name in EventDetails.__annotations__:
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name), name


def test_every_name_of_the_vocabulary_is_written_somewhere() -> None:
    code = "\n".join(path.read_text() for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    written = {name for _, name in written_details()}
    unused = [
        name
        for name in EventDetails.__annotations__
        if name not in written and f'details["{name}"] =' not in code
    ]
    assert not unused


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"supportId": "S-1", "attempts": 3}, {"support_id": "S-1", "attempts": 3}),
        ({"batchId": "b", "of": "u", "outcome": "duplicate"}, {"batch_id": "b", "duplicate_of": "u", "outcome": "duplicate"}),
        ({"outcome": 2, "reason": "550"}, {"outcome_number": 2, "reason": "550"}),
        ({"seconds": 1.5, "ended_by": "idle"}, {"seconds": 1.5, "reason": "idle"}),
        ({"messages": 3, "cause": "ops"}, {"messages": 3, "reason": "ops"}),
        ({}, {}),
    ],
)  # fmt: skip
def test_rows_of_earlier_releases_are_read_in_the_words_of_now(
    written: dict[str, object], read: dict[str, object]
) -> None:
    assert read_details(json.dumps(written)) == read
    assert read_details(json.dumps(read)) == read


async def test_an_upload_s_story_is_told_in_one_vocabulary(connection: Connection) -> None:
    await connection.execute(
        "insert into audit_events (event, upload_id, details) values ('notification_sent', 'u', '{\"outcome\": 1}')"
    )
    await record_event(connection, AuditEvent.NOTIFICATION_SENT, upload_id="u", details={"outcome_number": 2})
    events = await fetch_events_of_upload(connection, "u")
    assert [event.details for event in events] == [{"outcome_number": 1}, {"outcome_number": 2}]

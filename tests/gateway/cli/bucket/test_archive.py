"""`sftp-gateway archive`: old messages and events leave and come back, with the rights of the admin's role, and through kills."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from config.fault_points import VARIABLE
from config.settings import variable_of
from database.grants import DatabaseRole
from database.ranges import AUDIT_WIDTH

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database

MADE: Final = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
BATCH: Final = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
MESSAGE: Final = "message_0d9c31e2-4b7f-8c58-9a61-7e2000000002"
NAME: Final = "messages_to_4000000"
UPLOAD: Final = "upload_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
EVENTS: Final = f"audit_events_to_{AUDIT_WIDTH}"


@pytest.fixture
def ops(admin: "Call", url_of: Callable[[DatabaseRole], str], monkeypatch: pytest.MonkeyPatch) -> "Call":
    """The command line with the rights of the admin's role."""
    monkeypatch.setenv("SFTP_GATEWAY_DATABASE__URL", url_of(DatabaseRole.ADMIN))
    return admin


@pytest.fixture
def old(campaign_id: str, database: "Database") -> str:
    """A batch of March with a failure and a success, and numbers given out from the next range on; its id."""
    failed = {"status": 6, "error": "recipient_unavailable", "created_at": MADE, "updated_at": MADE}
    database.run("insert into senders (name, provider, rate) values ('public', 'simulator', 10)")
    [[lane]] = database.run(
        "insert into lanes (sender_id, campaign_id, priority) select id, $1, 2 from senders returning id",
        campaign_id,
    )
    database.insert_batch(
        campaign_id, BATCH, [{"attempts": [failed]}, {"attempts": [{**failed, "status": 5, "error": None}]}],
        created_at=MADE, taken_at=MADE, finished_at=MADE, lane_id=lane, cursor_row=3, failure=1, success=1,
    )  # fmt: skip
    database.run("select setval(pg_get_serial_sequence('batches', 'batch_no'), 4000000, false)")
    database.run("select add_message_ranges()")
    return BATCH


@pytest.fixture
def trail(campaign_id: str, database: "Database") -> str:
    """A campaign of March, a login of it and an upload, and ids given out from the next range on; the campaign's id."""
    database.run("update campaigns set created_at = $1", MADE)
    database.run("delete from audit_events")
    database.run(
        "insert into uploads (id, campaign_id, file_name, status, bytes, received_at, report_name)"
        " values ($1, $2, 'a.csv', 'received', 1, $3, 'r')",
        UPLOAD, campaign_id, MADE,
    )  # fmt: skip
    for event in ("login_accepted", "upload_received"):
        database.run(
            "insert into audit_events (at, event, campaign_id, upload_id, actor) values ($1, $2, $3, $4, 'SHA256:x')",
            MADE, event, campaign_id, UPLOAD,
        )  # fmt: skip
    database.run("select setval('audit_events_id_seq', $1, false)", AUDIT_WIDTH)
    database.run("select add_audit_ranges()")
    return campaign_id


def listed(ops: "Call") -> dict[str, Any]:
    answer = ops("archive", "list", "--json")
    assert answer.status == 0, answer.err
    return {document["name"]: document for document in answer.document}


def test_old_messages_leave_are_read_and_come_back(ops: "Call", old: str) -> None:
    before = ops("message", "show", MESSAGE, "--json").document
    dry = ops("archive", "run", "--before", "2026-04", "--dry-run")
    assert (dry.status, dry.out) == (0, f"{NAME} would be archived\n")
    assert (listed(ops)[NAME]["state"], listed(ops)[NAME]["firstAt"]) == ("ended", "2026-03-03T09:30:00.000Z")

    done = ops("archive", "run", "--before", "2026-04")
    assert done.status == 0, done.err
    assert done.out.startswith(f"{NAME} is archived: 2 messages, 2 attempts, ")
    found = listed(ops)[NAME]
    assert (found["state"], found["messages"], found["fromBatch"], found["beforeBatch"]) == (
        "archived",
        2,
        0,
        4_000_000,
    )
    table = ops("archive", "list").out
    assert "2026-03" in table
    assert found["archivedAt"][:10] + " " in table
    assert "archived" in table
    again = ops("archive", "run", "--before", "2026-04", "--json")
    assert (again.status, again.document) == (0, [])

    assert ops("message", "show", MESSAGE, "--json").document == {**before, "archive": NAME}
    assert f"archive restore {NAME}" in ops("message", "show", MESSAGE).out
    unknown = ops("message", "show", MESSAGE[:-1] + "7")
    assert (unknown.status, "there is no message" in unknown.err) == (1, True)
    for noun, identifier in (("message", MESSAGE), ("batch", BATCH)):
        retry = ops(noun, "retry", identifier)
        assert (retry.status, f"is archived in {NAME}" in retry.err) == (1, True)
    assert ops("batch", "show", BATCH, "--json").document["counts"]["failure"] == 1

    back = ops("archive", "restore", NAME)
    assert back.status == 0, back.err
    assert "2 messages, 2 attempts" in back.err
    assert listed(ops)[NAME]["state"] == "restored"
    assert ops("message", "show", MESSAGE, "--json").document == before
    assert ops("message", "retry", MESSAGE).status == 0


def test_old_events_leave_and_whoever_reads_the_trail_is_told(
    ops: "Call", trail: str, database: "Database"
) -> None:
    show = ("campaign", "show", trail, "--events")
    before = ops(*show, "--json").document
    timeline = ops("upload", "show", UPLOAD, "--json").document
    assert [each["event"] for each in before["events"]] == ["login_accepted"]
    assert len(timeline["timeline"]) == 2
    # What is said of messages stays said of messages.
    assert "no range ends before 2026-04" in ops("archive", "run", "--before", "2026-04").err
    run = ("archive", "run", "--before", "2026-04", "--kind", "audit_events")
    dry = ops(*run, "--dry-run")
    assert (dry.status, dry.out) == (0, f"{EVENTS} would be archived\n")
    done = ops(*run, "--json")
    assert (done.status, done.document[0].items() >= {"name": EVENTS, "events": 2, "files": 1}.items()) == (
        0,
        True,
    )
    found = listed(ops)[EVENTS]
    assert [found[key] for key in ("kind", "state", "events", "fromEvent", "beforeEvent")] == [
        "audit_events", "archived", 2, 0, AUDIT_WIDTH,
    ]  # fmt: skip

    cure = f"events of 2026-03-03 to 2026-03-03 are archived, in {EVENTS}: `sftp-gateway archive restore {EVENTS}`"
    for answer in (ops(*show), ops(*show, "--json")):
        assert f"not shown: {cure}" in answer.err
    assert "No login by SFTP is in the database" in ops(*show).err
    assert ops(*show, "--json").document == {**before, "events": [], "eventsArchivedIn": [EVENTS]}
    shown = ops("upload", "show", UPLOAD)
    assert f"steps of it may be missing: {cure}" in shown.err
    assert ops("upload", "show", UPLOAD, "--json").document == {
        **timeline, "timeline": [], "timelineArchivedIn": [EVENTS],
    }  # fmt: skip
    # As many as were asked for are shown, and what isn't is older: nobody is told of it.
    database.run(
        "insert into audit_events (event, campaign_id, actor) values ('login_accepted', $1, 'SHA256:x')",
        trail,
    )
    newest = ops(*show, "--limit", "1", "--json")
    assert (newest.err, len(newest.document["events"]), "eventsArchivedIn" in newest.document) == (
        "",
        1,
        False,
    )

    back = ops("archive", "restore", EVENTS)
    assert (back.status, f"{EVENTS} is in the database again: 2 audit events" in back.err) == (0, True)
    assert ops("upload", "show", UPLOAD, "--json").document == timeline


def test_what_stays_is_told_with_the_reason(ops: "Call", old: str, database: "Database") -> None:
    database.run("update batches set finished_at = now()")
    answer = ops("archive", "run", "--before", "2026-04")
    assert answer.status == 1
    assert answer.out == f"{NAME} stays in the database: {BATCH} had its end less than 90 days ago\n"
    stays = ops("archive", "run", "--before", "2026-04", "--dry-run", "--json").document
    assert stays == [
        {"name": NAME, "result": "stays", "reason": f"{BATCH} had its end less than 90 days ago"}
    ]
    assert "no range ends before 2026-03" in ops("archive", "run", "--before", "2026-03").err
    wrong = ops("archive", "run", "--before", "March")
    assert (wrong.status, "write it as 2026-07" in wrong.err) == (2, True)
    unknown = ops("archive", "restore", "messages_to_1")
    assert (unknown.status, "see `sftp-gateway archive list`" in unknown.err) == (1, True)


def test_check_tries_where_workers_archive(admin: "Call", monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> list[str]:
        return [each["name"] for each in admin("check", "--part", "worker", "--json").document["checks"]]

    assert "archives" not in names()
    for setting in ("retention.archive_after_months", "retention.archive_audit_after_months"):
        with monkeypatch.context() as environment:
            environment.setenv(variable_of(setting), "12")
            assert "archives" in names(), setting


def test_killed_anywhere_it_is_whole_at_each_moment_and_goes_on(
    ops: "Call", old: str, database: "Database", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    rows = "select m::text, a::text from messages m join attempts a using (batch_no, row_number) order by 1"
    before = [tuple(row) for row in database.run(rows)]
    shown = ops("message", "show", MESSAGE, "--json").document

    def die_at(point: str, *words: str) -> None:
        (tmp_path / point).touch()
        died = subprocess.run([sys.executable, "-m", "gateway", *words], check=False, timeout=60)
        assert died.returncode == -9, point
        document = ops("message", "show", MESSAGE, "--json").document
        assert {**shown, **document} == document, point
        assert ("archive" in document) == (database.run("select from messages") == []), point

    for point in ("archive.sealed", "archive.file_written", "archive.counted", "archive.archived"):
        die_at(point, "archive", "run", "--before", "2026-04")
    assert listed(ops)[NAME]["state"] == "archived"
    # Each call went on with what the one before it had done.
    assert database.run("select max(generation) from archives")[0][0] == 1
    die_at("restore.file_copied", "archive", "restore", NAME)
    assert f"{NAME} is being restored, or that was stopped" in ops("archive", "list").err
    die_at("restore.restored", "archive", "restore", NAME)
    assert "stopped" not in ops("archive", "list").err
    assert [tuple(row) for row in database.run(rows)] == before
    assert listed(ops)[NAME]["state"] == "restored"


def test_killed_when_events_have_left_they_are_there_and_come_back(
    ops: "Call", trail: str, database: "Database", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    rows = "select e::text from audit_events e where event not like 'range%' order by id"
    before = database.run(rows)
    words = ("archive", "run", "--before", "2026-04", "--kind", "audit_events")
    # The steps before are tried in tests/processing/archives, and killed in the test of messages, whose code is the same.
    (tmp_path / "archive.archived").touch()
    died = subprocess.run([sys.executable, "-m", "gateway", *words], check=False, timeout=60)
    assert (died.returncode, database.run(rows)) == (-9, [])
    assert (listed(ops)[EVENTS]["state"], listed(ops)[EVENTS]["events"]) == ("archived", 2)
    assert ops("archive", "restore", EVENTS).status == 0
    assert database.run(rows) == before

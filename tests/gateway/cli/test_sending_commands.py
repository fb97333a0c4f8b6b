"""What waits at each sender, and pauses that people make and lift."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sending.pauses import RESTORED

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database

AT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
BATCH = "batch_{}d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
KEYS = [
    "sender", "provider", "rate", "waiting", "underWay", "oldestWaitingAt", "pausedSince", "pausedBecause",
]  # fmt: skip


@pytest.fixture
def senders(database: "Database", campaign_id: str) -> None:
    """The public sender with a lane of the campaign, and one that nothing leaves by."""
    database.run(
        "insert into senders (name, provider, rate) values ('public', 'simulator', 100), ('MG1', 'twilio', 10)"
    )
    database.run(
        "insert into lanes (sender_id, campaign_id, priority) select id, $1, 2 from senders where name = 'public'",
        campaign_id,
    )


def status(admin: "Call") -> dict[str, dict[str, Any]]:
    answer = admin("sending", "status", "--json")
    assert answer.status == 0, answer.err
    assert all(list(sender) == KEYS for sender in answer.document)
    return {sender["sender"]: sender for sender in answer.document}


def test_the_status_counts_what_waits_and_since_when(
    admin: "Call", campaign_id: str, database: "Database", senders: None
) -> None:
    [lane] = database.run("select id from lanes")
    common: dict[str, Any] = {"lane_id": lane["id"], "taken_at": AT}

    def insert(number: int, **columns: object) -> None:
        made = AT + timedelta(hours=number)
        database.insert_batch(campaign_id, BATCH.format(number), [{}], **common, created_at=made, **columns)

    # A held one, one that has ended and one that is through don't wait.
    insert(0, total_messages=7, held_since=AT, held_because="upgrade")
    insert(1, total_messages=7, ended_at=AT, ended_because="stopped")
    insert(2, total_messages=4, success=4, finished_at=AT)
    insert(
        3,
        total_messages=40,
        waiting=True,
        retrying=1,
        enqueued=2,
        sending=3,
        sent=4,
        sent_to_telco=5,
        success=6,
    )
    insert(4, total_messages=10, waiting=True)
    assert status(admin) == {
        "public": {
            "sender": "public", "provider": "simulator", "rate": 100.0, "waiting": 32, "underWay": 12,
            "oldestWaitingAt": "2026-11-22T09:00:00.000Z", "pausedSince": None, "pausedBecause": None,
        },
        "MG1": {
            "sender": "MG1", "provider": "twilio", "rate": 10.0, "waiting": 0, "underWay": 0, "oldestWaitingAt": None,
            "pausedSince": None, "pausedBecause": None,
        },
    }  # fmt: skip
    assert "simulator" in admin("sending", "status").out
    # What a suspended campaign has left does not wait for its sender.
    admin("campaign", "suspend", campaign_id)
    assert (status(admin)["public"]["waiting"], status(admin)["public"]["oldestWaitingAt"]) == (0, None)


def test_a_sender_is_paused_and_resumed(admin: "Call", database: "Database", senders: None) -> None:
    assert admin("sending", "pause", "--sender", "public").status == 0
    found = status(admin)
    assert found["public"]["pausedBecause"] == "asked for"
    assert found["public"]["pausedSince"] is not None
    assert found["MG1"]["pausedSince"] is None
    answer = admin("sending", "resume", "--sender", "public")
    assert (answer.status, answer.err.strip()) == (0, "public sends again")
    assert status(admin)["public"]["pausedSince"] is None
    events = database.run(
        "select event, actor, details from audit_events where event like 'sending%' order by id"
    )
    assert [event["event"] for event in events] == ["sending_paused", "sending_resumed"]
    assert all(event["actor"] and "public" in event["details"] for event in events)


@pytest.mark.parametrize("words", [[], ["--all"]], ids=["without an option", "all"])
def test_all_senders_are_paused_and_resumed(
    admin: "Call", database: "Database", senders: None, words: list[str]
) -> None:
    database.run("update senders set paused_since = now(), paused_because = '20003' where name = 'MG1'")
    assert admin("sending", "pause", *words).status == 0
    assert [sender["pausedBecause"] for sender in status(admin).values()] == ["20003", "asked for"]
    assert admin("sending", "resume", *words).status == 0
    assert [sender["pausedSince"] for sender in status(admin).values()] == [None, None]
    assert "nothing of that was paused" in admin("sending", "resume", *words).err


def test_the_pause_of_a_restored_database_is_lifted_by_all_alone(
    admin: "Call", campaign_id: str, database: "Database", senders: None
) -> None:
    database.run("update senders set paused_since = now(), paused_because = $1", RESTORED)
    [lane] = database.run("select id from lanes")
    database.insert_batch(campaign_id, BATCH.format(0), [{}], lane_id=lane["id"], taken_at=AT, waiting=True)
    assert "sending resume --all" in admin("batch", "show", BATCH.format(0)).out
    for words in ([], ["--sender", "public"]):
        answer = admin("sending", "resume", *words)
        assert (answer.status, "sending resume --all" in answer.err) == (1, True)
        assert {sender["pausedBecause"] for sender in status(admin).values()} == {RESTORED}
    assert admin("sending", "resume", "--all").status == 0
    assert {sender["pausedSince"] for sender in status(admin).values()} == {None}


def test_a_pause_for_throttling_is_gone_once_its_time_has_come(
    admin: "Call", database: "Database", senders: None
) -> None:
    database.run(
        "update senders set paused_since = now(), paused_because = 'slow', paused_until = now() + '1 h'"
    )
    assert status(admin)["public"]["pausedBecause"] == "slow"
    database.run("update senders set paused_until = now() - interval '1 s'")
    assert status(admin)["public"]["pausedSince"] is None


def test_a_pause_that_people_asked_for_does_not_lift_itself(
    admin: "Call", database: "Database", senders: None
) -> None:
    database.run(
        "update senders set paused_since = now(), paused_because = 'slow', paused_until = now() + '1 h'"
    )
    assert admin("sending", "pause", "--sender", "public").status == 0
    [row] = database.run("select paused_because, paused_until from senders where name = 'public'")
    assert tuple(row) == ("asked for", None)


def test_a_campaign_is_paused_in_all_its_priorities(
    admin: "Call", campaign_id: str, database: "Database", senders: None
) -> None:
    assert admin("sending", "pause", "--campaign", campaign_id).status == 0
    rows = database.run("select priority from lanes where paused_since is not null order by priority")
    assert [row["priority"] for row in rows] == [0, 1, 2]
    assert status(admin)["public"]["pausedSince"] is None
    [lane] = database.run("select id from lanes where priority = 2")
    database.insert_batch(campaign_id, BATCH.format(0), [{}], lane_id=lane["id"], taken_at=AT, waiting=True)
    assert f"sending resume --campaign {campaign_id}" in admin("batch", "show", BATCH.format(0)).out
    answer = admin("sending", "resume", "--campaign", campaign_id)
    assert (answer.status, answer.err.strip()) == (0, f"{campaign_id} sends again")
    assert database.run("select 1 from lanes where paused_since is not null") == []


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_pause_of_what_is_not_there_is_refused(
    admin: "Call", campaign_id: str, database: "Database", senders: None, verb: str
) -> None:
    assert admin("sending", verb, "--sender", "MG9").status == 1
    assert admin("sending", verb, "--campaign", "nobody").status == 1
    for words in (["--all", "--sender", "public"], ["--campaign", campaign_id, "--sender", "public"]):
        answer = admin("sending", verb, *words)
        assert (answer.status, "one of --sender" in answer.err) == (2, True)


def test_without_senders_there_is_nothing_to_pause(admin: "Call", campaign_id: str) -> None:
    assert status(admin) == {}
    answer = admin("sending", "pause", "--campaign", campaign_id)
    assert (answer.status, "has no sender yet" in answer.err) == (1, True)

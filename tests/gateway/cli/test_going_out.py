"""From a file that is put to each message's last status, as the command line tells it: test environment, simulator."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from messages.statuses import MessageStatus
from tests.gateway.nodes import Node, wait_until
from tests.messages.seven_numbers import SEVEN_NUMBERS

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call

RANKS = {status.word: status for status in MessageStatus}


def test_twenty_rows_end_in_the_documented_statuses_and_only_move_up(
    start_node: Callable[..., Node], admin: "Call", tmp_path: Path
) -> None:
    node = start_node(SFTP_GATEWAY_SENDING__PROCESSES="1", SFTP_GATEWAY_SENDING__SIMULATOR__SECONDS="2")
    recipients = [*SEVEN_NUMBERS, *(f"65999999{number}" for number in range(10, 23))]
    path = tmp_path / "twenty.csv"
    path.write_text(
        "\n".join(["recipient,language,name", *(f"{each},english,Tan" for each in recipients), ""])
    )
    assert node.upload(path) == 0
    wait_until(lambda: bool(admin("batch", "list", "--json").document), "the batch")
    [batch] = admin("batch", "list", "--json").document
    messages = admin("message", "list", node.campaign, "--json").document
    assert sorted(message["recipient"] for message in messages) == sorted(recipients)
    seen = {message["id"]: [message["latestStatus"]] for message in messages}
    last = follow(admin, seen)
    for message in last.values():
        error = SEVEN_NUMBERS.get(message["recipient"])
        assert message["latestStatus"] == ("failure" if error else "success")
        [attempt] = message["attempts"]
        assert attempt.get("error", {}).get("code") == error
        assert attempt["sentAt"] >= attempt["createdAt"] >= message["createdAt"]
        assert (attempt["deliveredAt"] is None) == (error is not None)
        assert attempt.get("mayHaveArrived") == (False if error else None)
    wait_until(
        lambda: admin("batch", "show", batch["id"], "--json").document["counts"]["success"] == 13, "counts"
    )
    shown = admin("batch", "show", batch["id"], "--json").document
    assert shown["counts"]["failure"] == 7
    assert shown["errors"] == dict.fromkeys(SEVEN_NUMBERS.values(), 1)
    [unavailable] = [one["id"] for one in last.values() if one["recipient"] == "6511112222"]
    assert admin("message", "retry", unavailable).status == 0
    [again] = follow(admin, {unavailable: []}).values()
    assert [attempt["status"] for attempt in again["attempts"]] == ["failure", "failure"]
    assert again["attempts"][0]["createdAt"] > again["attempts"][1]["createdAt"]


def follow(admin: "Call", seen: dict[str, list[str]], timeout: float = 60) -> dict[str, Any]:
    """Poll each message until its last status; its document then. Its statuses are added to `seen`, and may only move up."""
    last: dict[str, Any] = {}
    deadline = time.monotonic() + timeout
    while len(last) < len(seen):
        assert time.monotonic() < deadline, "the messages have no last status"
        for identifier in seen.keys() - last.keys():
            document = admin("message", "show", identifier, "--json").document
            status = document["latestStatus"]
            assert document["attempts"][0]["status"] == status
            statuses = seen[identifier]
            assert not statuses or RANKS[status] >= RANKS[statuses[-1]], [*statuses, status]
            statuses.append(status)
            if status in ("success", "failure"):
                last[identifier] = document
    return last

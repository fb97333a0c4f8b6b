"""What must hold when nothing is left to send: counted at the provider, each attempt was sent once at most, and the database's
record of each is true."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from messages.statuses import ErrorCode, MessageStatus
from tests.chaos.sending.outgoing import Outgoing

_UNFINISHED: Final = "select count(*) from batches where finished_at is null"
_STEPS_DONE: Final = """
select coalesce(sum(4 * (success + failure) + 3 * sent_to_telco + 2 * sent + sending), 0) from batches
"""
ATTEMPTS: Final = """
select batch_no, row_number, attempt, status, error, raw_code, provider_id, may_have_arrived, expired from attempts
"""
MISSING: Final = """
select count(*) from messages m
where not exists (select from attempts a where a.batch_no = m.batch_no and a.row_number = m.row_number)
"""
WRONG_COUNTS: Final = """
select b.batch_no from batches b
cross join lateral (
    select count(*) filter (where status = 5) as success, count(*) filter (where status = 6) as failure, count(*) as all_of_them
    from (
        select distinct on (row_number) status from attempts a
        where a.batch_no = b.batch_no order by row_number, attempt desc
    ) last_ones
) a
where (b.success, b.failure, b.total_messages) <> (a.success, a.failure, a.all_of_them)
    or b.retrying + b.enqueued + b.sending + b.sent + b.sent_to_telco <> 0
"""
# What the provider said of a message, by the last status here and, of a failure, by our code.
_ENDS: Final = {
    ("delivered", None): (MessageStatus.SUCCESS, None),
    ("undelivered", 30003): (MessageStatus.FAILURE, ErrorCode.RECIPIENT_UNAVAILABLE),
    ("undelivered", 30008): (MessageStatus.FAILURE, ErrorCode.DELIVERY_UNKNOWN_ERROR),
}


@dataclass
class Inspection:
    """What was counted, and in `wrong` a line for each invariant that does not hold.

    `never_created` are attempts of which the look-ups proved that the provider never had them; `unknown` those of which nobody
    knows, and `adopted` those that had no answer and got their end by a receipt.
    """

    messages: int = 0
    attempts: int = 0
    created: int = 0
    delivered: int = 0
    failed: int = 0
    never_created: int = 0
    unknown: int = 0
    adopted: int = 0
    callbacks: int = 0
    twice: int = 0
    without_record: int = 0
    wrong: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raises AssertionError with everything that is wrong."""
        assert not self.wrong, "\n".join([f"{len(self.wrong)} invariants broken:", *self.wrong[:30]])


async def all_finished(outgoing: Outgoing, stall: float = 60) -> float:
    """Wait until each message has its last status, and return the seconds that took.

    Raises TimeoutError where nothing has moved for `stall` seconds.
    """
    began = changed = time.monotonic()
    most = -1
    while left := await outgoing.testbed.fetch_value(_UNFINISHED):
        done = await outgoing.testbed.fetch_value(_STEPS_DONE)
        if done > most:
            most, changed = done, time.monotonic()
        if time.monotonic() - changed > stall:
            message = f"{left} batches without an end, and nothing moved for {stall:.0f} s"
            raise TimeoutError(message)
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def inspect(outgoing: Outgoing) -> Inspection:
    """Compare the database with what the provider took."""
    record = await outgoing.tell("record")
    messages = await outgoing.tell("messages")
    attempts = {
        f"{row['batch_no']}-{row['row_number']}-{row['attempt']}": row
        for row in await outgoing.testbed.fetch(ATTEMPTS)
    }
    found = Inspection(
        messages=outgoing.rows,
        attempts=len(attempts),
        created=record["created"],
        callbacks=sum(record["callbacks"].values()),
    )
    twice = [key for key, times in record["attempts"].items() if times > 1]
    unknown = [key for key in record["attempts"] if key not in attempts]
    found.twice, found.without_record = len(twice), len(unknown)
    found.wrong += [f"attempt {key} was sent {record['attempts'][key]} times" for key in twice]
    found.wrong += [f"attempt {key} was sent and has no record" for key in unknown]
    if (
        len(messages) != record["created"]
        or record["attempts"].get("")
        or not all(m["attempt"] for m in messages)
    ):
        found.wrong.append("the provider has messages that name no attempt")
    found.wrong += _wrong_texts(messages)
    by_attempt = {message["attempt"]: message for message in messages}
    for key, row in attempts.items():
        found.wrong += _wrong_attempt(key, row, by_attempt.get(key), found)
    if missing := await outgoing.testbed.fetch_value(MISSING):
        found.wrong.append(f"{missing} messages never had an attempt")
    for row in await outgoing.testbed.fetch(WRONG_COUNTS):
        found.wrong.append(f"the counts of batch {row['batch_no']} are not those of its attempts")
    return found


def _wrong_texts(messages: list[dict[str, Any]]) -> list[str]:
    """No two rows have the same text, so a text comes as often as there are attempts of its row."""
    rows = {message["attempt"]: message["attempt"].rpartition("-")[0] for message in messages}
    texts = Counter(message["body"] for message in messages)
    of_row = {rows[message["attempt"]]: message["body"] for message in messages}
    attempts = Counter(rows.values())
    return [
        f"row {row} was sent {texts[text]} times by {attempts[row]} attempts"
        for row, text in of_row.items()
        if texts[text] != attempts[row]
    ]


def _wrong_attempt(
    key: str, row: asyncpg.Record, message: dict[str, Any] | None, found: Inspection
) -> list[str]:
    """What of an attempt's record is not as the provider's message says."""
    status = MessageStatus(row["status"])
    error = ErrorCode(row["error"]) if row["error"] else None
    if not status.is_terminal:
        return [f"attempt {key} is still {status.word}"]
    if message is None:
        found.never_created += 1
        proved = (MessageStatus.FAILURE, ErrorCode.SERVER_UNKNOWN_ERROR, False, False)
        if (status, error, row["may_have_arrived"], row["expired"]) != proved:
            return [f"attempt {key} never reached the provider and is {status.word} {error}"]
        return []
    found.delivered += status is MessageStatus.SUCCESS
    found.failed += status is MessageStatus.FAILURE
    expected = _ENDS.get((message["status"], message["error_code"]))
    if (status, error) != expected:
        return [f"attempt {key} is {status.word} {error}, and at the provider {message['status']}"]
    if row["provider_id"] != message["sid"]:
        return [f"attempt {key} has the id of another message of the provider"]
    return []

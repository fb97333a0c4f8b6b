"""What must hold when nothing is left to send through SMPP: each attempt was taken once at most, and its record is true.

A submission names no attempt, but each row has a number and a text of its own, and each submission an id, which its attempt has.
"""

import json
from collections import Counter, defaultdict
from typing import Any, Final

import asyncpg

from messages.statuses import ErrorCode, MessageStatus
from tests.chaos.sending.outgoing import Outgoing
from tests.chaos.sending.provider_record import ATTEMPTS, MISSING, WRONG_COUNTS, Inspection

_RECIPIENTS: Final = "select batch_no, row_number, recipient from messages"
# What is stored of receipts in the end: none is left that a message has missed.
_LEFT: Final = """
select count(*) from part_receipts r where exists (select from message_parts p where p.provider_id = r.provider_id)
"""
_Row = tuple[int, int]


async def inspect_aggregator(outgoing: Outgoing) -> Inspection:
    """Compare the database with what the aggregator took."""
    record = await outgoing.tell("record")
    taken = {message["id"]: message for message in await outgoing.tell("messages")}
    rows = {
        row["recipient"]: (row["batch_no"], row["row_number"])
        for row in await outgoing.testbed.fetch(_RECIPIENTS)
    }
    attempts: defaultdict[_Row, list[asyncpg.Record]] = defaultdict(list)
    for attempt in await outgoing.testbed.fetch(ATTEMPTS):
        attempts[attempt["batch_no"], attempt["row_number"]].append(attempt)
    found = Inspection(
        messages=outgoing.rows,
        attempts=sum(map(len, attempts.values())),
        created=record["created"],
        callbacks=record["acknowledged"],
        adopted=sum(_adopted(node.log.read_text()) for node in outgoing.nodes),
    )
    submissions = Counter(rows.get(message["recipient"]) for message in taken.values())
    for row, times in submissions.items():
        had = 0 if row is None else len(attempts[row])
        if not had:
            found.without_record += times
            found.wrong.append(f"{times} submissions of {row} have no record")
        elif times > had:
            found.twice += times - had
            found.wrong.append(f"row {row} was sent {times} times by {had} attempts")
    if len({message["text"] for message in taken.values()}) != len(submissions):
        found.wrong.append("messages have texts that aren't their rows' own")
    for row, of_row in attempts.items():
        found.wrong += _wrong_attempts(row, of_row, submissions[row], taken, rows, found)
    if missing := await outgoing.testbed.fetch_value(MISSING):
        found.wrong.append(f"{missing} messages never had an attempt")
    if left := await outgoing.testbed.fetch_value(_LEFT):
        found.wrong.append(f"{left} receipts weren't matched with their parts")
    for batch in await outgoing.testbed.fetch(WRONG_COUNTS):
        found.wrong.append(f"the counts of batch {batch['batch_no']} are not those of its attempts")
    return found


def _adopted(log: str) -> int:
    """How many receipts a node's senders gave to attempts without an answer, as they logged."""
    lines = [json.loads(line) for line in log.splitlines() if '"receipts_adopted"' in line]
    return sum(line["receipts"] for line in lines)


def _wrong_attempts(
    row: _Row,
    attempts: list[asyncpg.Record],
    submissions: int,
    taken: dict[str, dict[str, Any]],
    rows_of: dict[str, _Row],
    found: Inspection,
) -> list[str]:
    """What of a row's attempts is not as the aggregator's messages say."""
    wrong = []
    known = unknown = 0
    for attempt in attempts:
        where = f"attempt {row}-{attempt['attempt']}"
        status = MessageStatus(attempt["status"])
        error = ErrorCode(attempt["error"]) if attempt["error"] else None
        message = taken.get(attempt["provider_id"] or "")
        told_unknown = (MessageStatus.FAILURE, ErrorCode.MESSAGE_EXPIRED, True, True)
        if not status.is_terminal:
            wrong.append(f"{where} is still {status.word}")
        elif (status, error, attempt["may_have_arrived"], attempt["expired"]) == told_unknown:
            # Here that comes so soon that an answer, kept while the database was away, may find it so.
            unknown += 1
        elif message is None:
            wrong.append(f"{where} has no message at the aggregator and is {status.word} {error}")
        else:
            known += 1
            expected = (
                (MessageStatus.FAILURE, ErrorCode.RECIPIENT_UNAVAILABLE)
                if message["failed"]
                else (MessageStatus.SUCCESS, None)
            )
            if (status, error) != expected or rows_of[message["recipient"]] != row:
                wrong.append(f"{where} is {status.word} {error}, and at the aggregator {message}")
            found.delivered += status is MessageStatus.SUCCESS
            found.failed += status is MessageStatus.FAILURE
    found.unknown += unknown
    if not known <= submissions <= known + unknown:
        wrong.append(f"row {row} was sent {submissions} times, of which its attempts know {known}")
    return wrong

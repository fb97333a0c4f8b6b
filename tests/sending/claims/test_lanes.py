"""Which lanes have something that waits: the same whether a sender has few lanes or very many, looked for in other ways."""

import random

import pytest

from database.connections import Connection
from tests.sending.claiming import make_sender
from tests.sending.sending_node import add_batch, add_campaign

# By the definition alone, whatever it takes.
DEFINITION = """
select l.id from lanes l
where l.sender_id = $1 and (
    exists (select from batches b where b.lane_id = l.id and b.waiting)
    or exists (
        select from due d
        where d.sender_id = $1 and d.class = l.priority and d.campaign_id = l.campaign_id and d.at <= $2
    )
)
"""


@pytest.mark.parametrize("campaigns", [5, 30], ids=["few lanes", "many lanes"])
async def test_the_lanes_with_work_are_those_that_have_any(connection: Connection, campaigns: int) -> None:
    choice = random.Random(campaigns)
    senders = [await make_sender(connection), await make_sender(connection, name="own")]
    for number in range(campaigns):
        campaign_id = await add_campaign(connection, f"c-{number:02}")
        for sender_id in senders:
            # A campaign has lanes at one sender only: those of the other one are of another campaign.
            owner = (
                campaign_id if sender_id == senders[0] else await add_campaign(connection, f"o-{number:02}")
            )
            for priority in range(3):
                lane_id = await connection.fetchval(
                    "insert into lanes (sender_id, campaign_id, priority) values ($1, $2, $3) returning id",
                    sender_id, owner, priority,
                )  # fmt: skip
                batch_no = await add_batch(connection, owner, 1)
                await connection.execute(
                    "update batches set taken_at = now(), lane_id = $2, waiting = $3 where batch_no = $1",
                    batch_no, lane_id, choice.random() < 0.3,
                )  # fmt: skip
                if choice.random() < 0.4:
                    # Some of it is due later, some is a look-up (class 3), and some still names the sender of before.
                    await connection.execute(
                        "insert into due (at, sender_id, class, campaign_id, batch_no, row_number, attempt)"
                        " values (now() + make_interval(mins => $1), $2, $3, $4, $5, 2, 1)",
                        choice.choice((-1, 5)), choice.choice((sender_id, sender_id, *senders)),
                        choice.choice((priority, priority, 3)), owner, batch_no,
                    )  # fmt: skip
    moment = await connection.fetchval("select now()")
    for sender_id in senders:
        expected = sorted(row["id"] for row in await connection.fetch(DEFINITION, sender_id, moment))
        found = await connection.fetch("select id from lanes_with_work($1, $2)", sender_id, moment)
        assert sorted(row["id"] for row in found) == expected
        assert 0 < len(expected) < 3 * campaigns

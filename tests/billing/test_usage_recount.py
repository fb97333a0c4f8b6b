"""The recount of usage: it finds each total that isn't what the attempts come to, and one worker does it once a night."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing.recount import Difference, list_campaigns, recount_campaign, recount_tonights
from database.connections import Connection, Pool
from database.grants import DatabaseRole, grant_statements
from gateway.ops.backlog import fetch_backlogs
from gateway.ops.dependencies import Backlog
from messages.attempts import record_receipts
from messages.news import Receipt
from messages.statuses import ErrorCode, MessageStatus
from tests.messages.builders import FOREIGN, make_batch

SENDING, SENT_TO_TELCO, SUCCESS, FAILURE = (
    MessageStatus.SENDING,
    MessageStatus.SENT_TO_TELCO,
    MessageStatus.SUCCESS,
    MessageStatus.FAILURE,
)
RUNBOOK = Path(__file__).parents[2] / "docs" / "ops-runbook.md"
OCTOBER = datetime(2026, 10, 31, 15, 59, 30, tzinfo=UTC)
# Three in the morning of the 28th in Singapore.
THREE = datetime(2026, 11, 27, 19, tzinfo=UTC)


async def use(connection: Connection, campaign_id: str) -> int:
    """Two attempts abroad at the end of October and one at home in November, with outcomes; the first batch's number."""
    old = await make_batch(connection, campaign_id, [SENDING] * 3, recipient=FOREIGN, at=OCTOBER)
    news = [Receipt(old.key(2), SENT_TO_TELCO, at=OCTOBER), Receipt(old.key(3), SUCCESS, at=OCTOBER)]
    new = await make_batch(connection, campaign_id)
    await record_receipts(connection, [*news, Receipt(new.key(), SUCCESS)], now=THREE)
    return old.batch_no


async def test_a_recount_finds_nothing_where_totals_are_right_whatever_came_after_a_month_was_posted(
    connection: Connection, campaign_id: str
) -> None:
    batch_no = await use(connection, campaign_id)
    await connection.execute("insert into billing_months (month, posted_at) values ('2026-10-01', now())")
    rows = await connection.fetch("select * from attempts where batch_no = $1 order by row_number", batch_no)
    old = [row["row_number"] for row in rows]
    assert old == [2, 3, 4]
    batch = await make_batch(connection, campaign_id, at=OCTOBER)
    # Taken back, a first outcome, and one of a batch that had none: none of it is October's any more.
    await connection.execute(
        "update attempts set status = 6, error = 'delivery_unknown_error' where batch_no = $1 and row_number = 2",
        batch_no,
    )
    await connection.execute(
        "update attempts set status = 5 where batch_no = $1 and row_number = 4", batch_no
    )
    await record_receipts(
        connection, [Receipt(batch.key(), FAILURE, ErrorCode.RECIPIENT_UNAVAILABLE, at=OCTOBER)], now=THREE
    )
    assert await connection.fetchval("select count(*) from late_outcomes") == 3
    assert await recount_campaign(connection, campaign_id, now=THREE) == []


async def test_a_recount_names_each_total_that_differs(connection: Connection, campaign_id: str) -> None:
    await use(connection, campaign_id)
    await connection.execute("delete from usage_days where outcome = 'sent_to_telco'")
    await connection.execute("update usage_days set segments = segments + 7 where day < '2026-11-01'")
    await connection.execute(
        "insert into usage_days values ($1, '2026-11-02', 'local', 'message_expired', true, 'GSM-7', 2, 3),"
        " ($1, '2026-11-03', 'local', 'success', false, 'GSM-7', 0, 0)",
        campaign_id,
    )
    found = await recount_campaign(connection, campaign_id, now=THREE)
    day = datetime(2026, 10, 31, tzinfo=UTC).date()
    assert found == [
        Difference(campaign_id, day, "foreign", "sent_to_telco", False, "GSM-7", 0, 0, 1, 1),
        Difference(campaign_id, day, "foreign", "success", False, "GSM-7", 1, 8, 1, 1),
        Difference(
            campaign_id, day + timedelta(days=2), "local", "message_expired", True, "GSM-7", 2, 3, 0, 0
        ),
    ]


async def test_what_has_been_archived_counts_and_what_is_only_being_archived_does_not(
    connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    await connection.execute(
        "insert into archives (name, kind, begins, ends, state, first_at, last_at, sealed_at)"
        " select state, 'messages', n, n + 1, state, now(), now(), now()"
        " from unnest(array['archived', 'sealed', 'restored']) with ordinality s (state, n)"
    )
    # The later one comes first by where it went.
    await connection.execute(
        "insert into archived_usage select name, campaign, day::date, place, 'success', false, 'GSM-7',"
        " case campaign when $1 then 3 else 2 end, 6 from archives,"
        " unnest(array[$1, $2]) campaign, (values ('2026-10-30', 'local'), ('2026-10-31', 'foreign')) d (day, place)",
        campaign_id,
        other_campaign_id,
    )
    await connection.execute(
        "insert into usage_days select campaign_id, day, destination, outcome, own_expiry, encoding, attempts, segments"
        " from archived_usage where archive = 'archived' and campaign_id = $1",
        campaign_id,
    )
    assert await recount_campaign(connection, campaign_id, now=THREE) == []
    day = datetime(2026, 10, 31, tzinfo=UTC).date()
    assert await recount_campaign(connection, other_campaign_id, now=THREE) == [
        Difference(
            other_campaign_id, day - timedelta(days=1), "local", "success", False, "GSM-7", 0, 0, 2, 6
        ),
        Difference(other_campaign_id, day, "foreign", "success", False, "GSM-7", 0, 0, 2, 6),
    ]


async def test_what_the_runbook_says_sets_totals_right_but_those_of_posted_months(
    connection: Connection, campaign_id: str
) -> None:
    await use(connection, campaign_id)
    await connection.execute("insert into billing_months (month, posted_at) values ('2026-10-01', now())")
    await connection.execute("update usage_days set segments = segments + 7")
    await connection.execute(
        "insert into usage_days values ($1, '2026-11-02', 'local', 'success', false, 'UCS-2', 2, 3)",
        campaign_id,
    )
    assert len(await recount_campaign(connection, campaign_id, now=THREE)) == 4
    _, _, part = RUNBOOK.read_text().partition("### Totals that differ\n")
    statements = part.partition("```sql\n")[2].partition("```")[0]
    await connection.execute(statements.replace("CAMPAIGN", campaign_id))
    found = await recount_campaign(connection, campaign_id, now=THREE)
    assert [str(difference.day) for difference in found] == ["2026-10-31"] * 2


async def test_batches_that_an_upgrade_has_not_counted_yet_are_no_difference(
    connection: Connection, campaign_id: str
) -> None:
    batch_no = await use(connection, campaign_id)
    await connection.execute("update batches set usage_counted = false where batch_no = $1", batch_no)
    await connection.execute("delete from usage_days where day < '2026-11-01'")
    assert await recount_campaign(connection, campaign_id, now=THREE) == []


async def test_a_night_has_one_recount_by_whichever_worker_from_three_on(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    async def recount(now: datetime) -> list[str | None]:
        return await asyncio.gather(*(recount_tonights(pool, now=now, choose=choose) for _ in range(5)))

    offered: list[Sequence[str]] = []

    def choose(campaigns: Sequence[str]) -> str:
        offered.append(campaigns)
        return campaign_id

    # Nothing to recount yet.
    assert set(await recount(THREE)) == {None}
    for one in (campaign_id, other_campaign_id):
        await use(connection, one)
    before_three = THREE - timedelta(milliseconds=1)
    assert set(await recount(before_three)) == {None}
    for night in range(2):
        now = THREE + timedelta(days=night)
        assert sorted(map(str, await recount(now))) == ["None"] * 4 + [campaign_id]
        assert set(await recount(now + timedelta(hours=20))) == {None}
    assert offered == [sorted([campaign_id, other_campaign_id])] * 2


async def told(pool: Pool) -> dict[str, float]:
    """What the recount tells, by the part of its name after ``sftp_gateway_usage_``; other checks are left out."""
    families = await fetch_backlogs(pool, [Backlog.CHECKS])
    prefix = "sftp_gateway_usage_"
    return {
        family.name.removeprefix(prefix): family.samples[0].value
        for family in families
        if family.name.startswith(prefix)
    }


async def test_differences_are_told_until_a_recount_finds_them_gone(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    for one in (campaign_id, other_campaign_id):
        await use(connection, one)
    assert await told(pool) == {"differences": 0}
    await connection.execute(
        "update usage_days set attempts = attempts + 1 where campaign_id = $1", campaign_id
    )
    now = datetime.now(UTC)
    await recount_campaign(connection, campaign_id, now=now, night=now.date())
    await recount_campaign(connection, other_campaign_id, now=now)
    assert (await told(pool))["differences"] == 3
    await connection.execute(
        "update usage_days set attempts = attempts - 1 where campaign_id = $1", campaign_id
    )
    await recount_campaign(connection, campaign_id, now=now - timedelta(days=3))
    now_told = await told(pool)
    assert now_told["differences"] == 0
    assert now_told["checked_seconds"] >= timedelta(days=3).total_seconds()


@pytest.mark.parametrize("role", [DatabaseRole.WORKER, DatabaseRole.ADMIN])
async def test_who_recounts_need_not_be_let_read_messages(
    connection: Connection, campaign_id: str, role: DatabaseRole
) -> None:
    for one in DatabaseRole:
        if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", one):
            await connection.execute(f"create role {one} login")
    await connection.execute("\n".join(grant_statements()))
    await use(connection, campaign_id)
    await connection.execute("update usage_days set attempts = attempts + 1")
    await connection.execute(f"set role {role}")
    try:
        if role is DatabaseRole.ADMIN:
            assert await list_campaigns(connection) == [campaign_id]
        assert len(await recount_campaign(connection, campaign_id, now=THREE)) == 3
    finally:
        await connection.execute("reset role")

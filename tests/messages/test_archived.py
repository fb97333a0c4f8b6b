"""Archived messages aren't taken for such as never were: lists say which they leave out, reports and logs are refused."""

import io
from datetime import UTC, date, datetime, timedelta

import pytest

from campaigns.campaigns import fetch_known_campaign
from config.environment import Environment
from config.sections import BillingSettings
from database.connections import Connection, Pool
from messages.archived.ranges import fetch_archived, list_left_out
from messages.changes import retry_batch, retry_message
from messages.delivery_report import ReportFrame, read_csv_report, write_delivery_report
from messages.errors import BatchNotRetryable, MessageNotFound, MessageNotRetryable, MessagesArchived
from messages.identifiers import message_id
from messages.logs.charges import Charges
from messages.logs.rows import LogQuery, find_archive_of_log, read_log_csv
from messages.pages import Filters, Page, Scope, Towards, fetch_page, list_messages
from messages.retrieval import fetch_batch
from messages.statuses import MessageStatus
from tests.conftest import ADMIN
from tests.messages.builders import NOW, MadeBatch, archive_first_range, fill_campaign, make_batch

FAILURE, SUCCESS = MessageStatus.FAILURE, MessageStatus.SUCCESS
OLD = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)


async def make_old(connection: Connection, campaign_id: str) -> MadeBatch:
    """A batch that is archived then."""
    old = await make_batch(connection, campaign_id, [FAILURE, SUCCESS], at=OLD)
    await connection.execute(
        "update batches set finished_at = created_at + interval '1 day' where batch_no = $1", old.batch_no
    )
    return old


async def test_a_list_passes_over_what_is_archived_and_says_so_on_its_last_page(
    connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    old = await fill_campaign(connection, campaign_id, [1] * 30 + [5], at=OLD)
    name = await archive_first_range(connection)
    await fill_campaign(connection, campaign_id, [1] * 5, at=NOW, seed=2)
    scope = Scope(campaign_id)
    first = await fetch_page(connection, scope, limit=3)
    assert (len(first.messages), first.has_older, first.archives) == (3, True, ())
    last = await fetch_page(connection, scope, limit=3, place=first.last)
    assert (len(last.messages), last.has_older, last.has_newer, last.archives) == (2, False, True, (name,))
    back = await fetch_page(connection, scope, limit=3, place=last.first, towards=Towards.NEWER)
    assert (back.messages, back.archives) == (first.messages, ())
    assert len(await list_messages(connection, campaign_id, limit=50)) == 5
    filtered = Scope(campaign_id, filters=Filters(since=OLD + timedelta(days=1)))
    assert (await fetch_page(connection, filtered, limit=9)).archives == ()
    filtered = Scope(campaign_id, search="659", filters=Filters(until=OLD + timedelta(days=1)))
    assert await fetch_page(connection, filtered, limit=9) == Page([], archives=(name,))
    batch = await fetch_batch(connection, old[-1])
    assert await fetch_page(connection, Scope(campaign_id, batch), limit=9) == Page(archives=(name,))
    assert await list_left_out(connection, other_campaign_id) == ()


async def test_lists_begin_behind_what_is_archived_but_for_what_is_left_before_it(
    connection: Connection, campaign_id: str
) -> None:
    await make_old(connection, campaign_id)
    await archive_first_range(connection)
    archived = await fetch_archived(connection)
    assert (archived.floor, archived.numbers) == (OLD - timedelta(days=1), "{[0,4000000)}")
    # An older range was brought back, and lists must show it.
    await connection.execute("update archives set begins = 2000000")
    await connection.execute(
        "insert into batches (batch_no, id, campaign_id, original_file_name, total_messages) values (7, 'b', $1, '', 1)",
        campaign_id,
    )
    assert (await fetch_archived(connection)).floor < OLD - timedelta(days=999)


async def test_what_is_archived_is_retried_once_it_is_restored(
    connection: Connection, campaign_id: str
) -> None:
    old = await make_old(connection, campaign_id)
    name = await archive_first_range(connection)
    with pytest.raises(MessageNotRetryable, match=f"is archived in {name}"):
        await retry_message(connection, message_id(old.id, 2), max_retries=3, actor=ADMIN)
    with pytest.raises(BatchNotRetryable, match=f"is archived in {name}"):
        await retry_batch(connection, old.id, max_retries=3, actor=ADMIN)
    with pytest.raises(MessageNotFound):
        await retry_message(connection, message_id(old.id, 2), max_retries=3, actor=ADMIN, campaign_id="x")


async def test_a_delivery_report_that_would_be_empty_is_refused_at_whatever_moment_its_rows_left(
    connection: Connection, pool: Pool, campaign_id: str
) -> None:
    old = await make_old(connection, campaign_id)
    batch, campaign = (
        await fetch_batch(connection, old.id),
        await fetch_known_campaign(connection, campaign_id),
    )
    assert batch is not None

    async def frame() -> ReportFrame:
        return await ReportFrame.of_batch(
            connection, batch, campaign, Environment.TEST, BillingSettings(), key_name=""
        )

    before = await frame()
    await archive_first_range(connection)
    with pytest.raises(MessagesArchived):
        await frame()
    with pytest.raises(MessagesArchived):
        await write_delivery_report(
            connection, before, io.BytesIO(), form="csv", statuses=frozenset(MessageStatus)
        )
    with pytest.raises(MessagesArchived):
        _ = [piece async for piece in read_csv_report(pool.acquire, before)]


@pytest.mark.parametrize(
    ("first", "last", "of_batch", "is_refused"),
    [
        (date(2026, 3, 1), date(2026, 3, 31), False, True),
        (date(2026, 3, 4), date(2026, 3, 4), False, True),
        (date(2026, 3, 4), date(2026, 3, 4), True, True),
        # It had its end on the 4th.
        (date(2026, 3, 7), date(2026, 3, 31), False, False),
        (date(2026, 3, 7), date(2026, 3, 31), True, False),
        (date(2026, 2, 1), date(2026, 2, 25), False, False),
    ],
)
async def test_a_log_is_refused_that_would_lack_what_is_archived(
    connection: Connection,
    pool: Pool,
    campaign_id: str,
    first: date,
    last: date,
    of_batch: bool,
    is_refused: bool,
) -> None:
    old = await make_old(connection, campaign_id)
    name = await archive_first_range(connection)
    campaign = await fetch_known_campaign(connection, campaign_id)
    charges = await Charges.fetch(connection, campaign, BillingSettings(), Environment.TEST)
    query = LogQuery(campaign, charges, first, last, batch_no=old.batch_no if of_batch else None)
    assert await find_archive_of_log(connection, query) == (name if is_refused else None)
    if is_refused:
        with pytest.raises(MessagesArchived, match=name):
            _ = [piece async for piece in read_log_csv(pool.acquire, query)]
    else:
        assert sum([piece.rows async for piece in read_log_csv(pool.acquire, query)]) == 0


async def test_a_batch_that_took_long_is_missed_in_a_log_of_its_last_days(
    connection: Connection, campaign_id: str
) -> None:
    await make_old(connection, campaign_id)
    await connection.execute("update batches set finished_at = created_at + interval '40 days'")
    name = await archive_first_range(connection)
    campaign = await fetch_known_campaign(connection, campaign_id)
    charges = await Charges.fetch(connection, campaign, BillingSettings(), Environment.TEST)
    query = LogQuery(campaign, charges, date(2026, 4, 10), date(2026, 4, 30))
    assert await find_archive_of_log(connection, query) == name

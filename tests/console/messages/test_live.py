"""Streams of pages about messages: what they tell, and when they end; and pages of a large batch."""

from datetime import UTC, datetime

import pytest

from campaigns.people.members import set_member
from campaigns.people.permissions import Membership
from config.settings import Settings
from database.connections import Connection
from messages.attempts import record_receipts
from messages.identifiers import message_id
from messages.news import Receipt
from messages.statuses import ErrorCode, MessageStatus
from tests.console.live.streams import streaming
from tests.console.messages.sending import MASKED, add_batch, make_people, make_sending_campaign
from tests.console.served import OPS, browse, serving_console
from tests.messages.builders import MadeBatch, fill_campaign


async def fail(connection: Connection, batch: MadeBatch, row: int) -> None:
    now = datetime.now(UTC)
    receipt = Receipt(batch.key(row), MessageStatus.FAILURE, ErrorCode.ROUTING_ERROR, at=now)
    assert not (await record_receipts(connection, [receipt], now=now)).unmatched


async def test_each_page_is_told_what_becomes_of_what_it_shows(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id, (MessageStatus.SENT,) * 3)
    one = message_id(batch.id, 3)
    async with serving_console(settings) as port:
        member = await browse(connection, settings, port, people.member)
        ops = await browse(connection, settings, port, people.ops)
        async with (
            streaming(member, f"/messages/{one}/live") as message,
            streaming(member, f"/batches/{batch.id}/live") as figures,
            streaming(ops, f"/campaigns/{campaign_id}/live?status=sent") as masked,
        ):
            await message.rows_with("the provider has it")
            await figures.rows_with("3 pending, 0 failed")
            assert (await masked.rows_with(one)).data.count(MASKED) == 3
            await fail(connection, batch, 3)
            assert "Worth a retry: maybe" in (await message.rows_with("routing_error")).data
            await figures.rows_with("2 pending, 1 failed")
            event = await masked.rows_with("routing_error")
            # A row that fits no more is told what it is now; the others aren't told again, and nothing is unmasked.
            assert (event.data.count("<tr "), MASKED in event.data) == (1, True)
            assert "6591234567" not in event.data


@pytest.mark.parametrize(
    "page", ["/campaigns/{campaign}/live", "/batches/{batch}/live", "/messages/{message}/live"]
)
async def test_a_stream_ends_when_its_viewer_sees_less(
    settings: Settings, connection: Connection, page: str
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id)
    path = page.format(campaign=campaign_id, batch=batch.id, message=message_id(batch.id, 2))
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.member)
        async with streaming(browser, path) as events:
            await events.next("rows")
            async with connection.transaction():
                await set_member(
                    connection, campaign_id, people.member.email, Membership.RESTRICTED, actor=OPS
                )
            await events.next("gone")


async def test_a_page_of_a_large_batch_is_no_larger_than_any_other(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    (batch_id,) = await fill_campaign(connection, campaign_id, [100_000])
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.owner)
        cards = await browser.get(f"/campaigns/{campaign_id}/batches")
        assert "0 % of 100,000 messages" in cards.text
        for path in (f"/campaigns/{campaign_id}", f"/batches/{batch_id}"):
            page = await browser.get(path)
            assert page.body.count("<tr id=") == 100
            assert len(page.body) < 120_000
            older = await browser.get(dict(page.links)["Older messages"])
            assert older.body.count("<tr id=") == 100

"""Messages and batches in a real browser: what becomes of them is seen without a reload, and ops' pages are accessible, too."""

from datetime import UTC, datetime

from playwright.async_api import expect

from config.settings import Settings
from database.connections import Connection
from messages.attempts import record_receipts
from messages.identifiers import message_id
from messages.news import Receipt
from messages.statuses import MessageStatus
from tests.console.browser.chromium import accessibility_findings, is_too_wide, open_context
from tests.console.messages.sending import MASKED, add_batch, make_people, make_sending_campaign
from tests.console.served import serving_console, session_value
from tests.messages.builders import MadeBatch

PHONE = {"width": 390, "height": 844}


async def deliver(connection: Connection, batch: MadeBatch, *rows: int) -> None:
    """What the sending core does when receipts come."""
    now = datetime.now(UTC)
    receipts = [Receipt(key=batch.key(row), status=MessageStatus.SUCCESS, at=now) for row in rows]
    recorded = await record_receipts(connection, receipts, now=now)
    assert not recorded.unmatched


async def test_a_batch_moves_while_somebody_watches(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    sent = (MessageStatus.SENT,) * 5
    batch = await add_batch(connection, campaign_id, sent)
    async with serving_console(settings) as port:
        session = await session_value(connection, settings, people.member)
        async with open_context(chromium, port, session) as (context, _):
            page, cards, listing = [await context.new_page() for _ in range(3)]
            await page.goto(f"/batches/{batch.id}")
            await expect(page.get_by_text("Live", exact=True)).to_be_visible()
            await expect(page.get_by_role("img")).to_have_attribute(
                "aria-label", "0 delivered, 5 pending, 0 failed"
            )
            await deliver(connection, batch, 2, 3)
            await expect(page.get_by_role("img")).to_have_attribute(
                "aria-label", "2 delivered, 3 pending, 0 failed"
            )
            row = page.locator(f"#{message_id(batch.id, 3)}")
            await expect(row).to_contain_text("success")
            await expect(page.locator(f"#{message_id(batch.id, 4)}")).not_to_contain_text("success")
            await cards.goto(f"/campaigns/{campaign_id}/batches")
            await listing.goto(f"/campaigns/{campaign_id}")
            await expect(listing.locator("tbody tr")).to_have_count(5)
            await deliver(connection, batch, 4, 5, 6)
            newer = await add_batch(connection, campaign_id, sent[:1], file_name="newer.csv")
            # A page that nobody looks at has no stream: each is brought to the front.
            await cards.bring_to_front()
            await expect(cards.locator("li.card").first).to_contain_text("newer.csv")
            await expect(cards.locator(f"#card-{batch.id}")).to_contain_text("finished")
            await expect(
                cards.locator(f"#card-{newer.id}").get_by_role("button", name="Copy the batch id")
            ).to_be_visible()
            await listing.bring_to_front()
            await expect(listing.locator("tbody tr")).to_have_count(6)
            await expect(listing.locator("tbody tr").first).to_have_attribute("id", message_id(newer.id, 2))
            await expect(listing.locator(f"#{message_id(batch.id, 6)}")).to_contain_text("success")


async def test_pages_of_ops_are_accessible(chromium: str, settings: Settings, connection: Connection) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id, unclaimed=3)
    await connection.execute(
        "update batches set held_since = now(), held_because = 'stale', waiting = false where id = $1",
        batch.id,
    )
    async with serving_console(settings) as port:
        session = await session_value(connection, settings, people.ops)
        async with open_context(chromium, port, session, viewport=PHONE) as (context, _):
            page = await context.new_page()
            for path in (
                f"/campaigns/{campaign_id}",
                f"/batches/{batch.id}",
                f"/batches/{batch.id}/stop",
                f"/batches/{batch.id}/release",
                f"/messages/{message_id(batch.id, 2)}",
            ):
                await page.goto(path)
                assert not await accessibility_findings(page), path
                assert not await is_too_wide(page), path
            await expect(page.get_by_role("heading", name=f"Message to {MASKED}")).to_be_visible()
            await page.get_by_role("button", name="Show the number").click()
            await expect(page.get_by_role("heading", name="Message to 6591234567")).to_be_visible()
            assert not await accessibility_findings(page)

"""One message: previewed, warned about, refused where a file's row would be, and sent once."""

import asyncio
import json

from campaigns.campaigns import suspend_campaign
from config.settings import Settings
from database.connections import Connection
from rules.templates import Language
from tests.console.campaigns.making import make_campaign
from tests.console.served import OPS, Browser, Shown, browse, make_user, serving_console

GOOD = {"recipient": "65 9123 4567", "language": "english", "value-name": "Tan", "value-topic": "letter"}


async def post(browser: Browser, page: Shown, then: str, **fields: str) -> Shown:
    form_id = dict(page.form(page.path).fields)["form_id"]
    return await browser.post(page.path, {"form_id": form_id, "then": then, **GOOD, **fields})


async def test_a_message_is_sent_once_after_it_was_seen(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        page = await browser.get(f"/campaigns/{campaign_id}/send")
        assert dict(page.form(page.path).fields)["recipient"] == "65"
        assert page.body.index("Singapore (+65)") < page.body.index("Afghanistan (+93)")
        preview = await post(browser, page, "preview")
        assert "Dear Tan, your letter is ready." in preview.text
        # Header and footer take it over 160 characters.
        assert "2 segments (GSM-7), 31 characters" in preview.text
        assert "free: test environment (in production SGD 0.09 before GST)" in preview.text
        assert await connection.fetchval("select count(*) from batches") == 0
        # One of the two finds that the form was sent.
        answers = await asyncio.gather(*(post(browser, preview, "send") for _ in range(2)))
        assert {answer.status for answer in answers} == {200}
        row = await connection.fetchrow(
            'select b.kind, b.creator_id, m.recipient, m."values" from batches b join messages m using (batch_no)'
        )
        assert row is not None
        assert (row["kind"], row["creator_id"], row["recipient"]) == ("single", amy.id, "6591234567")
        assert json.loads(row["values"]) == {"name": "Tan", "topic": "letter"}
        assert await connection.fetchval("select count(*) from batches") == 1
        event = await connection.fetchrow(
            "select actor, details from audit_events where event = 'message_sent'"
        )
        assert event is not None
        assert (event["actor"], "6591234567" in event["details"]) == (amy.id, False)
        again = await post(browser, page, "preview")
        assert "sent to this number less than a minute ago" in again.text
        await connection.execute("update batches set created_at = created_at - interval '130 seconds'")
        assert "sent to this number 2 min ago" in (await post(browser, page, "preview")).text


async def test_two_tabs_write_to_a_number_twice_only_after_the_second_one_has_warned(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        path = f"/campaigns/{campaign_id}/send"
        tabs = [await post(browser, await browser.get(path), "preview") for _ in range(2)]
        assert not any("sent to this number" in tab.text for tab in tabs)
        assert (await browser.send(tabs[0], path, then="send")).status == 200
        refused = await browser.send(tabs[1], path, then="send")
        assert refused.status == 409
        assert "Nothing was sent by this click. This campaign sent to this number" in refused.text
        assert await connection.fetchval("select count(*) from batches") == 1
        # The first tab's button once more leads to its message, and sends nothing.
        assert (await browser.send(tabs[0], path, then="send")).status == 200
        # A warning of one number is none of another one.
        other = await browser.send(refused, path, then="send", recipient="6591234560")
        assert other.status == 200
        again = await browser.get(path)
        assert (
            await post(browser, again, "send", recipient="6591234560", warned_of="6591234567")
        ).status == 409
        assert await connection.fetchval("select count(*) from batches") == 2
        assert (await browser.send(refused, path, then="send", form_id="f" * 20)).status == 200
        assert await connection.fetchval("select count(*) from batches") == 3


async def test_what_a_row_of_a_file_may_not_say_is_refused_beside_its_field(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        page = await browser.get(f"/campaigns/{campaign_id}/send")
        hostile = "<script>alert(1)</script>"
        for fields, text in (
            ({"recipient": "+6591234567"}, "+"),
            ({"recipient": "65"}, "65"),
            ({"value-name": ""}, "name"),
            ({"value-name": "Tan\u2019s"}, "\u2019"),
            ({"value-topic": "x" * 1000}, "1,000"),
            ({"value-name": hostile, "recipient": hostile}, "alert(1)"),
        ):
            refused = await post(browser, page, "send", **fields)
            assert (refused.status, "There is a problem" in refused.text) == (422, True), fields
            assert text in refused.text, fields
            assert "<script>alert" not in refused.body
        long = await post(browser, page, "preview", **{"value-topic": "x" * 400})
        assert "more than 320 characters" in long.text
        too_long = await post(browser, page, "preview", **{"value-topic": "x" * 1001})
        assert 'value="send"' not in too_long.body
        async with connection.transaction():
            await suspend_campaign(connection, campaign_id, actor=OPS)
        assert (await post(browser, page, "send")).status == 409
        assert await connection.fetchval("select count(*) from batches") == 0


async def test_the_language_is_asked_for_only_where_there_are_several(
    settings: Settings, connection: Connection
) -> None:
    one = await make_campaign(connection, bodies={Language.ENGLISH: "The office is closed."}, name="One")
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        page = await browser.get(f"/campaigns/{one}/send")
        assert 'name="language"' not in page.body
        sent = await browser.send(page, page.path, then="send", recipient="6591234567")
        assert sent.status == 200
        assert await connection.fetchval("select language from messages") == "english"

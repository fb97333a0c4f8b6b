"""A file is checked, shown, and sent once, when its sender says so: all by forms without JavaScript."""

import asyncio
import re
from urllib.parse import unquote

import pytest

from campaigns.campaigns import resume_campaign, suspend_campaign
from campaigns.people.members import remove_member
from campaigns.people.permissions import Membership
from config.environment import Environment
from config.settings import Settings
from console.sending.texts import dearer_in_words
from database.connections import Connection
from processing.checked.counts import LETTERS, SEVERAL, Counts
from tests.console.campaigns.making import make_campaign, make_member
from tests.console.sending.uploading import BAD, GOOD, checked, send_file, until
from tests.console.served import OPS, browse, make_user, serving_console

with_worker = pytest.mark.usefixtures("worker")


async def made(connection: Connection) -> tuple[int, int]:
    row = await connection.fetchrow("select (select count(*) from batches), (select count(*) from messages)")
    assert row is not None
    return row[0], row[1]


@with_worker
async def test_a_file_is_sent_once_after_its_messages_and_their_price_were_shown(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        form = await browser.get(f"/campaigns/{campaign_id}/send-file")
        assert 'enctype="multipart/form-data"' in form.body
        shown = await checked(browser, campaign_id)
        # 3 local messages of 1, 2 and 1 segments and a foreign one: 4 × 46 + 230 mills.
        segments = await connection.fetchval("select checked -> 'counts' from uploads")
        local, foreign = (
            int(re.search(rf'"{name}_segments": (\d+)', segments)[1])  # type: ignore[index]
            for name in ("local", "foreign")
        )
        cents = (46 * local + 230 * foreign + 5) // 10
        assert f"4 messages, {local + foreign} segments" in shown.text
        assert f"in production SGD {cents // 100}.{cents % 100:02} before GST" in shown.text
        assert "1 row has a made-up number" in shown.text
        assert "1 number stands in several rows, 2 in all" in shown.text
        assert "Dear Tan, your letter is ready." in shown.text
        assert "\u9648您好" in shown.text
        assert await made(connection) == (0, 0)
        # Two clicks on the same button, and one of a page that was opened again.
        twice = shown.form(f"{shown.path.removesuffix('/check')}/send")
        again = (await browser.get(shown.path)).form(twice.action)
        answers = await asyncio.gather(
            *(browser.post(each.action, each.fields, follow=False) for each in (twice, twice, again))
        )
        assert {answer.location for answer in answers} == {shown.path}
        sent = await until(browser, shown.path, "4 messages were handed over")
        assert "/send" not in [form.action for form in sent.forms]
        assert await made(connection) == (1, 4)
        assert await connection.fetchval("select creator_id from batches") == amy.id
        late = await browser.post(again.action, [("form_id", "x" * 20)])
        assert ("were handed over" in late.text, await made(connection)) == (True, (1, 4))
        # The same file is a file of its own, and its page says that it was sent before.
        assert "The same file was sent before" in (await checked(browser, campaign_id)).text


@with_worker
async def test_the_same_file_in_two_tabs_is_sent_again_only_by_who_was_told_that_it_was_sent(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        tabs = [await checked(browser, campaign_id) for _ in range(2)]
        assert not any("The same file" in tab.text for tab in tabs)
        answers = await asyncio.gather(
            *(browser.send(tab, f"{tab.path.removesuffix('/check')}/send", follow=False) for tab in tabs)
        )
        assert sorted(answer.status for answer in answers) == [303, 409]
        sent, refused = sorted(answers, key=lambda answer: answer.status)
        assert "Nothing was sent by this click. The same file" in refused.text
        await until(browser, sent.location, "4 messages were handed over")
        assert await made(connection) == (1, 4)
        # The warning is on that page, and so is the button.
        again = await browser.send(refused, refused.path, follow=False)
        assert again.status == 303
        await until(browser, again.location, "4 messages were handed over")
        assert await made(connection) == (2, 8)


@with_worker
async def test_a_refused_file_says_why_and_the_corrected_one_goes_on_from_there(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        refused = await checked(browser, campaign_id, BAD, "faults in")
        assert "2 faults in 2 rows" in refused.text
        assert "remove the +" in refused.text
        assert any(form.action == f"/campaigns/{campaign_id}/send-file" for form in refused.forms)
        hostile = (
            b"recipient,language,name,topic\r\n6591234567,english,<img src=x onerror=alert(1)>,&amp;\r\n"
        )
        worse = await checked(browser, campaign_id, hostile, "fault")
        assert "<img" not in worse.body
        no_rows = await checked(browser, campaign_id, b"recipient,language,name\r\n", "can’t be sent")
        assert "topic" in no_rows.text
        assert await made(connection) == (0, 0)
        assert await connection.fetchval("select count(*) from notifications") == 0


async def test_only_csv_files_below_the_limit_with_honest_names_come_in(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    sftp = settings.sftp.model_copy(update={"max_upload_bytes": 200_000})
    settings = settings.model_copy(update={"sftp": sftp})
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        for name, content, status, text in (
            ("clinic.xlsx", GOOD, 422, "Only .csv files"),
            ("", GOOD, 422, "Choose a file first"),
            ("a\u202ecsv.csv", GOOD, 422, "rename the file"),
            ("n" * 300 + ".csv", GOOD, 422, "rename the file"),
            ("clinic.csv", b"x" * 200_000, 413, "divide it"),
            ("clinic.csv", b"x" * 300_000, 413, "divide it"),
        ):
            answer = await send_file(browser, campaign_id, content, name)
            assert (answer.status, text in answer.text) == (status, True), (name, answer.status)
        wrong = await browser.post(f"/campaigns/{campaign_id}/send-file", {"file": "x"})
        assert wrong.status == 415
        assert await connection.fetchval("select count(*) from uploads") == 0
        hostile = "<script>alert(1)</script>&'.csv"
        answer = await send_file(browser, campaign_id, name=hostile)
        shown = await browser.get(answer.location)
        assert "<script>alert" not in shown.body
        assert hostile in shown.text


async def test_a_second_click_while_the_file_comes_in_makes_no_second_upload(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        answers = await asyncio.gather(
            *(send_file(browser, campaign_id, form_id="the-same-form-of-one-page") for _ in range(2))
        )
        assert [answer.status for answer in answers] == [303, 303]
        assert len({answer.location for answer in answers}) == 1
        assert await connection.fetchval("select count(*) from uploads") == 1


@with_worker
async def test_a_file_is_there_for_its_sender_and_those_who_see_all_messages(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    people = {
        email: await make_member(connection, campaign_id, f"{email}@clinic.gov.sg", role)
        for email, role in (("raj", Membership.RESTRICTED), ("rex", Membership.RESTRICTED), ("mei", Membership.MEMBER))
    }  # fmt: skip
    async with serving_console(settings) as port:
        raj, rex, mei = [await browse(connection, settings, port, user) for user in people.values()]
        shown = await checked(raj, campaign_id)
        listing = f"/campaigns/{campaign_id}/send-file"
        assert "clinic.csv" in (await raj.get(listing)).text
        assert "clinic.csv" not in (await rex.get(listing)).text
        send = shown.path.removesuffix("/check") + "/send"
        assert (await rex.get(shown.path)).status == 404
        assert (await rex.post(send, {"form_id": "x" * 20})).status == 404
        await mei.send(await mei.get(shown.path), send)
        await until(mei, shown.path, "were handed over")
        # Who has said so is whose batch it is.
        assert await connection.fetchval("select creator_id from batches") == people["mei"].id


@with_worker
async def test_nothing_is_sent_that_was_forgotten_or_waited_too_long_or_whose_campaign_is_suspended(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        shown = await checked(browser, campaign_id)
        base = shown.path.removesuffix("/check")
        async with connection.transaction():
            await suspend_campaign(connection, campaign_id, actor=OPS)
        refused = await browser.send(shown, f"{base}/send")
        assert (refused.status, "suspended" in refused.text) == (409, True)
        assert "not active" in (await browser.get(shown.path)).text
        assert (await send_file(browser, campaign_id)).status == 422
        async with connection.transaction():
            await resume_campaign(connection, campaign_id, actor=OPS)
        await connection.execute("update uploads set checked_at = now() - interval '61 minutes'")
        late = await browser.send(shown, f"{base}/send")
        assert (late.status, "waited too long" in late.text) == (409, True)
        forgotten = await browser.send(shown, f"{base}/forget")
        assert "Nothing of it was sent" in forgotten.text
        assert "no longer kept" in (await browser.get(shown.path)).text
        assert await connection.fetchval("select object_key from uploads") is None
        assert "no longer kept" in (await browser.send(shown, f"{base}/send")).text
        assert await made(connection) == (0, 0)


async def test_who_is_no_member_any_more_sends_nothing(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    mei = await make_member(connection, campaign_id, "mei@clinic.gov.sg", Membership.MEMBER)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, mei)
        page = (await send_file(browser, campaign_id)).location
        assert "being checked" in (await browser.get(page)).text
        async with connection.transaction():
            await remove_member(connection, campaign_id, "mei@clinic.gov.sg", actor=OPS)
        send = page.removesuffix("/check") + "/send"
        assert (await browser.post(send, {"form_id": "x" * 20})).status == 404
        assert (await send_file(browser, campaign_id)).status == 404
        assert await connection.fetchval("select count(*) from uploads") == 1


@with_worker
async def test_in_production_the_button_names_the_sum(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    settings = settings.model_copy(update={"environment": Environment.PRODUCTION})
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        content = (
            b"recipient,language,name,topic\r\n6591234567,english,Tan,letter\r\n60123456789,english,Lim,x\r\n"
        )
        shown = await checked(browser, campaign_id, content)
        # The worker of these tests counts with the line that the test environment puts in front: two segments and one.
        assert "Send 2 messages, 3 segments, SGD 0.32" in shown.text
        assert "Dearer" not in shown.text
        dear = await checked(browser, campaign_id, content.replace(b"Lim", "Lāi".encode()))
        assert "Dearer than it could be: 1 message needs" in dear.text
        assert "because of ā (U+0101)" in dear.text


@with_worker
async def test_the_template_to_begin_with_is_good_itself(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection, name='Reminders "A/B" 提醒')
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, amy)
        sample = await browser.get(f"/campaigns/{campaign_id}/send-file/sample")
        saved_as = sample.headers["content-disposition"]
        assert unquote(saved_as.partition("UTF-8''")[2]) == "(sample) Reminders _A_B_ 提醒.csv"
        assert 'filename="(sample) Reminders _A_B_ __.csv"' in saved_as
        assert "1 message" in (await checked(browser, campaign_id, sample.body.encode())).text


def test_what_makes_messages_dearer_is_said_in_words() -> None:
    dearer = {
        "’": [1092, 1092, 1092], "ā": [1, 1, 0], "\u200b": [2, 3, 1], LETTERS: [1, 1, 1], SEVERAL: [5, 7, 0],
    }  # fmt: skip
    assert dearer_in_words(Counts(dearer=dearer)) == [
        "1,092 messages need a second segment because of ’ (U+2019)",
        "1 message needs 1 more segment because of ā (U+0101)",
        "2 messages need 3 more segments because of U+200B, zero width space",
        "1 message needs a second segment because of a letter of another script",
        "5 messages need 7 more segments because of several characters that GSM-7 doesn’t have",
    ]

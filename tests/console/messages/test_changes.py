"""What people ask of batches and messages: retries, once each; stop and release, by ops."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from config.environment import Environment
from config.settings import Settings
from database.connections import Connection
from messages.changes import count_retries, retry_batch
from messages.identifiers import message_id
from messages.statuses import MessageStatus
from rules.billing.periods import day_of
from tests.console.messages.sending import add_batch, events, make_people, make_sending_campaign
from tests.console.served import OPS, browse, serving_console
from tests.messages.builders import add_attempt, counted


async def test_a_batch_is_retried_once_however_often_it_is_clicked(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id)
    path = f"/batches/{batch.id}/retry"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.member)
        page = await browser.get(path)
        assert "2 messages of 6 will be sent again, 2 segments in all" in page.text
        assert "Free: test environment" in page.text
        # A page that has said fewer asks again.
        grown = await browser.send(page, path, shown="1 0")
        assert (grown.status, "look at the numbers again" in grown.text) == (409, True)
        assert not await events(connection, "batch_retried")
        answers = await asyncio.gather(*(browser.send(page, path, follow=False) for _ in range(3)))
        assert [(answer.status, answer.location) for answer in answers] == [(303, f"/batches/{batch.id}")] * 3
        shown = await browser.get(f"/batches/{batch.id}")
        assert "2 messages will be sent again." in shown.text
        assert [event["messages"] for event in await events(connection, "batch_retried")] == [2]
        assert (await counted(connection, batch.batch_no))[0][0] == 2
        # Another form meets messages that haven't begun: it is refused in words, and the batch says so from now on.
        refused = await browser.post(path, {"form_id": "another-form-of-this-page"})
        assert refused.status == 409
        assert "This batch has messages that haven't begun" in refused.text
        status = await connection.fetchval("select status from batches where id = $1", batch.id)
        assert status == "messages_enqueuing_failed"


@pytest.mark.parametrize("ended", [None, "expired", "stopped"])
async def test_what_a_retry_would_do_is_what_it_does(connection: Connection, ended: str | None) -> None:
    campaign_id = await make_sending_campaign(connection)
    batch = await add_batch(connection, campaign_id, unclaimed=4)
    await add_attempt(connection, batch, batch.key(4, 2), MessageStatus.FAILURE)
    await connection.execute(
        "update attempts set may_have_arrived = true where batch_no = $1 and row_number = 7", batch.batch_no
    )
    await connection.execute("update messages set recipient = '44' || recipient where row_number = 8")
    if ended:
        await connection.execute(
            "update batches set ended_at = $2, ended_because = $3, waiting = false where id = $1",
            batch.id, datetime.now(UTC), ended,
        )  # fmt: skip
    for limit in (1, 3):
        ahead = await count_retries(connection, batch.batch_no, max_retries=limit)
        never_left = 4 if ended == "expired" else 0
        assert (ahead.messages, ahead.at_limit) == (never_left + (2 if limit == 3 else 1), int(limit == 1))
        assert (ahead.segments, ahead.may_have_arrived) == (ahead.messages, 1)
        assert ahead.local_segments == ahead.segments - int(ended == "expired")
    ahead = await count_retries(connection, batch.batch_no, max_retries=3)
    assert await retry_batch(connection, batch.id, max_retries=3, actor=OPS) == ahead.messages


async def test_the_price_of_a_retry_is_told_where_messages_are_charged(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id)
    production = settings.model_copy(update={"environment": Environment.PRODUCTION})
    # What holds today, whatever held when they were sent, or will hold.
    today = day_of(datetime.now(UTC))
    for days, mills in ((-1, 61), (2, 900)):
        await connection.execute("insert into prices values ($1, $2, 300)", today + timedelta(days), mills)
    async with serving_console(production) as port:
        browser = await browse(connection, production, port, people.member)
        assert "SGD 0.12 before GST" in (await browser.get(f"/batches/{batch.id}/retry")).text
        assert "SGD 0.06 before GST" in (await browser.get(f"/messages/{message_id(batch.id, 4)}")).text


async def test_a_message_is_retried_or_refused_in_words(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id)
    path = f"/messages/{message_id(batch.id, 4)}"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.owner)
        page = await browser.get(path)
        for text in ("Dear Tan 3", "the phone was not connected to its network", "retry later", "GSM-7"):
            assert text in page.text
        done = await browser.send(page, f"{path}/retry")
        assert (done.status, done.path) == (200, path)
        assert "The message will be sent again." in done.text
        assert "Send it again" not in done.text
        # The same form leads there too, and does nothing more; another one is refused.
        assert (await browser.send(page, f"{path}/retry", follow=False)).location == path
        refused = await browser.post(f"{path}/retry", {"form_id": "y" * 20})
        assert (refused.status, "This message hasn't failed" in refused.text) == (409, True)
        assert len(await events(connection, "message_retried")) == 1
        # It fails again: a page from before its last try sends nothing, a new one does.
        await connection.execute(
            "update attempts set status = 6, error = 'recipient_unavailable' where batch_no = $1 and row_number = 4",
            batch.batch_no,
        )
        stale = await browser.post(f"{path}/retry", {"form_id": "s" * 20, "attempts": "1"})
        assert (stale.status, "sent again since this page was made" in stale.text) == (409, True)
        assert len(await events(connection, "message_retried")) == 1
        assert (await browser.send(stale, f"{path}/retry")).status == 200
        assert len(await events(connection, "message_retried")) == 2
        # Ops see what failed, and send nothing.
        browser = await browse(connection, settings, port, people.ops)
        assert "Send it again" not in (await browser.get(f"/messages/{message_id(batch.id, 7)}")).text
        assert (await browser.post(f"{path}/retry", {"form_id": "z" * 20})).status == 403
        assert (await browser.get(f"/batches/{batch.id}/retry")).status == 403


async def test_ops_stop_and_release_a_batch(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id, unclaimed=5)
    await connection.execute(
        "update batches set held_since = now(), held_because = 'stale', waiting = false where id = $1",
        batch.id,
    )
    path = f"/batches/{batch.id}"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.owner)
        page = await browser.get(path)
        assert "It is held. It could not begin within its time" in page.text
        assert {"Stop", "Release"}.isdisjoint(text for text, _ in page.links)
        assert (await browser.post(f"{path}/stop", {"form_id": "x" * 20})).status == 403
        assert (await browser.post(f"{path}/release", {"form_id": "x" * 20})).status == 403
        browser = await browse(connection, settings, port, people.ops)
        page = await browser.get(path)
        assert {"Stop", "Release"} <= {text for text, _ in page.links}
        released = await browser.send(await browser.get(f"{path}/release"), f"{path}/release")
        assert "The batch is released" in released.text
        refused = await browser.post(f"{path}/release", {"form_id": "r" * 20})
        assert (refused.status, "This batch is not held." in refused.text) == (409, True)
        asked = await browser.get(f"{path}/stop")
        assert "can't be undone" in asked.text
        stopped = await browser.send(asked, f"{path}/stop")
        assert "The batch is stopped: 5 messages will never leave." in stopped.text
        assert (
            len(await events(connection, "batch_stopped"))
            == len(await events(connection, "batch_released"))
            == 1
        )
        assert "5 stopped" in (await browser.get(path)).text


async def test_what_keeps_a_batch_is_said_without_commands(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id, unclaimed=5)
    await connection.execute("update senders set paused_since = now()")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.owner)
        for path in (f"/batches/{batch.id}", f"/campaigns/{campaign_id}/batches"):
            page = await browser.get(path)
            assert "Nobody knows when it will have left: its sender is paused (asked for)." in page.text
            assert "sftp-gateway" not in page.text
        await connection.execute("update senders set paused_since = null")
        assert "expected to leave by" in (await browser.get(f"/batches/{batch.id}")).text

"""What ops see of the whole: what waits, who sends and how fast, what came of it, who calls too often; and that it is live."""

from config.settings import Settings
from console.login.sessions import end_sessions
from database.connections import Connection
from messages.statuses import MessageStatus
from sending.pauses import ASKED_FOR, RESTORED
from tests.console.campaigns.making import make_campaign
from tests.console.live.streams import streaming
from tests.console.served import browse, make_user, serving_console
from tests.console.uploads.made import add_connected, add_upload
from tests.messages.builders import make_batch

FILE = (MessageStatus.SUCCESS, MessageStatus.SUCCESS, MessageStatus.FAILURE, MessageStatus.SENT)


async def test_the_overview_counts_what_there_is_and_follows_it(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection, name="<i>Reminders</i>")
    now = await connection.fetchval("select now()")
    batch = await make_batch(connection, campaign_id, FILE, unclaimed=1200, at=now)
    await connection.execute(
        "update senders set paused_since = now(), paused_because = '<b>asked for</b>' where id = $1",
        batch.sender_id,
    )
    await make_batch(connection, campaign_id, [MessageStatus.SUCCESS] * 2, at=now.replace(year=now.year - 1))
    single = await make_batch(connection, campaign_id, [MessageStatus.FAILURE], at=now)
    await connection.execute("update batches set kind = 'single' where id = $1", single.id)
    await add_upload(connection, campaign_id)
    await add_connected(connection, campaign_id)
    await connection.execute(
        "insert into api_uses (prefix, source_address, campaign_id, last_at, limited) values"
        " ('abcdefgh', '192.0.2.1', $1, now(), 30), ('abcdefgh', '192.0.2.2', $1, now(), 4)",
        campaign_id,
    )
    await connection.execute(
        "insert into pgqueuer (priority, entrypoint, status) values (0, 'verdict', 'queued')"
    )
    ops = await make_user(connection, "pat@tech.gov.sg", is_ops=True)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, ops)
        page = await browser.get("/ops")
        text = page.text
        assert "Messages that wait 1,200 oldest since" in text
        assert "Files without an outcome 1 oldest since" in text
        assert "Connected by SFTP 1 over all nodes" in text
        assert "public simulator 10 1,200 1" in text
        assert "paused <b>asked for</b>, since" in text
        assert "Files of the last 24 hours 1,204 2 0 1 1" in text
        assert "Single sends of the last hour 1 0 0 0 1" in text
        assert "<i>Reminders</i> 34" in text
        assert "Files by SFTP to be decided 1 0" in text
        assert "Console 1" in text
        assert "<i>" not in page.body
        assert "<b>" not in page.body
        async with streaming(browser, "/ops/live") as events:
            await events.rows_with("paused")
            await connection.execute("update senders set paused_since = null where id = $1", batch.sender_id)
            row = await events.rows_with("ops-senders")
            assert "sends" in row.data
            # Only what has changed is told again.
            assert "ops-limited" not in row.data
            async with connection.transaction():
                await end_sessions(connection, ops.id)
            assert (await events.next("gone")).data == "gone"


async def test_a_database_with_nothing_in_it_is_shown_in_words(
    settings: Settings, connection: Connection
) -> None:
    ops = await make_user(connection, "pat@tech.gov.sg", is_ops=True)
    async with serving_console(settings) as port:
        text = (await (await browse(connection, settings, port, ops)).get("/ops")).text
    for words in (
        "Messages that wait 0 nothing waits",
        "There are no senders yet",
        "Nothing is queued, and nothing is being worked on.",
        "No campaign has called too often within a week.",
    ):
        assert words in text


async def test_ops_pause_and_resume_but_not_what_was_restored(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    await make_batch(connection, campaign_id)
    ops = await make_user(connection, "pat@tech.gov.sg", is_ops=True)

    async def because() -> str | None:
        found: str | None = await connection.fetchval(
            "select paused_because from senders where name = 'public' and paused_since is not null"
        )
        return found

    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, ops)
        paused = await browser.send(await browser.get("/ops/senders"), "/ops/senders")
        assert "The sender public is paused" in paused.text
        assert await because() == ASKED_FOR
        resumed = await browser.send(paused, "/ops/senders")
        assert "The sender public is not paused any more." in resumed.text
        assert await because() is None
        everything = {"form_id": "e" * 20, "sender": ""}
        await browser.post("/ops/senders", {**everything, "do": "pause"})
        assert await because() == ASKED_FOR
        await connection.execute("update senders set paused_because = $1", RESTORED)
        refused = await browser.post("/ops/senders", {**everything, "form_id": "f" * 20, "do": "resume"})
        assert refused.status == 422
        assert "lifted at the command line alone" in refused.text
        assert await because() == RESTORED
        unknown = await browser.post("/ops/senders", {"form_id": "g" * 20, "sender": "no", "do": "pause"})
        assert unknown.status == 422
    events = await connection.fetch(
        "select event, actor from audit_events where event like 'sending_%' order by id"
    )
    assert [row["event"] for row in events] == ["sending_paused", "sending_resumed", "sending_paused"]
    assert {row["actor"] for row in events} == {ops.id}

"""Streams of real pages: whom they follow, when they end, and that nobody stays logged in by them."""

import asyncio
import contextlib

import pytest

from campaigns.campaigns import delete_campaign
from campaigns.people.members import remove_member, set_member
from campaigns.people.permissions import Membership
from campaigns.people.users import User
from config.settings import Settings
from console.live import hub as hub_module
from console.login.sessions import end_sessions
from database.connections import Connection
from tests.console.live.streams import streaming
from tests.console.served import OPS, browse, make_user, serving_console
from tests.console.uploads.made import add_upload


async def make_member(connection: Connection, campaign_id: str, role: Membership = Membership.MEMBER) -> User:
    user = await make_user(connection, "amy@clinic.gov.sg")
    async with connection.transaction():
        await set_member(connection, campaign_id, user.email, role, actor=OPS)
    return user


async def test_the_list_follows_what_its_viewer_sees(
    settings: Settings, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    user = await make_member(connection, campaign_id)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, user)
        headers = {"Last-Event-ID": "'; drop table uploads; --", "Accept-Encoding": "gzip"}
        async with (
            streaming(browser, "/uploads/stream", headers) as events,
            streaming(browser, "/uploads/stream?status=rejected") as rejected,
        ):
            assert "content-type: text/event-stream" in events.head
            assert "x-accel-buffering: no" in events.head
            assert "content-encoding" not in events.head
            await events.rows_with("Nobody is connected by SFTP")
            await add_upload(connection, other_campaign_id, "other.csv")
            upload_id = await add_upload(connection, campaign_id, "own.csv")
            event = await events.rows_with("own.csv")
            assert "other.csv" not in event.data
            assert "Received" in event.data
            await connection.execute(
                "update uploads set status = 'rejected', finished_at = now(), num_rows = 1, num_errors = 2 where id = $1",
                upload_id,
            )
            assert "2 errors in 1 row" in (await events.rows_with("Rejected")).data
            # What fits begins to be there, and what fits no more leaves.
            await rejected.rows_with("own.csv")
            await connection.execute("update uploads set withdrawn_at = now() where id = $1", upload_id)
            await rejected.rows_with('<template data-only=""></template>')


@pytest.mark.parametrize("end", ["session", "member", "campaign", "ops"])
async def test_streams_end_with_the_right_to_them(
    settings: Settings, connection: Connection, campaign_id: str, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    # Not only when they are looked at now and then.
    monkeypatch.setattr(hub_module, "_ALIVE_EVERY", 300.0)
    user = await make_member(connection, campaign_id)
    upload_id = await add_upload(connection, campaign_id)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, user)
        async with (
            streaming(browser, "/uploads/stream") as events,
            streaming(browser, f"/uploads/{upload_id}/stream") as one,
        ):
            await events.rows_with("file.csv")
            await one.rows_with("Timeline")
            async with connection.transaction():
                match end:
                    case "session":
                        await end_sessions(connection, user.id)
                    case "member":
                        await remove_member(connection, campaign_id, user.email, actor=OPS)
                    case "campaign":
                        await delete_campaign(connection, campaign_id, actor=OPS)
                    case _:
                        # More rights are other rights: the page is asked for anew.
                        await connection.execute("update users set is_ops = true where id = $1", user.id)
            for each in (events, one):
                await each.next("gone")
                await each.end()


async def test_an_open_stream_is_no_activity_and_needs_a_login(
    settings: Settings, connection: Connection, campaign_id: str
) -> None:
    user = await make_member(connection, campaign_id)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, user)
        await connection.execute("update console_sessions set last_active_at = now() - interval '5 minutes'")
        before = await connection.fetchval("select last_active_at from console_sessions")
        async with streaming(browser, "/uploads/stream") as events:
            await events.rows_with("Nobody")
        assert await connection.fetchval("select last_active_at from console_sessions") == before
        browser.cookies.clear()
        assert (await browser.get("/uploads/stream")).status == 403


async def test_a_stop_ends_streams_first(
    settings: Settings, connection: Connection, campaign_id: str
) -> None:
    user = await make_member(connection, campaign_id)
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(settings.console.drain_timeout):
        async with serving_console(settings) as port:
            browser = await browse(connection, settings, port, user)
            events = await stack.enter_async_context(streaming(browser, "/uploads/stream"))
            await events.rows_with("Nobody")
        await events.end()

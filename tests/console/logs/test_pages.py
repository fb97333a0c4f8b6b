"""The page of message logs: what is downloaded by whom, at once or made in the background; and who may have it then."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from campaigns.people.members import remove_member, set_member
from campaigns.people.permissions import Membership
from config.settings import Settings
from console.logs.pages import AT_ONCE
from console.technical.downloads import XLSX_TYPE, attachment
from database.connections import Connection, Pool
from database.job_queue import RunningJob
from messages.retrieval import fetch_batch
from messages.statuses import MessageStatus
from processing.exports.exports import MOST_UNFINISHED, Form, LogRequest, fetch_export, request_export
from processing.exports.job import ExportJob
from processing.object_store import S3ObjectStore, open_store
from tests.console.live.streams import streaming
from tests.console.messages.sending import (
    LOCAL,
    MASKED,
    add_batch,
    events,
    make_people,
    make_sending_campaign,
    set_values,
)
from tests.console.served import OPS, Shown, browse, serving_console
from tests.messages.builders import archive_first_range

DAYS: dict[str, Any] = {"from": "2026-11-01", "to": "2026-11-30"}


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[S3ObjectStore]:
    async with open_store(settings.s3) as opened:
        yield opened


def rows_of(shown: Shown) -> list[dict[str, str]]:
    assert (shown.status, shown.headers["content-type"]) == (200, "text/csv; charset=utf-8"), shown.text
    return list(csv.DictReader(io.StringIO(shown.body.removeprefix("\ufeff"), newline="")))


async def make_files(connection: Connection, pool: Pool, store: S3ObjectStore, settings: Settings) -> None:
    job = ExportJob(
        pool, store, settings.billing, settings.environment, kept_for=timedelta(days=7), is_stopping=lambda: False
    )  # fmt: skip
    for row in await connection.fetch("select id from log_exports where finished_at is null"):
        await job(RunningJob(row["id"], 0))


async def test_everybody_gets_what_they_may_see_and_each_download_is_written_down(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    theirs = await add_batch(connection, campaign_id, creator=people.member)
    own = await add_batch(
        connection, campaign_id, (MessageStatus.SUCCESS,), file_name='预约 "1".csv', creator=people.restricted
    )
    await set_values(connection, theirs, "=1+1")
    path = f"/campaigns/{campaign_id}/logs"
    async with serving_console(settings) as port:
        expected: dict[str, set[str]] = {}
        for user in (people.owner, people.member, people.pic, people.ops, people.restricted):
            browser = await browse(connection, settings, port, user)
            for place in (f"/campaigns/{campaign_id}", f"/campaigns/{campaign_id}/settings"):
                assert path in [link for _, link in (await browser.get(place)).links]
            page = await browser.get(path)
            assert "has an apostrophe in front" in page.text or "have an apostrophe in front" in page.text
            rows = rows_of(await browser.send(page, path, **DAYS))
            batches = {own.id} if user is people.restricted else {own.id, theirs.id}
            assert {row["batch id"] for row in rows} == batches
            assert {row["recipient"] for row in rows} == {MASKED if user is people.ops else LOCAL}
            assert ("name" in rows[0]) == (user is not people.ops)
            if user is people.owner:
                assert {row["name"] for row in rows} == {"'=1+1", "Tan 1"}
            expected[user.id] = batches
        told = await events(connection, "log_downloaded")
        assert [(event["actor"], event["masked"], event["own"]) for event in told] == [
            (user, user == people.ops.id, user == people.restricted.id) for user in expected
        ]
        assert told[0] == told[0] | {
            "form": "csv",
            "since": "2026-11-01",
            "until": "2026-11-30",
            "batch_id": None,
        }
        stranger = await browse(connection, settings, port, people.stranger)
        assert (await stranger.get(path)).status == 404
        restricted = await browse(connection, settings, port, people.restricted)
        assert (await restricted.get(f"{path}?batch={theirs.id}")).status == 404
        page = await restricted.get(f"{path}?batch={own.id}")
        shown = await restricted.send(page, path, batch=theirs.id)
        assert "There is no batch with this id" in shown.text
        shown = await restricted.send(page, path)
        assert [row["batch id"] for row in rows_of(shown)] == [own.id]
        stem = '预约 "1" 2026-11-'
        assert shown.headers["content-disposition"].startswith(
            attachment(stem)[: attachment(stem).index("2026")]
        )
        assert quote("预约") in shown.headers["content-disposition"]
        batch_page = await restricted.get(f"/batches/{own.id}")
        assert f"{path}?batch={own.id}" in [link for _, link in batch_page.links]
        book = await restricted.get(f"/batches/{own.id}/delivery-report.xlsx")
        assert (book.status, book.headers["content-type"], book.body[:2]) == (200, XLSX_TYPE, "PK")


async def test_what_is_chosen_is_in_the_file_and_what_is_wrong_is_told(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    await add_batch(connection, campaign_id)
    path = f"/campaigns/{campaign_id}/logs"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.member)
        page = await browser.get(path)
        rows = rows_of(await browser.send(page, path, statuses=["failure", "sent"], **DAYS))
        assert [row["status"] for row in rows] == ["failure", "sent", "failure"]
        rows = rows_of(await browser.send(page, path, error="recipient_unavailable", **DAYS))
        assert [row["error code"] for row in rows] == ["recipient_unavailable"] * 2
        assert (
            rows_of(await browser.send(page, path, **{**DAYS, "from": "2026-10-01", "to": "2026-10-31"}))
            == []
        )
        book = await browser.send(page, path, form="xlsx", **DAYS)
        assert (book.status, book.headers["content-type"], book.body[:2]) == (200, XLSX_TYPE, "PK")
        for fields, sentence in (
            ({"from": "1.11.2026"}, "Type a day, such as 2026-11-01."),
            ({"to": "2026-02-30"}, "Type a day, such as 2026-11-01."),
            ({"from": "2026-11-30", "to": "2026-11-01"}, "The last day is before the first one."),
            ({"from": "2025-11-01", "to": "2026-11-30"}, "Ask for 366 days at most."),
            ({"error": "none"}, "Choose an error of the list."),
            ({"form": "pdf"}, "Choose CSV or XLSX."),
            ({"batch": "batch_1"}, "There is no batch with this id in this campaign."),
        ):
            shown = await browser.send(page, path, **{**DAYS, **fields})
            assert (shown.status, sentence in shown.text) == (200, True), fields
            assert "There is a problem" in shown.text


async def test_a_large_log_is_made_in_the_background_for_whoever_still_may_see_it(
    settings: Settings, connection: Connection, pool: Pool, store: S3ObjectStore
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id, creator=people.restricted)
    await connection.execute("update batches set total_messages = $1", AT_ONCE[Form.XLSX] + 1)
    path = f"/campaigns/{campaign_id}/logs"
    async with serving_console(settings) as port:
        member = await browse(connection, settings, port, people.member)
        ops = await browse(connection, settings, port, people.ops)
        page = await member.get(path)
        shown = await member.send(page, path, form="xlsx", **DAYS)
        assert "You may close this page" in shown.text
        assert "0 of about 10,001 rows" in shown.text
        # The same form once more asks for nothing more.
        await member.send(page, path, form="xlsx", **DAYS)
        await ops.send(await ops.get(path), path, form="xlsx", **DAYS)
        asked = await connection.fetch("select id, user_id from log_exports order by requested_at")
        assert [row["user_id"] for row in asked] == [people.member.id, people.ops.id]
        file, masked = (f"/exports/{row['id']}" for row in asked)
        not_ready = await member.get(file)
        assert (not_ready.status, "is not ready" in not_ready.text) == (404, True)
        async with streaming(member, f"{path}/live") as stream:
            await stream.rows_with("being made")
            await make_files(connection, pool, store, settings)
            assert file in (await stream.rows_with("ready")).data
        page = await member.get(path)
        assert file in [link for _, link in page.links]
        assert masked not in [link for _, link in page.links]
        got = await member.get(file)
        assert (got.status, got.headers["content-type"], got.body[:2]) == (200, XLSX_TYPE, "PK")
        assert got.headers["content-disposition"] == attachment("Reminders 2026-11-01 to 2026-11-30.xlsx")
        # Another's file is none of mine, however much I see.
        owner = await browse(connection, settings, port, people.owner)
        assert (await owner.get(file)).status == 404
        assert (await member.get(masked)).status == 404
        assert (await ops.get(masked)).status == 200
        # Who sees less than the file shows doesn't get it any more.
        async with connection.transaction():
            await set_member(connection, campaign_id, people.member.email, Membership.RESTRICTED, actor=OPS)
        assert (await member.get(file)).status == 404
        async with connection.transaction():
            await set_member(connection, campaign_id, people.member.email, Membership.MEMBER, actor=OPS)
        assert (await member.get(file)).status == 200
        async with connection.transaction():
            await remove_member(connection, campaign_id, people.member.email, actor=OPS)
        assert (await member.get(file)).status == 404
        told = await events(connection, "log_downloaded")
        assert [event["actor"] for event in told] == [people.member.id, people.ops.id, people.member.id]
        assert told[0]["export_id"] == asked[0]["id"]
        assert len(await events(connection, "log_export_requested")) == 2
        await connection.execute("update log_exports set expires_at = now()")
        assert (await ops.get(masked)).status == 404
        known = await fetch_batch(connection, batch.id)
        assert known is not None
        report = await ops.get(f"/batches/{batch.id}/delivery-report.xlsx")
        assert (report.status, "at most 10,000 messages" in report.text) == (404, True)


async def test_nobody_has_many_files_made_at_once(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    await add_batch(connection, campaign_id, creator=people.restricted)
    await connection.execute("update batches set total_messages = $1", AT_ONCE[Form.CSV] + 1)
    path = f"/campaigns/{campaign_id}/logs"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.member)
        for _ in range(MOST_UNFINISHED):
            shown = await browser.send(await browser.get(path), path, **DAYS)
            assert "You may close this page" in shown.text
        shown = await browser.send(await browser.get(path), path, **DAYS)
        assert "10 files of yours are being made" in shown.text
        # Who sees only own messages isn't told how many others have sent: a log of the few that they have is there at once.
        await connection.execute("update batches set creator_id = $1", people.member.id)
        restricted = await browse(connection, settings, port, people.restricted)
        assert rows_of(await restricted.send(await restricted.get(path), path, **DAYS)) == []
    assert await connection.fetchval("select count(*) from log_exports") == MOST_UNFINISHED


def test_a_long_name_keeps_its_ending() -> None:
    assert attachment(f"{'x' * 200} 2026-11-01 to 2026-11-30.xlsx") == (
        f"attachment; filename=\"{'x' * 145}.xlsx\"; filename*=UTF-8''{'x' * 145}.xlsx"
    )
    assert attachment("/..") == "attachment; filename=\"_\"; filename*=UTF-8''_"


async def test_a_log_of_days_whose_messages_are_archived_is_refused(
    settings: Settings, connection: Connection, pool: Pool, store: S3ObjectStore
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    await add_batch(connection, campaign_id)
    path = f"/campaigns/{campaign_id}/logs"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.owner)
        # Asked for before, and made after it.
        request = LogRequest(date(2026, 11, 1), date(2026, 11, 30), Form.CSV)
        async with connection.transaction():
            export_id = await request_export(
                connection,
                campaign_id,
                people.owner.id,
                request,
                file_name="log.csv",
                rows_expected=1,
                kept_for=timedelta(days=7),
            )
        name = await archive_first_range(connection)
        shown = await browser.send(await browser.get(path), path, **DAYS)
        assert f"Messages of these days are archived, in {name}" in shown.text
        await make_files(connection, pool, store, settings)
        export = await fetch_export(connection, export_id)
        assert export is not None
        assert export.error is not None
        assert f"restore {name}" in export.error

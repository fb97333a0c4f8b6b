"""Every page in a real browser: accessible in both themes, no wider than a phone, and without a complaint of the browser."""

import json
import re
from datetime import UTC, date, datetime

from playwright.async_api import expect

from campaigns.campaigns import Channel
from campaigns.people.permissions import Membership
from config.environment import Environment
from config.settings import Settings
from console.campaigns.drafts import Draft, record_draft
from database.connections import Connection
from messages.identifiers import message_id
from processing.exports.exports import Form, LogRequest
from rules.billing.periods import Month, day_of
from rules.templates import Language
from tests.console.billing.posted import post, use
from tests.console.browser.chromium import findings_in_both_themes, is_too_wide, open_context
from tests.console.campaigns.making import make_campaign, make_member, make_pic
from tests.console.messages.sending import add_batch, make_sending_campaign
from tests.console.served import make_user, serving_console, session_value
from tests.console.uploads.made import add_connected, add_rejected, add_upload
from tests.messages.builders import NOW

PHONE = {"width": 390, "height": 844}


async def test_pages_are_accessible_and_fit_on_a_phone(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    staff_id = await make_campaign(connection, name="Staff", channel=Channel.INTERNAL)
    user = await make_user(connection, "amy@clinic.gov.sg")
    data = "recipient,language,name,topic\n+6591234567,english, Em,“x”\n6591234567,english,Em,x,more\n"
    upload_id = await add_rejected(
        connection, settings, campaign_id, data, "a_rather_long_name_of_a_file.csv"
    )
    await add_connected(connection, campaign_id)
    paths: tuple[str, ...] = (
        "/",
        "/account",
        "/help",
        "/help/sftp",
        "/help/api",
        "/help/statuses",
        "/help/reasons",
        "/calculator",
        "/calculator/file",
        f"/calculator/file?campaign={campaign_id}",
        "/account/confirm",
        f"/campaigns/{campaign_id}/settings",
        f"/campaigns/{campaign_id}/settings/integrations",
        f"/campaigns/{campaign_id}/settings/integrations/api-keys/new",
        f"/campaigns/{campaign_id}/settings/integrations/ssh-keys/new",
        f"/campaigns/{campaign_id}/settings/members",
        f"/campaigns/{campaign_id}/settings/members/owner",
        f"/campaigns/{campaign_id}/settings/delete",
        f"/campaigns/{campaign_id}/settings/account",
        f"/campaigns/{staff_id}/settings/account",
        "/billing",
        "/uploads",
        "/uploads?status=accepted",
        f"/uploads/{upload_id}",
        f"/campaigns/{campaign_id}/send",
        f"/campaigns/{campaign_id}/send-file",
        f"/uploads/{upload_id}/report",
        f"/uploads/{upload_id}/report?kind=value_whitespace&from=2-40",
    )
    draft = Draft("Results", channel=Channel.PUBLIC, bodies={Language.ENGLISH: "Dear {{name}} – 1½ [kg]"})
    draft_id = await record_draft(connection, user.id, draft)
    paths = (
        *paths,
        "/campaigns/new",
        *(f"/campaigns/new/{draft_id}/{step}" for step in ("name", "channel", "account", "content", "look")),
    )
    sending_id = await make_sending_campaign(connection)
    await make_member(connection, sending_id, user.email, Membership.OWNER)
    batch = await add_batch(connection, sending_id, file_name="a_rather_long_name_of_a_file.csv", unclaimed=2)
    paths = (
        *paths,
        f"/campaigns/{sending_id}",
        f"/campaigns/{sending_id}?search=x&status=failure",
        f"/campaigns/{sending_id}/batches",
        f"/batches/{batch.id}",
        f"/campaigns/{sending_id}/logs?batch={batch.id}",
        f"/batches/{batch.id}/retry",
        f"/messages/{message_id(batch.id, 2)}",
        f"/messages/{message_id(batch.id, 4)}",
    )
    request = LogRequest(date(2026, 11, 1), date(2026, 11, 30), Form.XLSX)
    for ended in (None, "ready", "failed"):
        await connection.execute(
            "insert into log_exports (id, campaign_id, user_id, query, file_name, rows_done, rows_expected, bytes, finished_at,"
            " error, expires_at) values ($1, $2, $3, $4, 'A rather long name of a campaign 2026-11-01 to 2026-11-30.xlsx',"
            " 20000, 60000, 5000000, $5, $6, now() + interval '7 days')",
            f"log-export_{ended}", sending_id, user.id, json.dumps(request.document()), ended and NOW,
            "The file could not be made." if ended == "failed" else None,
        )  # fmt: skip
    async with serving_console(settings) as port:
        async with open_context(chromium, port, viewport=PHONE) as (context, _):
            page = await context.new_page()
            await page.goto("/login")
            assert not await findings_in_both_themes(page)
            assert not await is_too_wide(page)
            await page.get_by_label("Your work e-mail address").fill("amy@clinic.gov.sg")
            await page.keyboard.press("Enter")
            await expect(page).to_have_title(re.compile("^Type the code"))
            assert not await findings_in_both_themes(page)
            assert not await is_too_wide(page)
        session = await session_value(connection, settings, user)
        async with open_context(chromium, port, session, viewport=PHONE) as (
            context,
            _,
        ):
            page = await context.new_page()
            for path in paths:
                answer = await page.goto(path)
                assert answer is not None
                assert answer.ok, path
                assert not await findings_in_both_themes(page), path
                assert not await is_too_wide(page), path


async def test_pages_of_ops_and_of_persons_in_charge_are_so_too(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    pic = await make_pic(connection)
    ops = await make_user(connection, "a-rather-long-name-of-somebody@operations.tech.gov.sg", is_ops=True)
    await connection.execute(
        "insert into console_banner (sentence, set_by) values ('Messages wait until noon.', $1)", ops.id
    )
    failed = await add_upload(connection, campaign_id, status="failed", object_key="originals/a")
    settings = settings.model_copy(update={"environment": Environment.PRODUCTION})
    lines = [(campaign_id, "local", 1388), (campaign_id, "foreign", 92)]
    for month, version in ((Month(2025, 10), 1), (Month(2025, 10), 2), (Month(2026, 1), 1)):
        await post(connection, str(pic.agency_id), month, lines, version=version)
    await use(connection, campaign_id, day_of(datetime.now(UTC)), 1204)
    paths = {
        ops: (
            f"/uploads/{failed}",
            f"/uploads/{failed}/retry",
            "/ops",
            "/ops/agencies",
            f"/ops/agencies/{pic.agency_id}",
            f"/ops/agencies/{pic.agency_id}/pics",
            "/ops/users",
            f"/ops/users/{ops.id}",
            f"/ops/users/{pic.id}/ops",
            f"/ops/campaigns/{campaign_id}",
            "/ops/audit",
            "/ops/banner",
            "/ops/senders",
            "/billing",
            f"/billing?agency={pic.agency_id}",
        ),
        pic: ("/agency", "/billing?period=2025", "/billing?search=zebra"),
    }
    async with serving_console(settings) as port:
        for user, theirs in paths.items():
            session = await session_value(connection, settings, user)
            async with open_context(chromium, port, session, viewport=PHONE) as (
                context,
                _,
            ):
                page = await context.new_page()
                for path in theirs:
                    answer = await page.goto(path)
                    assert answer is not None
                    assert answer.status == 200, path
                    assert not await findings_in_both_themes(page), path
                    assert not await is_too_wide(page), path

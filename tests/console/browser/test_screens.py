"""The pictures of the main pages in docs/screens, of pages as they are: in both themes, and on a phone.

`make screens` writes them there. A run of the tests makes them in a folder of its own, so that none can fail to be made.
"""

import os
import re
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from campaigns.campaigns import Channel
from campaigns.people.permissions import Membership
from config.environment import Environment
from config.settings import Settings
from console.campaigns.drafts import Draft, record_draft
from database.connections import Connection
from messages.identifiers import message_id
from messages.statuses import MessageStatus
from rules.billing.periods import Month, day_of
from rules.templates import Language
from tests.console.billing.posted import post, use
from tests.console.browser.chromium import open_context
from tests.console.campaigns.making import make_campaign, make_member
from tests.console.messages.sending import add_batch
from tests.console.served import make_user, serving_console, session_value
from tests.console.uploads.made import add_connected, add_rejected, add_upload
from tests.gateway.nodes import ROOT

DESK: dict[str, Any] = {"viewport": {"width": 1200, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5}
MOST_BYTES = 150_000
OWNER, OPS = "amy@clinic.gov.sg", "pat@tech.gov.sg"
FAULTY = (
    "recipient,language,name,topic\n6591234567,english,Emily Yeo,blood test\n+6598765432,english,James Tan,X-ray\n"
    "6587654321,english,Nur Aisyah,“full” check\n6581112222,tamil,Kavitha Nair,blood test\n6593334444,english,,X-ray\n"
)


async def make_pages(connection: Connection, settings: Settings) -> dict[str, str]:
    """A clinic's morning: some campaigns, files by all ways, a batch that is half out. Gives what is pictured, by its name."""
    campaign = await make_campaign(connection, name="Test results")
    for name in ("Appointment reminders", "Vaccination drive", "Opening hours"):
        await make_campaign(connection, name=name)
    owner = await make_member(connection, campaign, OWNER, Membership.OWNER)
    await make_user(connection, OPS, is_ops=True)
    waiting = (MessageStatus.SUCCESS,) * 85 + (MessageStatus.FAILURE,) * 4 + (MessageStatus.SENT,) * 31
    batch = await add_batch(connection, campaign, waiting, file_name="results-28-nov.csv", unclaimed=80)
    now = await connection.fetchval("select date_trunc('minute', now())")
    await connection.execute(
        "update batches set created_at = $2 where id = $1", batch.id, now - timedelta(minutes=4)
    )
    await connection.execute(
        "update attempts set created_at = $2, updated_at = $2, sent_at = sent_at + ($2 - created_at) where batch_no = $1",
        batch.batch_no, now - timedelta(minutes=3),
    )  # fmt: skip
    await connection.execute(
        "update messages set \"values\" = jsonb_build_object('name', 'Emily Yeo', 'topic', 'blood test') where batch_no = $1",
        batch.batch_no,
    )
    for number, (status, source) in enumerate(
        (
            ("accepted", "sftp"),
            ("accepted", "api"),
            ("failed", "sftp"),
            ("accepted", "sftp"),
            ("received", "sftp"),
        )
    ):
        await add_upload(
            connection, campaign, f"results-{20 + number}-nov.csv", status, source=source,
            received_at=now - timedelta(minutes=90 - 17 * number), bytes=48_000 + 7_000 * number,
        )  # fmt: skip
    upload = await add_rejected(
        connection, settings, campaign, FAULTY, "results-27-nov.csv", received_at=now - timedelta(minutes=11)
    )
    await add_connected(connection, campaign)
    month, end = Month(2025, 7), Month.of(day_of(now))
    while month < end:
        segments = 9000 + 700 * (month.month * 7 % 12)
        lines = [(campaign, "local", segments), (campaign, "foreign", segments // 12)]
        await post(connection, str(owner.agency_id), month, lines)
        month = month.next
    await use(connection, campaign, day_of(now), 7204)
    bodies = {
        Language.ENGLISH: "Dear {{name}}, your {{topic}} is ready. Call 6123 4567 from 8 am to 5 pm.",
        Language.CHINESE: "{{name}}您好，您的{{topic}}结果已出，请于上午8时至下午5时致电6123 4567。",
    }
    draft = await record_draft(
        connection, owner.id, Draft("Test results", channel=Channel.PUBLIC, bodies=bodies)
    )
    return {
        "campaigns": "/",
        "uploads": "/uploads",
        "report": f"/uploads/{upload}/report",
        "batch": f"/batches/{batch.id}",
        "message": f"/messages/{message_id(batch.id, 87)}",
        "compose": f"/campaigns/new/{draft}/content",
        "operations": "/ops",
        "billing": "/billing",
    }


# Each picture: the page, in which theme or on a phone, and who looks.
SCREENS = (
    ("campaigns", "light", OWNER),
    ("uploads", "light", OWNER),
    ("uploads", "dark", OWNER),
    ("uploads", "phone", OWNER),
    ("report", "light", OWNER),
    ("batch", "light", OWNER),
    ("batch", "phone", OWNER),
    ("message", "dark", OWNER),
    ("compose", "light", OWNER),
    ("operations", "dark", OPS),
    ("billing", "light", OWNER),
)
# Costs are those of production; all else is pictured as in the test environment.
IN_PRODUCTION = {"billing"}


async def test_each_picture_is_made(
    chromium: str, settings: Settings, connection: Connection, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("SCREENS") or tmp_path)
    paths = await make_pages(connection, settings)
    production = settings.model_copy(update={"environment": Environment.PRODUCTION})
    async with serving_console(settings) as test_port, serving_console(production) as production_port:
        for email, port in ((OWNER, test_port), (OPS, test_port), (OWNER, production_port)):
            user = await make_user(connection, email)
            session = await session_value(connection, settings, user)
            for form in ("light", "dark", "phone"):
                wanted = [
                    name
                    for name, its_form, whose in SCREENS
                    if (its_form, whose) == (form, email)
                    and (name in IN_PRODUCTION) == (port == production_port)
                ]
                if not wanted:
                    continue
                scheme = "dark" if form == "dark" else "light"
                options = {
                    **(PHONE if form == "phone" else DESK),
                    "color_scheme": scheme,
                    "reduced_motion": "reduce",
                }
                async with open_context(chromium, port, session, **options) as (context, _):
                    page = await context.new_page()
                    for name in wanted:
                        answer = await page.goto(paths[name])
                        assert answer is not None
                        assert answer.ok, name
                        if await page.locator("[data-live]").count():
                            await expect(page.locator("[data-live-word]")).to_have_text("Live")
                        await page.screenshot(path=folder / f"{name}-{form}.png")
    for name, form, _ in SCREENS:
        picture = (folder / f"{name}-{form}.png").read_bytes()
        width, height = struct.unpack(">II", picture[16:24])
        assert (width, height) == ((585, 1266) if form == "phone" else (1200, 800)), (name, form)


def test_the_guides_show_each_picture_which_is_small_and_no_other() -> None:
    shown = set()
    for guide in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]:
        shown |= set(re.findall(r"screens/([\w-]+\.png)", guide.read_text(encoding="utf-8")))
    pictures = list((ROOT / "docs" / "screens").glob("*"))
    assert all(picture.stat().st_size < MOST_BYTES for picture in pictures)
    there = {picture.name for picture in pictures}
    assert shown == there == {f"{name}-{form}.png" for name, form, _ in SCREENS}

"""The list of uploads: who sees what, what may be chosen, and how it is paged."""

import secrets
from datetime import UTC, datetime

from campaigns.people.agencies import find_agency
from campaigns.people.members import set_member
from campaigns.people.permissions import Membership
from campaigns.people.users import set_pic
from config.settings import Settings
from database.connections import Connection
from tests.console.served import OPS, Shown, browse, make_user, serving_console
from tests.console.uploads.made import add_upload


def files(shown: Shown) -> list[str]:
    """The names of the files on the page, from the top."""
    return [
        text
        for text, path in shown.links
        if path.startswith("/uploads/upload_") and not path.endswith("/report")
    ]


async def test_everybody_sees_what_is_theirs(
    settings: Settings, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    ops = await make_user(connection, "ops@tech.gov.sg", is_ops=True)
    member = await make_user(connection, "amy@clinic.gov.sg")
    restricted = await make_user(connection, "bob@clinic.gov.sg")
    stranger = await make_user(connection, "eve@elsewhere.gov.sg")
    pic = await make_user(connection, "pic@clinic.gov.sg")
    async with connection.transaction():
        await set_member(connection, campaign_id, member.email, Membership.MEMBER, actor=OPS)
        await set_member(connection, campaign_id, restricted.email, Membership.RESTRICTED, actor=OPS)
        await set_member(connection, other_campaign_id, restricted.email, Membership.MEMBER, actor=OPS)
        agency = await find_agency(connection, "default")
        await connection.execute("update users set agency_id = $2 where id = $1", pic.id, agency.id)
        await set_pic(connection, agency, pic.email, is_pic=True, actor=OPS)
    await add_upload(connection, campaign_id, "sftp.csv", "accepted")
    await add_upload(
        connection, campaign_id, "own.csv", source="console", creator_id=restricted.id, sha256=None
    )
    await add_upload(
        connection, campaign_id, "member.csv", source="console", creator_id=member.id, sha256=None
    )
    await add_upload(connection, other_campaign_id, "other.csv", "rejected")
    async with serving_console(settings) as port:
        for user, seen in (
            (ops, ["other.csv", "member.csv", "own.csv", "sftp.csv"]),
            (pic, ["other.csv", "member.csv", "own.csv", "sftp.csv"]),
            (member, ["member.csv", "own.csv", "sftp.csv"]),
            (restricted, ["other.csv", "own.csv"]),
            (stranger, []),
        ):
            browser = await browse(connection, settings, port, user)
            shown = await browser.get("/uploads")
            assert (files(shown), shown.status) == (seen, 200), user.email
            narrowed = await browser.get(f"/uploads?campaign={campaign_id}")
            assert files(narrowed) == [name for name in seen if name != "other.csv"], user.email
        browser = await browse(connection, settings, port, stranger)
        assert "Nothing has been uploaded yet" in (await browser.get("/uploads")).text
        # A deleted one is there for ops and the PIC alone.
        await connection.execute("update campaigns set status = 'deleted' where id = $1", other_campaign_id)
        for user, count in ((ops, 4), (pic, 4), (restricted, 1)):
            browser = await browse(connection, settings, port, user)
            assert len(files(await browser.get("/uploads"))) == count


async def test_uploads_are_chosen_by_status_way_and_day(
    settings: Settings, connection: Connection, campaign_id: str
) -> None:
    ops = await make_user(connection, "ops@tech.gov.sg", is_ops=True)
    late = datetime(2026, 11, 27, 15, 59, tzinfo=UTC)
    await add_upload(
        connection, campaign_id, "a.csv", "accepted", received_at=datetime(2026, 11, 27, 16, tzinfo=UTC)
    )
    await add_upload(connection, campaign_id, "b.csv", "rejected", received_at=late)
    await add_upload(connection, campaign_id, "c.csv", "failed", withdrawn_at=late, source="api", sha256=None)
    await add_upload(
        connection, campaign_id, "d.csv", "failed", checked_at=late, checked={}, source="console", sha256=None
    )
    await add_upload(connection, campaign_id, "e.csv", "failed")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, ops)
        for query, names, word in (
            ("status=accepted", ["a.csv"], "1,204 messages"),
            ("status=rejected", ["b.csv"], "12 errors in 9 rows"),
            ("status=withdrawn", ["c.csv"], "Withdrawn"),
            ("status=checked", ["d.csv"], "Checked, not sent"),
            ("status=failed", ["e.csv"], "S-0123456789AB"),
            ("way=api", ["c.csv"], "API"),
            ("way=console", ["d.csv"], "Console"),
            ("since=2026-11-28", ["a.csv"], "28 Nov 2026, 00:00:00 SGT"),
            ("since=2026-11-27&until=2026-11-27", ["b.csv"], "27 Nov 2026, 23:59:00 SGT"),
            ("campaign=nothing", [], "No upload is like that"),
            ("status=accepted%00", ["a.csv"], "Accepted"),
        ):
            shown = await browser.get(f"/uploads?{query}")
            assert (files(shown), word in shown.text) == (names, True), query
        wrong = await browser.get("/uploads?since=yesterday")
        assert "There is a problem" in wrong.text
        assert len(files(wrong)) == 5
        assert "Clinic reminders" in (await browser.get("/uploads?campaign=nothing")).text
        # More campaigns than a list can hold are named by their id.
        await connection.execute(
            "insert into campaigns (id, name, header, notify_email, creator_id, agency_id) select 'many_' || n, 'Many', header,"
            " notify_email, creator_id, agency_id from campaigns, generate_series(1, 200) n"
        )
        many = await browser.get("/uploads?campaign=many_1")
        assert ("Campaign id" in many.text, files(many)) == (True, [])


async def test_pages_of_a_hundred_follow_each_other_and_are_small(
    settings: Settings, connection: Connection, campaign_id: str
) -> None:
    ops = await make_user(connection, "ops@tech.gov.sg", is_ops=True)
    for number in range(203):
        name = f"appointments_{number}_{secrets.token_hex(12)}.csv"
        await add_upload(
            connection, campaign_id, name, ("accepted", "rejected", "failed", "received")[number % 4]
        )
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, ops)
        seen: list[str] = []
        path = "/uploads"
        for count in (100, 100, 3):
            shown = await browser.get(path)
            assert len(files(shown)) == count
            seen += files(shown)
            path = next((link for text, link in shown.links if text == "Older uploads"), "")
        assert path == ""
        assert len(set(seen)) == 203
        assert [int(name.split("_")[1]) for name in seen] == sorted(range(203), reverse=True)
        # Over the wire, as a browser asks for it.
        zipped = await browser.say("GET", "/uploads", headers={"Accept-Encoding": "gzip"})
        assert zipped.headers["content-encoding"] == "gzip"
        assert int(zipped.headers["content-length"]) < 60_000


async def test_names_of_files_and_campaigns_are_text(
    settings: Settings, connection: Connection, campaign_id: str
) -> None:
    ops = await make_user(connection, "ops@tech.gov.sg", is_ops=True)
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>.csv"
    await connection.execute("update campaigns set name = $2 where id = $1", campaign_id, evil)
    await add_upload(connection, campaign_id, evil, "rejected", error_reason=evil)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, ops)
        shown = await browser.get("/uploads")
        assert "<script>alert" not in shown.body
        assert "<img src" not in shown.body
        assert files(shown) == [evil]

"""Agencies and their people by pages: what ops and persons in charge change, and what stays shut for the others."""

import json
from datetime import UTC, datetime

from campaigns.campaigns import Channel
from campaigns.people.permissions import Membership
from config.environment import Environment
from config.settings import Settings
from database.connections import Connection
from rules.billing.periods import Month, day_of
from tests.console.billing.posted import agency_of, post, use
from tests.console.campaigns.making import make_campaign, make_member, make_pic
from tests.console.served import browse, make_user, serving_console


async def details_of(connection: Connection, event: str) -> dict[str, object]:
    """Those of the newest event of this name, with its actor and source address."""
    row = await connection.fetchrow(
        "select actor, host(source_address) as source_address, details from audit_events where event = $1"
        " order by id desc limit 1",
        event,
    )
    assert row is not None, event
    found = {"actor": row["actor"], "source_address": row["source_address"], **json.loads(row["details"])}
    return {name: value for name, value in found.items() if name != "member_only"}


async def test_ops_add_an_agency_put_somebody_in_charge_and_that_one_lets_others_create(
    settings: Settings, connection: Connection
) -> None:
    ops = await make_user(connection, "pat@tech.gov.sg", is_ops=True)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, ops)
        agencies = await browser.get("/ops/agencies")
        refused = await browser.send(agencies, "/ops/agencies", name="Parks", domains="parks.example")
        assert refused.status == 422
        assert "is not below gov.sg, so that its people can only be members" in refused.text
        assert "--" not in refused.text
        assert "sftp-gateway" not in refused.text
        shown = await browser.send(
            refused, "/ops/agencies", name="Parks", domains="parks.gov.sg trees.gov.sg"
        )
        assert shown.title == "Parks"
        assert "The agency Parks is there now." in shown.text
        agency_id = shown.path.rpartition("/")[2]
        assert (await details_of(connection, "agency_added"))["actor"] == ops.id

        pics = await browser.get(f"{shown.path}/pics")
        wrong = await browser.send(
            pics, shown.path, email="pia@parks.gov.sg", reference="Mr Tan Ah Kow said so"
        )
        assert wrong.status == 422
        assert "Give the reference of the CIO" in wrong.text
        stranger = await browser.send(pics, shown.path, email="eve@example.com", reference="CIO/2026/7")
        assert "give its agency the domain first" in stranger.text
        shown = await browser.send(pics, shown.path, email="Pia@parks.gov.sg", reference="CIO/2026/7")
        assert "pia@parks.gov.sg is in charge of Parks now." in shown.text
        changed = await details_of(connection, "user_pic_changed")
        assert (changed["reference"], changed["given"], changed["source_address"]) == (
            "CIO/2026/7",
            True,
            "127.0.0.1",
        )
        assert "pia" not in str(changed)

        pia = await make_user(connection, "pia@parks.gov.sg")
        hers = await browse(connection, settings, port, pia)
        page = await hers.get("/agency")
        assert page.title == "Parks"
        assert [link for link in page.links if link[0] in {"Agency", "Operations"}] == [("Agency", "/agency")]
        assert ("Operations", "/ops") in agencies.links
        assert ("Agency", "/agency") not in agencies.links
        page = await hers.send(page, "/agency", email="ben@trees.gov.sg")
        assert "ben@trees.gov.sg may create campaigns now." in page.text
        assert (await make_user(connection, "ben@trees.gov.sg")).may_create
        other = await hers.send(page, "/agency", email="amy@clinic.gov.sg", do="grant")
        # Her address is of nobody's domain, so that she can still become one of this agency.
        assert other.status == 200
        await make_pic(connection)
        theirs = await hers.send(page, "/agency", email="pia@clinic.gov.sg", do="grant", form_id="z" * 20)
        assert theirs.status == 422
        assert "another agency" in theirs.text
        taken = await hers.post("/agency", {"form_id": "x" * 20, "do": "revoke", "email": "ben@trees.gov.sg"})
        assert "ben@trees.gov.sg can't create campaigns any more" in taken.text
        assert not (await make_user(connection, "ben@trees.gov.sg")).may_create
        # What she is in charge of is one agency: the pages of ops aren't hers.
        for path in (
            "/ops",
            "/ops/agencies",
            f"/ops/agencies/{agency_id}",
            "/ops/users",
            "/ops/audit",
            "/ops/banner",
        ):
            assert (await hers.get(path)).status == 403, path

        removed = await browser.send(
            await browser.get(f"/ops/agencies/{agency_id}/pics"),
            "/ops",
            email="pia@parks.gov.sg",
            do="remove",
        )
        assert "isn't in charge any more" in removed.text
        assert (await hers.get("/agency")).status == 403


async def test_a_person_in_charge_sees_the_agencys_campaigns_with_deleted_ones_and_no_others(
    settings: Settings, connection: Connection
) -> None:
    here = await make_campaign(connection, name="<b>Reminders</b>")
    gone = await make_campaign(connection, name="Gone")
    await make_member(connection, here, "mei@clinic.gov.sg", Membership.MEMBER)
    for n in range(11):
        await make_member(connection, gone, f"m{n}@clinic.gov.sg", Membership.MEMBER)
    await connection.execute(
        "update campaigns set status = 'deleted', deleted_at = now() where id = $1", gone
    )
    # Charged last month, of which the report says what holds; this month, of a deleted campaign too.
    today = day_of(datetime.now(UTC))
    last_month = Month.of(today).previous
    await post(connection, await agency_of(connection, here), last_month, [(here, "local", 1388)])
    await use(connection, here, last_month.first, 5000)
    await use(connection, here, today, 1500, destination="foreign")
    await use(connection, gone, today, 21)
    staff = await make_campaign(connection, name="Staff", channel=Channel.INTERNAL)
    await use(connection, staff, today, 33)
    await use(connection, gone, today, 4, outcome="delivery_unknown_error")
    settings = settings.model_copy(update={"environment": Environment.PRODUCTION})
    # Another agency's, and more of this one's than a page has.
    await connection.execute("insert into agencies (id, name) values ('agency_x', 'Library')")
    await connection.execute(
        "insert into campaigns (id, name, header, notify_email, agency_id, created_at)"
        " select 'x-' || n, 'Foreign ' || n, 'X', 'a@b.gov.sg', 'agency_x', now() from generate_series(1, 3) n"
    )
    await connection.execute(
        "insert into campaigns (id, name, header, notify_email, agency_id, created_at)"
        " select 'old-' || n, 'Early ' || n, 'X', 'a@b.gov.sg', agency_id, now() - interval '1 year' - n * interval '1 hour'"
        " from generate_series(1, 120) n, (select agency_id from campaigns where id = $1) c",
        here,
    )
    pic = await make_pic(connection)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, pic)
        page = await browser.get("/agency")
        assert "<b>Reminders</b>" in page.text
        assert "<b>Reminders" not in page.body
        assert "mei@clinic.gov.sg (member)" in page.text
        assert "and 2 more" in page.text
        assert "0 segments SGD 0.00 1,388 segments SGD 63.85 1,500 segments SGD 345.00" in page.text
        assert "1,388 segments SGD 63.85 21 segments SGD 0.97" not in page.text
        assert "21 segments SGD 0.97" in page.text
        assert "33 segments not charged" in page.text
        total = page.text.partition("All campaigns on the agency’s bill")[2]
        assert total.startswith(" 0 segments SGD 0.00 1,388 segments SGD 63.85 1,521 segments SGD 345.97")
        assert "deleted" in page.text
        assert "Foreign" not in page.text
        assert "Early 97" in page.text
        older = next(path for text, path in page.links if text == "Older campaigns")
        rest = await browser.get(older)
        assert "Early 120" in rest.text
        assert "Early 97" not in rest.text
        assert "Reminders" not in rest.text
        for nonsense in ("2026-01-01", "x", "2026-01-01T00:00:00 %00", "%00", "9999-12-31T23:59:59-12:00 x"):
            assert (await browser.get(f"/agency?after={nonsense.replace(' ', '%20')}")).status == 200, (
                nonsense
            )


async def test_ops_find_somebody_end_the_sessions_and_share_their_rights(
    settings: Settings, connection: Connection
) -> None:
    ops = await make_user(connection, "pat@tech.gov.sg", is_ops=True)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        hers = await browse(connection, settings, port, amy)
        browser = await browse(connection, settings, port, ops)
        users = await browser.get("/ops/users")
        missing = await browser.send(users, "/ops/users", email="nobody@clinic.gov.sg")
        assert (missing.status, "Nobody here has that address" in missing.text) == (422, True)
        found = await browser.send(users, "/ops/users", email=" AMY@clinic.gov.sg ")
        assert (found.title, found.path) == ("amy@clinic.gov.sg", f"/ops/users/{amy.id}")
        ended = await browser.send(found, f"/ops/users/{amy.id}")
        assert "amy@clinic.gov.sg is logged out: 1 session ended." in ended.text
        assert (await hers.get("/", follow=False)).location.startswith("/login")
        assert (await details_of(connection, "console_session_ended"))["actor"] == ops.id

        given = await browser.send(await browser.get(f"/ops/users/{amy.id}/ops"), "/ops/users")
        assert "amy@clinic.gov.sg is one of ops now." in given.text
        assert (await make_user(connection, "amy@clinic.gov.sg")).is_ops
        own = await browser.send(await browser.get(f"/ops/users/{ops.id}/ops"), "/ops/users")
        assert (own.status, "That is you" in own.text) == (422, True)
        await browser.send(await browser.get(f"/ops/users/{amy.id}/ops"), "/ops/users")
        assert not (await make_user(connection, "amy@clinic.gov.sg")).is_ops
        for nobody in ("user_nobody", "%00", "user_%F0%9F%98%80"):
            assert (await browser.get(f"/ops/users/{nobody}")).status == 404, nobody


async def test_ops_set_a_campaigns_limits(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    ops = await make_user(connection, "pat@tech.gov.sg", is_ops=True)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, ops)
        page = await browser.get(f"/ops/campaigns?campaign={campaign_id}")
        assert page.title == "Limits of Reminders"
        for wrong in ("0", "1001", "-1", "1.5", "٣"):
            refused = await browser.send(page, "/ops/campaigns", rate=wrong)
            assert refused.status == 422, wrong
            assert "from 1 to 1,000" in refused.text, wrong
        done = await browser.send(page, "/ops/campaigns", rate="25", nric="yes")
        assert "The limits of Reminders are set." in done.text
        now = await connection.fetchrow("select api_rate, nric from campaigns where id = $1", campaign_id)
        assert tuple(now or ()) == (25, True)
        await browser.send(done, "/ops/campaigns", rate="", nric="no")
        now = await connection.fetchrow("select api_rate, nric from campaigns where id = $1", campaign_id)
        assert tuple(now or ()) == (None, False)
        assert (await browser.get("/ops/campaigns?campaign=no-such")).status == 404


async def test_a_notice_of_ops_stands_on_every_page_until_they_take_it_away(
    settings: Settings, connection: Connection
) -> None:
    ops = await make_user(connection, "pat@tech.gov.sg", is_ops=True)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser, hers = [await browse(connection, settings, port, user) for user in (ops, amy)]
        page = await browser.get("/ops/banner")
        for wrong in ("", "x" * 301, "a\u202eb"):
            assert (await browser.send(page, "/ops/banner", sentence=wrong)).status == 422
        await browser.send(page, "/ops/banner", sentence="Twilio is slow <i>today</i>")
        shown = await hers.get("/account")
        assert "Notice: Twilio is slow <i>today</i>" in shown.text
        assert "<i>" not in shown.body
        changed = await browser.send(await browser.get("/ops/banner"), "/ops/banner", sentence="All is well")
        assert "All is well" in changed.text
        await browser.post("/ops/banner", {"form_id": "y" * 20, "do": "clear"})
        assert "Notice:" not in (await hers.get("/account")).text
        assert await details_of(connection, "banner_changed") == {
            "actor": ops.id, "source_address": "127.0.0.1", "shown": False,
        }  # fmt: skip

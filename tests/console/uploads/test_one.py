"""The page of one upload: its story, its facts, and the second chance that ops give."""

from audit.details import EventDetails
from audit.events import AuditEvent, record_event
from campaigns.people.permissions import Membership
from config.settings import Settings
from database.connections import Connection
from tests.console.campaigns.making import make_campaign, make_member
from tests.console.served import OPS, Browser, browse, make_user, serving_console
from tests.console.uploads.made import add_upload

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>.csv"


async def test_an_upload_tells_its_story_and_its_facts(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    member = await make_member(connection, campaign_id, "bob@clinic.gov.sg", Membership.MEMBER)
    ops = await make_user(connection, "ops@tech.gov.sg", is_ops=True)
    upload_id = await add_upload(connection, campaign_id, EVIL, "accepted", source_address="192.0.2.7")
    again = await add_upload(connection, campaign_id, "again.csv", "accepted", duplicate_of=upload_id)
    steps: tuple[tuple[AuditEvent, EventDetails], ...] = (
        (AuditEvent.UPLOAD_RECEIVED, {"bytes": 1234}),
        (AuditEvent.UPLOAD_DECIDED, {"outcome": "accepted", "messages": 1204}),
        (AuditEvent.NOTIFICATION_SENT, {"outcome_number": 1}),
    )
    for event, details in steps:
        await record_event(
            connection, event, campaign_id=campaign_id, upload_id=upload_id, actor=OPS, details=details
        )
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, member)
        shown = await browser.get(f"/uploads/{upload_id}")
        assert shown.title == EVIL
        assert "<script>alert" not in shown.body
        assert "<img src" not in shown.body
        for words in (
            "1,204 messages", "ab" * 32, "1.2 kB", "from 192.0.2.7", "Received by SFTP", "Accepted: 1,204 messages",
            "E-mail about the outcome sent", "Sent again as again.csv",
        ):  # fmt: skip
            assert words in shown.text, words
        # Who did what inside is for ops.
        assert "admin" not in shown.text
        second = await browser.get(f"/uploads/{again}")
        assert "nothing was sent a second time" in second.text
        assert f"Same file as {EVIL}" in second.text
        browser = await browse(connection, settings, port, ops)
        assert "(admin, 192.0.2.9)" in (await browser.get(f"/uploads/{upload_id}")).text
        # An archive of later than its receipt may have steps of it; who isn't ops can't bring it back.
        assert "archived" not in shown.text
        await connection.execute(
            "insert into archives (name, kind, begins, ends, state, first_at, last_at, sealed_at)"
            " values ('audit_events_to_1', 'audit_events', 0, 1, 'archived', '2026-02-09', '3026-02-28', now())"
        )
        told = "are archived, in audit_events_to_1. sftp-gateway archive restore audit_events_to_1 brings them back."
        assert told in (await browser.get(f"/uploads/{upload_id}")).text
        browser = await browse(connection, settings, port, member)
        asked = await browser.get(f"/uploads/{upload_id}")
        assert "are archived, in audit_events_to_1. Ask the operators if you need them." in asked.text


async def test_an_outcome_held_since_a_restore_leads_to_no_batch(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    owner = await make_user(connection, "amy@clinic.gov.sg")
    ops = await make_user(connection, "ops@tech.gov.sg", is_ops=True)
    held = await add_upload(connection, campaign_id, "held.csv", "accepted", held={"reason": "decided"})
    batch_id = await connection.fetchval("select batch_id from uploads where id = $1", held)
    async with serving_console(settings) as port:
        for user, knows_the_cure in ((owner, False), (ops, True)):
            browser = await browse(connection, settings, port, user)
            shown = await browser.get(f"/uploads/{held}")
            assert "It was decided before the database was restored" in shown.text
            assert (f"upload release {held}" in shown.text) is knows_the_cure
            listed = await browser.get("/uploads")
            assert "Held since a restore" in listed.text
            for page in (shown, listed):
                assert not [link for _, link in page.links if batch_id in link]


async def test_an_upload_is_there_for_those_who_see_it(
    settings: Settings, connection: Connection, other_campaign_id: str
) -> None:
    campaign_id = await make_campaign(connection)
    member = await make_member(connection, campaign_id, "bob@clinic.gov.sg", Membership.MEMBER)
    restricted = await make_member(connection, campaign_id, "rae@clinic.gov.sg", Membership.RESTRICTED)
    other = await add_upload(connection, other_campaign_id)
    by_sftp = await add_upload(connection, campaign_id)
    own = await add_upload(connection, campaign_id, source="console", sha256=None, creator_id=restricted.id)
    async with serving_console(settings) as port:
        for user, statuses in ((member, (404, 200, 200)), (restricted, (404, 404, 200))):
            browser = await browse(connection, settings, port, user)
            for upload_id, status in zip((other, by_sftp, own), statuses, strict=True):
                for path in ("", "/stream"):
                    if path and status == 200:
                        continue
                    shown = await browser.get(f"/uploads/{upload_id}{path}")
                    assert shown.status == status, (user.email, path)
            for wrong in ("upload_none", "%00", "..%2f"):
                assert (await browser.get(f"/uploads/{wrong}")).status == 404


async def _reopen(browser: Browser, upload_id: str, way: str) -> str:
    """Follow the button, and send the form twice: a second click does nothing more."""
    page = await browser.get(f"/uploads/{upload_id}")
    path = f"/uploads/{upload_id}/{way}"
    assert path in [link for _, link in page.links]
    asked = await browser.get(path)
    fields = asked.form(path).fields
    done = await browser.post(path, fields)
    assert (done.status, done.path) == (200, f"/uploads/{upload_id}")
    assert (await browser.post(path, fields)).status == 200
    return done.text


async def test_ops_have_an_upload_decided_anew(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    owner = await make_user(connection, "amy@clinic.gov.sg")
    ops = await make_user(connection, "ops@tech.gov.sg", is_ops=True)
    failed = await add_upload(connection, campaign_id, "a.csv", "failed", object_key="originals/a")
    cut = await add_upload(
        connection, campaign_id, "b.csv", "rejected", object_key="originals/b", refusal_code="upload_interrupted",
        error_reason="the upload seems to have been cut off", num_rows=0, num_errors=1,
    )  # fmt: skip
    gone = await add_upload(connection, campaign_id, "c.csv", "failed")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, owner)
        shown = await browser.get(f"/uploads/{cut}")
        assert "seems to have been cut off" in shown.text
        assert "Upload the file again, or resume it" in shown.text
        assert f"/uploads/{cut}/release" not in shown.body
        assert (await browser.get(f"/uploads/{cut}/release")).status == 403
        assert (await browser.post(f"/uploads/{failed}/retry", {"form_id": "x" * 20})).status == 403
        browser = await browse(connection, settings, port, ops)
        assert "being decided anew" in await _reopen(browser, failed, "retry")
        assert "being decided anew" in await _reopen(browser, cut, "release")
        events = await connection.fetch(
            "select event, actor from audit_events where upload_id = any ($1)", [failed, cut]
        )
        assert sorted(tuple(row) for row in events) == [
            ("upload_released", ops.id),
            ("upload_retried", ops.id),
        ]
        jobs = await connection.fetch(
            "select convert_from(payload, 'utf8') as id from pgqueuer where entrypoint = 'verdict'"
        )
        assert {row["id"] for row in jobs} == {failed, cut}
        assert (await browser.get(f"/uploads/{gone}/retry")).status == 409
        refused = await browser.post(f"/uploads/{gone}/retry", {"form_id": "y" * 20})
        assert (refused.status, "are not kept" in refused.text) == (409, True)

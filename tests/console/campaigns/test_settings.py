"""A campaign's settings: members, suspension, deletion; with all roles, and without JavaScript."""

import pytest

from campaigns.campaigns import fetch_known_campaign
from campaigns.people.members import list_members
from campaigns.people.permissions import Membership
from config.settings import Settings
from database.connections import Connection
from tests.console.campaigns.making import make_campaign, make_member, make_pic
from tests.console.served import Browser, Shown, browse, make_user, serving_console


async def _members(connection: Connection, campaign_id: str) -> dict[str, str]:
    return {member.email: member.role.value for member in await list_members(connection, campaign_id)}


async def _send(browser: Browser, page: Shown, action: str, **values: str) -> Shown:
    """Fill in the form of exactly this address, and send it."""
    form = next(form for form in page.forms if form.action == action)
    kept = [pair for pair in form.fields if pair[0] not in values]
    return await browser.post(action, [*kept, *values.items()])


def _form_of(page: Shown, user_id: str) -> str:
    return f"{page.path}/{user_id}"


async def test_owners_add_change_and_remove_members(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    path = f"/campaigns/{campaign_id}/settings/members"
    owner = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, owner)
        page = await browser.get(path)
        page = await _send(browser, page, path, email=" Mel@School.EDU.sg ", role="restricted")
        assert "mel@school.edu.sg is a Member Restricted now." in page.text
        page = await _send(browser, page, path, email="bo@clinic.gov.sg", role="owner")
        assert await _members(connection, campaign_id) == {
            "amy@clinic.gov.sg": "owner", "mel@school.edu.sg": "restricted", "bo@clinic.gov.sg": "owner",
        }  # fmt: skip
        mel = await make_user(connection, "mel@school.edu.sg")
        page = await _send(browser, page, _form_of(page, mel.id), role="member", then="change")
        assert "mel@school.edu.sg is a Member now." in page.text
        refused = await _send(browser, page, _form_of(page, mel.id), role="owner", then="change")
        assert "Only addresses below gov.sg own campaigns" in refused.text
        page = await _send(browser, page, _form_of(page, mel.id), then="remove")
        assert "mel@school.edu.sg" not in await _members(connection, campaign_id)
        # Who removes oneself is led away, and the campaign isn't there any more.
        gone = await _send(browser, page, _form_of(page, owner.id), then="remove")
        assert gone.title == "Campaigns"
        events = await connection.fetch(
            "select actor, event from audit_events where event like 'member_%' order by id"
        )
        assert {row["actor"] for row in events[1:]} == {owner.id}


@pytest.mark.parametrize(
    ("email", "role", "told"),
    [
        ("", "member", "Give an e-mail address."),
        ("x@y", "member", "is not a domain"),
        ("bo@clinic.gov.sg", "", "Choose a role."),
        ("bo@clinic.gov.sg", "boss", "Choose a role."),
        ("eve@evilgov.sg", "member", "ask the operators of this service to list its domain"),
        ("eve@school.edu.sg", "owner", "choose Member for this one"),
        ("amy@clinic.gov.sg", "member", "last owner"),
        ("service@localhost", "member", "not a domain"),
    ],
)
async def test_what_may_not_be_is_told_in_words_of_the_page(
    settings: Settings, connection: Connection, email: str, role: str, told: str
) -> None:
    campaign_id = await make_campaign(connection)
    path = f"/campaigns/{campaign_id}/settings/members"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_user(connection, "amy@clinic.gov.sg"))
        shown = await _send(browser, await browser.get(path), path, email=email, role=role)
        assert told in shown.text
        assert "sftp-gateway" not in shown.text
        assert shown.status == 400
        assert await _members(connection, campaign_id) == {"amy@clinic.gov.sg": "owner"}


async def test_others_see_the_members_and_change_nothing(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    path = f"/campaigns/{campaign_id}/settings/members"
    member = await make_member(connection, campaign_id, "mel@clinic.gov.sg", Membership.MEMBER)
    restricted = await make_member(connection, campaign_id, "rob@clinic.gov.sg", Membership.RESTRICTED)
    fields = {"form_id": "x" * 24, "email": "eve@clinic.gov.sg", "role": "member"}
    async with serving_console(settings) as port:
        for user, status in ((member, 200), (await make_pic(connection), 200), (restricted, 403)):
            browser = await browse(connection, settings, port, user)
            shown = await browser.get(path)
            assert shown.status == status
            assert "Add a member" not in shown.text
            assert (await browser.post(path, fields)).status == 403
            assert (await browser.post(f"{path}/{member.id}", {**fields, "then": "remove"})).status == 403
        assert len(await _members(connection, campaign_id)) == 3


async def _grow_old(connection: Connection) -> None:
    await connection.execute("update console_sessions set code_at = now() - interval '1 hour'")


async def test_a_new_owner_and_a_deletion_want_a_fresh_code(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    path = f"/campaigns/{campaign_id}/settings/members"
    member = await make_member(connection, campaign_id, "mel@clinic.gov.sg", Membership.MEMBER)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_user(connection, "amy@clinic.gov.sg"))
        page = await browser.get(path)
        await _grow_old(connection)
        shown = await _send(browser, page, path, email="bo@clinic.gov.sg", role="owner")
        assert shown.path.startswith("/account/confirm?next=")
        shown = await _send(browser, page, _form_of(page, member.id), role="owner")
        assert shown.path.startswith("/account/confirm?next=")
        assert await _members(connection, campaign_id) == {
            "amy@clinic.gov.sg": "owner", "mel@clinic.gov.sg": "member",
        }  # fmt: skip
        # A member needs none.
        await _send(browser, page, path, email="bo@clinic.gov.sg", role="member")
        assert len(await _members(connection, campaign_id)) == 3
        deletion = await browser.get(f"/campaigns/{campaign_id}/settings/delete", follow=False)
        assert deletion.location.startswith("/account/confirm")
        # After the code the page asks for the new owner again, and knows which member was meant.
        await connection.execute("update console_sessions set code_at = now()")
        asked = await browser.get(f"{path}/owner?member={member.id}")
        fields_of = dict(next(form for form in asked.forms if form.action == path).fields)
        assert (fields_of["email"], fields_of["role"]) == ("mel@clinic.gov.sg", "owner")
        await browser.post(path, fields_of)
        assert (await _members(connection, campaign_id))["mel@clinic.gov.sg"] == "owner"


async def test_ops_suspend_with_a_reason_that_members_read_and_resume(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    path = f"/campaigns/{campaign_id}/settings"
    owner = await make_user(connection, "amy@clinic.gov.sg")
    ops = await make_user(connection, "olga@ops.gov.sg", is_ops=True)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, ops)
        page = await browser.get(path)
        assert "Say why" in (await browser.send(page, f"{path}/suspend", reason="because")).text
        page = await browser.send(page, f"{path}/suspend", reason="complaints")
        members = await browse(connection, settings, port, owner)
        seen = await members.get(path)
        assert "recipients complained" in seen.text
        assert f"{path}/resume" not in seen.body
        assert (await members.post(f"{path}/resume", {"form_id": "x" * 24})).status == 403
        page = await browser.send(page, f"{path}/resume")
        assert "active again" in page.text
        assert (await fetch_known_campaign(connection, campaign_id)).status == "active"


async def test_a_campaign_is_deleted_once_its_name_is_typed(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection, name="Clinic's  “old” ones")
    path = f"/campaigns/{campaign_id}/settings/delete"
    owner = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser: Browser = await browse(connection, settings, port, owner)
        page = await browser.get(path)
        assert "What was sent stays charged" in page.text
        for typed in ("", "clinic's “old” ones", "Clinic"):
            shown = await browser.send(page, path, name=typed)
            assert "Type the campaign's name as it stands above" in shown.text
        assert (await fetch_known_campaign(connection, campaign_id)).status == "active"
        gone = await browser.send(page, path, name=" Clinic's “old” ones ")
        assert gone.title == "Campaigns"
        assert "is deleted" in gone.text
        assert (await fetch_known_campaign(connection, campaign_id)).status == "deleted"
        assert (await browser.get(path)).status == 404
        pic = await browse(connection, settings, port, await make_pic(connection))
        assert "deleted since" in (await pic.get(f"/campaigns/{campaign_id}/settings")).text
        ops = await browse(
            connection, settings, port, await make_user(connection, "olga@ops.gov.sg", is_ops=True)
        )
        assert "It was deleted on" in (await ops.get(path)).text
        members = await ops.get(f"/campaigns/{campaign_id}/settings/members")
        assert "Add a member" not in members.text

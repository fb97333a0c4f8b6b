"""Who sees which messages, with what of them."""

import pytest

from config.settings import Settings
from database.connections import Connection
from messages.identifiers import message_id
from tests.console.messages.sending import (
    HOSTILE,
    LOCAL,
    MASKED,
    add_batch,
    events,
    make_people,
    make_sending_campaign,
    set_values,
)
from tests.console.served import browse, serving_console
from tests.messages.builders import archive_first_range


async def test_each_role_sees_what_is_its_own_to_see(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    theirs = await add_batch(connection, campaign_id, file_name="theirs.csv")
    own = await add_batch(connection, campaign_id, file_name="own.csv", creator=people.restricted)
    campaign = f"/campaigns/{campaign_id}"
    paths = {
        "their batch": f"/batches/{theirs.id}",
        "their message": f"/messages/{message_id(theirs.id, 2)}",
        "their report": f"/batches/{theirs.id}/delivery-report.csv",
        "own batch": f"/batches/{own.id}",
        "own message": f"/messages/{message_id(own.id, 2)}",
        "own report": f"/batches/{own.id}/delivery-report.csv",
    }
    async with serving_console(settings) as port:
        for user in (people.owner, people.member, people.pic):
            browser = await browse(connection, settings, port, user)
            shown = await browser.get(campaign)
            assert shown.text.count(LOCAL) == 12
            assert "Tan 3" in shown.text
            for path in paths.values():
                assert LOCAL in (await browser.get(path)).text, path
        browser = await browse(connection, settings, port, people.restricted)
        shown = await browser.get(campaign)
        assert (shown.text.count(LOCAL), theirs.id in shown.body) == (6, False)
        cards = await browser.get(f"{campaign}/batches")
        assert (own.id in cards.body, theirs.id in cards.body) == (True, False)
        for name, path in paths.items():
            found = await browser.get(path)
            assert (found.status, LOCAL in found.text) == ((200, True) if "own" in name else (404, False)), (
                name
            )
        browser = await browse(connection, settings, port, people.ops)
        shown = await browser.get(campaign)
        assert (shown.text.count(LOCAL), shown.text.count(MASKED)) == (0, 12)
        for path in paths.values():
            found = await browser.get(path)
            assert found.status == 200
            assert MASKED in found.text, path
            assert LOCAL not in found.body
            assert "Tan" not in found.body
        # What is masked can't be found out by looking for it.
        assert "Part of the number" not in shown.text
        assert (await browser.get(f"{campaign}?search=6591")).text.count(MASKED) == 12
        assert (await browser.get(f"{campaign}?search=777")).text.count(MASKED) == 12
        browser = await browse(connection, settings, port, people.stranger)
        for path in (campaign, f"{campaign}/batches", *paths.values()):
            assert (await browser.get(path)).status == 404, path


async def test_ops_see_a_number_once_they_ask_and_that_is_written_down(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id)
    path = f"/messages/{message_id(batch.id, 3)}"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.ops)
        page = await browser.get(path)
        assert "1, GSM-7" in page.text
        assert not await events(connection, "message_unmasked")
        shown = await browser.send(page, f"{path}/number")
        assert LOCAL in shown.text
        assert "Tan" not in shown.text
        (event,) = await events(connection, "message_unmasked")
        assert event == {
            "actor": people.ops.id, "batch_id": batch.id, "message_id": message_id(batch.id, 3)
        }  # fmt: skip
        assert LOCAL not in (await browser.get(path)).text
        # Who sees it anyway leaves no trace of having asked.
        browser = await browse(connection, settings, port, people.member)
        await browser.post(f"{path}/number", {"form_id": "x" * 20})
        assert len(await events(connection, "message_unmasked")) == 1
        # Restricted to own ones, it is not there.
        browser = await browse(connection, settings, port, people.restricted)
        assert (await browser.post(f"{path}/number", {"form_id": "x" * 20})).status == 404


async def test_whatever_stands_in_values_and_names_stays_text(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id, file_name=HOSTILE)
    await set_values(connection, batch, HOSTILE)
    await connection.execute(
        "update template_bodies set body = $2 where campaign_id = $1", campaign_id, "<b>Dear</b> {{name}}"
    )
    campaign = f"/campaigns/{campaign_id}"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.owner)
        for path in (
            campaign,
            f"{campaign}/batches",
            f"/batches/{batch.id}",
            f"/batches/{batch.id}/retry",
            f"/messages/{message_id(batch.id, 2)}",
        ):
            shown = await browser.get(path)
            assert shown.status == 200
            assert "<script>alert" not in shown.body
            assert "<b>Dear" not in shown.body
            assert HOSTILE.replace(" ", "") in shown.text.replace(" ", ""), path
        report = await browser.get(f"/batches/{batch.id}/delivery-report.csv")
        assert ',"\'=""><script>alert(1)' in report.body


@pytest.mark.parametrize("kind", ["batches", "messages"])
async def test_what_another_campaign_has_is_not_there(
    settings: Settings, connection: Connection, kind: str
) -> None:
    """Also for whoever is in that other campaign: the right is that of the thing's own campaign."""
    own = await make_sending_campaign(connection)
    other = await make_sending_campaign(connection, "Other")
    people = await make_people(connection, own)
    await connection.execute("update campaigns set creator_id = $2 where id = $1", other, people.pic.id)
    await connection.execute(
        "update users set is_pic = false, may_create = false where id = $1", people.member.id
    )
    batch = await add_batch(connection, other)
    path = f"/batches/{batch.id}" if kind == "batches" else f"/messages/{message_id(batch.id, 2)}"
    changes = ("/retry",) if kind == "messages" else ("/retry", "/stop", "/release")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.member)
        assert (await browser.get(path)).status == 404
        for change in changes:
            assert (await browser.post(path + change, {"form_id": "x" * 20})).status == 404
        for unknown in (f"/{kind}/nothing", f"/{kind}/{kind[:-1]}_00000000-0000-8000-8000-000000000001"):
            assert (await browser.get(unknown)).status == 404


async def test_what_is_archived_is_said_to_be(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    theirs = await add_batch(connection, campaign_id)
    name = await archive_first_range(connection)
    message, batch = f"/messages/{message_id(theirs.id, 2)}", f"/batches/{theirs.id}"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.owner)
        for path in (
            message,
            f"{batch}/delivery-report.csv",
            f"{batch}/delivery-report.xlsx",
            f"{batch}/retry",
        ):
            shown = await browser.get(path)
            assert (shown.status, f"archive restore {name}" in shown.text) == (410, True), path
        shown = await browser.get(batch)
        assert (shown.status, f"archive restore {name}" in shown.text) == (200, True)
        assert "Retry failed messages" not in shown.text
        assert "delivery-report" not in shown.body
        shown = await browser.get(f"/campaigns/{campaign_id}")
        assert f"Older messages are archived, in {name}" in shown.text
        stranger = await browse(connection, settings, port, people.restricted)
        assert (await stranger.get(message)).status == 404

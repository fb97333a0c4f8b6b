"""A campaign's messages: search, filters, pages, and what is followed live."""

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from campaigns.people.permissions import Membership
from config.settings import Settings
from console.live.views import Fragment
from console.messages.cursors import cursor_of, parse_cursor
from console.messages.queries import parse_query
from console.messages.rows import RowMaker
from console.messages.sight import Sight
from console.messages.tables import TableView
from console.pages import ROUTES
from console.paths import learn_paths
from console.rendering import Renderer
from console.technical.static_files import StaticFiles
from database.connections import Connection
from messages.changes import retry_message
from messages.identifiers import message_id
from messages.pages import Place
from messages.statuses import MessageStatus
from tests.console.campaigns.making import make_member
from tests.console.messages.sending import add_batch, make_people, make_sending_campaign
from tests.console.served import OPS, Shown, browse, serving_console
from tests.messages.builders import NOW


def rows_of(page: Shown) -> int:
    return page.body.count('<tr id="message_')


async def test_messages_are_found_by_number_status_error_day_and_creator(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    await add_batch(connection, campaign_id)
    await add_batch(connection, campaign_id, recipient="447911123456", creator=people.member)
    single = await add_batch(connection, campaign_id, (MessageStatus.SENDING,), kind="single")
    path = f"/campaigns/{campaign_id}"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.owner)
        page = await browser.get(path)
        assert (page.title, rows_of(page)) == ("Reminders", 13)
        texts = [text for text, _ in page.links]
        assert "Batch a.csv" in texts
        assert page.text.count("Single") == 1
        assert (await browser.get(f"/batches/{single.id}")).title == "Message to 6591234567"
        for fields, expected in (
            ({"search": "+44 79"}, 6),
            ({"status": "failure"}, 4),
            ({"status": "pending"}, 3),
            ({"status": "sent"}, 2),
            ({"status": "sent_to_telco"}, 0),
            ({"status": "sending", "search": "659"}, 2),
            ({"error": "recipient_unavailable", "creator": people.member.id}, 2),
            ({"error": "stopped"}, 0),
            ({"creator": people.owner.id}, 7),
            ({"from": "2026-11-25", "to": "2026-11-25"}, 13),
            ({"from": "2026-11-26"}, 0),
            ({"to": "2026-11-24"}, 0),
        ):
            shown = await browser.get(f"{path}?{urlencode(fields)}")
            assert (shown.status, rows_of(shown)) == (200, expected), fields
            assert "Show all" in shown.text
        for fields, sentence in (
            ({"search": "x"}, "Search for digits"),
            ({"search": "1" * 21}, "Search for digits"),
            ({"from": "tomorrow"}, "Give a day"),
            ({"to": "2026-02-30"}, "Give a day"),
            ({"from": "2026-11-26", "to": "2026-11-25"}, "after the last one"),
            ({"status": "gone"}, "Choose one of the statuses"),
            ({"error": "'"}, "Choose one of the errors"),
        ):
            shown = await browser.get(f"{path}?{urlencode(fields)}")
            assert "There is a problem" in shown.text
            assert sentence in shown.text
            assert not rows_of(shown)


async def test_pages_lead_on_and_back(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    await add_batch(connection, campaign_id, (MessageStatus.SUCCESS,) * 30, unclaimed=200)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.owner)
        page = await browser.get(f"/campaigns/{campaign_id}")
        counts, bodies = [rows_of(page)], [page.body]
        while older := dict(page.links).get("Older messages"):
            page = await browser.get(older)
            counts.append(rows_of(page))
            bodies.append(page.body)
        assert counts == [100, 100, 30]
        ids = [piece.split('"')[0] for body in bodies for piece in body.split('<tr id="')[1:]]
        assert len(set(ids)) == 230
        before = await browser.get(dict(page.links)["Newer messages"])
        assert before.body.split("<tbody")[1].split("</tbody>")[0].count("<tr") == 100
        assert set(ids[100:200]) == {piece.split('"')[0] for piece in before.body.split('<tr id="')[1:]}
        for cursor in ("x", "W10", "WzEsMiwzXQ", "%FF", "A" * 300, "WzEsIiIsLTFd"):
            assert (await browser.get(f"/campaigns/{campaign_id}?after={cursor}")).status == 400


def test_a_place_comes_back_from_its_text() -> None:
    place = Place(NOW + timedelta(microseconds=17), "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8", 2**31)
    assert parse_cursor(cursor_of(place)) == place


@pytest.fixture
def renderer() -> Renderer:
    learn_paths(ROUTES)
    return Renderer(StaticFiles())


async def test_a_table_that_is_open_reads_only_what_has_changed(
    connection: Connection, renderer: Renderer
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(connection, campaign_id)
    sight = Sight(people.owner.id, people.owner.id, sees_all_contents=True, sees_own=True, sees_others=True)
    view = TableView(parse_query({}, sight, campaign_id), RowMaker(sight, "Postman", ("name",)))

    async def look() -> Sequence[Fragment]:
        return await view.render(connection, renderer)

    first = await look()
    assert len(first) == 6
    # The first look knew no batch whose version it could read; from the second on nothing is read but versions.
    second = await look()
    assert second == first
    assert await look() is second
    await retry_message(connection, message_id(batch.id, 4), max_retries=3, actor=OPS)
    third = await look()
    changed = {fragment.id for fragment, before in zip(third, first, strict=True) if fragment != before}
    assert changed == {message_id(batch.id, 4)}
    # What comes new stands in front.
    await add_batch(connection, campaign_id, (MessageStatus.SENDING,))
    fourth = await look()
    assert len(fourth) == 7
    assert list(fourth[1:]) == list(third)
    # Another one's table that asks for the same is the same; one that sees less is not.
    masked = Sight("x", people.owner.id, sees_all_contents=False, sees_own=False, sees_others=True)
    again = TableView(parse_query({}, sight, campaign_id), RowMaker(sight, "Postman", ("name",)))
    other = TableView(parse_query({}, masked, campaign_id), RowMaker(masked, "Postman", ("name",)))
    assert again.key == view.key != other.key
    assert "6591234567" not in "".join(each.html for each in await other.render(connection, renderer))


async def test_whoever_is_restricted_sees_own_singles_among_others(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    restricted = await make_member(connection, campaign_id, "bo@clinic.gov.sg", Membership.RESTRICTED)
    for number in range(6):
        creator = restricted if number % 3 == 0 else None
        await add_batch(connection, campaign_id, (MessageStatus.SUCCESS,), kind="single", creator=creator)
    async with serving_console(settings) as port:
        page = await (await browse(connection, settings, port, restricted)).get(f"/campaigns/{campaign_id}")
        assert rows_of(page) == 2
        assert "Created by" not in page.text

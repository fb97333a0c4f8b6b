"""The list of campaigns: who sees which, in which order, what is counted, and whom to ask."""

from datetime import UTC, datetime

import pytest

from campaigns.campaigns import delete_campaign
from campaigns.people.permissions import Membership
from campaigns.people.users import User
from config.identifiers import new_identifier
from config.settings import Settings
from console.campaigns import home
from console.campaigns.home import Place, parse_place
from database.connections import Connection
from tests.console.campaigns.making import make_campaign, make_member, make_pic
from tests.console.served import OPS, Shown, browse, make_user, serving_console


def _names(page: Shown) -> list[str]:
    return [text for text, path in page.links if path.startswith("/campaigns/") and "/new" not in path]


def _cells(page: Shown, name: str) -> str:
    """The row of that campaign, as text."""
    return page.text.split(name, 1)[1].split("@", 1)[0]


async def _record_batch(connection: Connection, campaign_id: str, days: int, **values: object) -> None:
    columns = {"total_messages": 10, "creator_id": None, **values}
    names = ", ".join(columns)
    places = ", ".join(f"${at}" for at in range(4, len(columns) + 4))
    await connection.execute(
        f"insert into batches (id, campaign_id, original_file_name, created_at, {names}) "
        f"values ($1, $2, 'a.csv', now() - make_interval(days => $3), {places})",
        new_identifier("batch"), campaign_id, days, *columns.values(),
    )  # fmt: skip


async def test_each_visitor_sees_the_campaigns_that_are_there_for_that_one(
    settings: Settings, connection: Connection
) -> None:
    await make_campaign(connection, name="Reminders")
    of_bo = await make_campaign(connection, owner="bo@clinic.gov.sg", name="Results")
    gone = await make_campaign(connection, name="Old ones")
    async with connection.transaction():
        await delete_campaign(connection, gone, actor=OPS)
    member = await make_member(connection, of_bo, "mel@school.edu.sg", Membership.MEMBER)
    amy = await make_user(connection, "amy@clinic.gov.sg")
    expected: list[tuple[User, set[str]]] = [
        (amy, {"Reminders"}),
        (member, {"Results"}),
        (await make_pic(connection), {"Reminders", "Results", "Old ones"}),
        (await make_user(connection, "olga@ops.gov.sg", is_ops=True), {"Reminders", "Results", "Old ones"}),
        (await make_user(connection, "sue@other.gov.sg"), set()),
    ]
    async with serving_console(settings) as port:
        for user, names in expected:
            shown = await (await browse(connection, settings, port, user)).get("/")
            assert set(_names(shown)) == names, user.email
            assert ("deleted" in shown.text) == ("Old ones" in names), user.email
        browser = await browse(connection, settings, port, expected[3][0])
        assert _names(await browser.get("/?search=rEsU")) == ["Results"]
        assert _names(await browser.get(f"/?search={of_bo[:-12]}")) == ["Results"]
        assert "No campaign of yours has %<b>_" in (await browser.get("/?search=%25%3Cb%3E_")).text


async def test_whoever_may_not_create_is_told_whom_to_ask(settings: Settings, connection: Connection) -> None:
    await make_pic(connection, "pia@clinic.gov.sg")
    async with serving_console(settings) as port:
        officer = await make_user(connection, "new@clinic.gov.sg")
        shown = await (await browse(connection, settings, port, officer)).get("/")
        assert ("pia@clinic.gov.sg", "mailto:pia@clinic.gov.sg") in shown.links
        assert "/campaigns/new" not in shown.body
        stranger = await make_user(connection, "sue@other.gov.sg")
        shown = await (await browse(connection, settings, port, stranger)).get("/")
        assert "Nobody is in charge of your agency here yet" in shown.text
        pic = await make_user(connection, "pia@clinic.gov.sg")
        shown = await (await browse(connection, settings, port, pic)).get("/")
        assert ("Create campaign", "/campaigns/new") in shown.links


async def test_what_was_sent_lately_is_counted_and_only_ones_own_for_a_restricted_member(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = await make_campaign(connection, name="Reminders")
    restricted = await make_member(connection, campaign_id, "bo@clinic.gov.sg", Membership.RESTRICTED)
    await _record_batch(connection, campaign_id, 1, success=1, failure=2, retrying=1)
    await _record_batch(connection, campaign_id, 1, creator_id=restricted.id, failure=4, success=6)
    # What was stopped has failed as far as it hasn't left.
    await _record_batch(connection, campaign_id, 2, success=5, ended_at=datetime.now(UTC))
    await _record_batch(connection, campaign_id, 8, failure=10)
    async with serving_console(settings) as port:
        owner = await browse(connection, settings, port, await make_user(connection, "amy@clinic.gov.sg"))
        assert " 7 11 " in _cells(await owner.get("/"), "Reminders")
        other = await browse(connection, settings, port, restricted)
        assert " 0 4 " in _cells(await other.get("/"), "Reminders")
        # Of a campaign that sends without end the newest are counted, and that is told.
        monkeypatch.setattr(home, "_MOST_SENDS", 2)
        assert "or more" in _cells(await owner.get("/"), "Reminders")


async def test_the_list_goes_on_where_it_ended_and_begins_with_what_was_opened_last(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "_PAGE", 2)
    ids = {
        name: await make_campaign(connection, name=name) for name in ("One", "Two", "Three", "Four", "Five")
    }
    owner = await make_user(connection, "amy@clinic.gov.sg")
    for minutes, name in enumerate(("Two", "Four")):
        await connection.execute(
            "insert into campaign_visits values ($1, $2, now() - make_interval(mins => $3))",
            owner.id, ids[name], minutes,
        )  # fmt: skip
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, owner)
        page = await browser.get("/")
        seen = _names(page)
        while more := [path for text, path in page.links if text == "More campaigns"]:
            page = await browser.get(more[0])
            seen += _names(page)
        assert seen == ["Two", "Four", "Five", "Three", "One"]
        assert ("First page", "/") in page.links


@pytest.mark.parametrize(
    "text", ["", "x", "bnVsbA==", "WzEsMiwzXQ==", "/w==", "WyIyMDI2LTAxLTAxIiwiMjAyNi0wMS0wMSIsImEiXQ=="]
)
def test_a_place_that_is_none_begins_the_list(text: str) -> None:
    assert parse_place(text) is None
    place = Place(datetime.now(UTC), datetime.now(UTC), "clinic")
    assert parse_place(place.written()) == place

"""The audit trail finds what lies far beyond the first page, by every filter; and its CSV is one that no spreadsheet executes."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from config.settings import Settings
from console.administration.audit_download import read_rows
from console.administration.audit_trail import Trail, read_wanted
from console.errors import PageRefused
from database.connections import Connection, Pool
from tests.console.served import Browser, browse, make_user, serving_console

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
COUNT = 3000
# A day's end in Singapore.
NEXT_DAY = datetime(2026, 3, 1, 16, tzinfo=UTC)


async def fill(connection: Connection, actor: str) -> None:
    """One event a minute, all logins of one campaign but for one of the oldest."""
    await connection.execute(
        "insert into audit_events (at, event, campaign_id, upload_id, actor, source_address, details)"
        " select $1::timestamptz + n * interval '1 minute', case n when 7 then 'key_added' else 'login_accepted' end,"
        "  case n when 7 then 'rare' else 'busy' end, case n when 7 then 'upload_rare' end,"
        "  case n when 7 then $2 else 'SHA256:busy' end, '192.0.2.1', jsonb_build_object('n', n)"
        " from generate_series(1, $3::integer) n",
        FIRST, actor, COUNT,
    )  # fmt: skip


def numbers(shown_text: str) -> list[int]:
    """The rows that are shown, by what stands in their details."""
    return [
        int(word)
        for before, word in zip(shown_text.split(), shown_text.split()[1:], strict=False)
        if before == "n:"
    ]


async def opened(connection: Connection, settings: Settings, port: int) -> tuple[Browser, str]:
    ops = await make_user(connection, "pat@tech.gov.sg", is_ops=True)
    return await browse(connection, settings, port, ops), ops.id


async def test_each_filter_looks_through_the_whole_trail(settings: Settings, connection: Connection) -> None:
    amy = await make_user(connection, "amy@clinic.gov.sg")
    await fill(connection, amy.id)
    async with serving_console(settings) as port:
        browser, _ = await opened(connection, settings, port)
        page = await browser.get("/ops/audit")
        assert numbers(page.text)[-1] > COUNT - 110
        assert "key_added" not in page.text.split("Details")[1]
        for asked in ("event=key_added", "campaign=rare", "upload=upload_rare", f"actor={amy.id}"):
            found = await browser.get(f"/ops/audit?{asked}")
            assert numbers(found.text) == [7], asked
            assert "amy@clinic.gov.sg" in found.text
        # By her address, which stands in no path.
        by_address = await browser.send(page, "/ops/audit", actor="Amy@clinic.gov.sg")
        assert numbers(by_address.text) == [7]
        assert by_address.path == f"/ops/audit?actor={amy.id}"
        unknown = await browser.send(page, "/ops/audit", actor="nobody@clinic.gov.sg")
        assert (unknown.status, "Nobody here has that address" in unknown.text) == (422, True)
        nothing = await browser.get("/ops/audit?event=key_added&campaign=busy")
        assert "Nothing in the whole trail fits these filters." in nothing.text
        for odd in (
            "before=9999999999999999999",
            "before=-1",
            "before=%D9%A3",
            "campaign=%00",
            "actor=%ED%A0%80",
            "event=x%27--",
        ):
            assert (await browser.get(f"/ops/audit?{odd}")).status == 200, odd
        for wrong in ("since=yesterday", "until=2026-13-01", "since=0001-01-01", "until=9999-12-31"):
            refused = await browser.get(f"/ops/audit?{wrong}")
            assert refused.status == 422, wrong


async def test_days_are_those_of_singapore_and_pages_follow_each_other_without_a_gap(
    settings: Settings, connection: Connection
) -> None:
    await fill(connection, "SHA256:x")
    # The second of March there: 16:00 UTC to 16:00 UTC.
    begin = datetime(2026, 3, 1, 16, tzinfo=UTC)
    expected = [
        n for n in range(COUNT, 0, -1)
        if begin <= FIRST + timedelta(minutes=n) < begin + timedelta(days=1)
    ]  # fmt: skip
    assert len(expected) == 1440
    async with serving_console(settings) as port:
        browser, _ = await opened(connection, settings, port)
        path, seen = "/ops/audit?since=2026-03-02&until=2026-03-02", []
        while path:
            page = await browser.get(path)
            seen += numbers(page.text)
            path = next((target for text, target in page.links if text == "Older events"), "")
    assert seen == expected


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-03-01", "2026-03-01"),
        ("2020-01-01", "2020-01-02"),
        ("2027-01-01", ""),
        ("", "2026-02-01"),
        ("", "2027-01-01"),
    ],
)
async def test_a_time_is_found_by_numbers_alone_wherever_it_lies(
    connection: Connection, since: str, until: str
) -> None:
    await fill(connection, "SHA256:x")
    # Rows that are gone leave gaps between the numbers.
    await connection.execute("delete from audit_events where id % 3 = 0 or id between 1200 and 1300")
    wanted = read_wanted({"since": since, "until": until})
    trail = await Trail.find(connection, wanted)
    found = [entry.at for entry in await trail.read(connection, before=None, most=COUNT)]
    expected = await connection.fetch(
        "select at from audit_events where ($1::timestamptz is null or at >= $1) and ($2::timestamptz is null or at < $2)"
        " order by id desc",
        wanted.since, wanted.until,
    )  # fmt: skip
    assert found == [row["at"] for row in expected]
    plan = await connection.fetchval(
        "select count(*) from audit_events where id >= $1 and id < $2", trail.lowest, trail.highest
    )
    # No more is looked at than an hour on either side.
    assert plan <= len(found) + 2 * 61


async def test_a_page_goes_on_in_the_months_before(connection: Connection) -> None:
    await connection.execute("delete from audit_events")
    for month in range(4):
        await connection.fetchval("select extend_audit_ranges(now() + $1 * interval '1 month')", month)
        await connection.execute(
            "insert into audit_events (at, event) select now() + $1::integer * interval '1 month',"
            " case when $1 = 0 and n = 3 then 'key_added' else 'login_accepted' end from generate_series(1, 5) n",
            month,
        )  # fmt: skip
    assert await connection.fetchval("select count(distinct tableoid) from audit_events") == 4
    expected = [row["id"] for row in await connection.fetch("select id from audit_events order by id desc")]
    trail = await Trail.find(connection, read_wanted({}))
    for most in (1, 5, 7, 12, 100):
        seen: list[int] = []
        while entries := await trail.read(connection, before=seen[-1] if seen else None, most=most):
            assert len(entries) == min(most, 20 - len(seen))
            seen += [entry.id for entry in entries]
        assert seen == expected
    rare = await Trail.find(connection, read_wanted({"event": "key_added"}))
    assert [entry.id for entry in await rare.read(connection, before=None, most=10)] == [expected[-3]]


async def test_an_empty_trail_is_one(connection: Connection) -> None:
    await connection.execute("delete from audit_events")
    trail = await Trail.find(connection, read_wanted({"since": "2026-03-01", "until": "2026-03-02"}))
    assert await trail.read(connection, before=None, most=10) == []


async def test_the_download_has_all_that_the_filters_find_guarded_and_is_itself_an_event(
    settings: Settings, connection: Connection
) -> None:
    await fill(connection, "SHA256:x")
    await connection.execute(
        "insert into audit_events (event, campaign_id, actor, details) values ('key_added', 'evil', '=cmd|calc', $1)",
        json.dumps({"label": '<script>alert(1)</script>"\n@x'}),
    )
    async with serving_console(settings) as port:
        browser, ops_id = await opened(connection, settings, port)
        page = await browser.get("/ops/audit?event=login_accepted&campaign=busy")
        got = await browser.send(page, "/ops/audit/download")
        assert got.headers["content-type"] == "text/csv; charset=utf-8"
        assert got.headers["content-disposition"] == 'attachment; filename="audit-trail.csv"'
        assert got.body.startswith("\ufeffid,time,event,")
        rows = list(csv.DictReader(io.StringIO(got.body.removeprefix("\ufeff"), newline="")))
        assert [json.loads(row["details"])["n"] for row in rows] == [n for n in range(COUNT, 0, -1) if n != 7]
        assert rows[-1]["time"] == "2026-03-01T08:01:00+08:00"
        recorded = await connection.fetchrow(
            "select actor, details from audit_events where event = 'audit_downloaded'"
        )
        assert recorded is not None
        assert recorded["actor"] == ops_id
        assert json.loads(recorded["details"]) == {"filters": {"event": "login_accepted", "campaign": "busy"}}
        page = await browser.get("/ops/audit?campaign=evil")
        assert "<script>alert" not in page.body
        assert "<script>alert(1)</script>" in page.text
        got = await browser.send(page, "/ops/audit/download")
        [row] = csv.DictReader(io.StringIO(got.body.removeprefix("\ufeff"), newline=""))
        assert row["actor"] == "'=cmd|calc"
        assert (await browser.get("/ops/audit/download")).title == "Audit trail"


async def test_what_is_archived_is_told_and_no_file_is_short_of_it(
    settings: Settings, connection: Connection, pool: Pool, campaign_id: str
) -> None:
    await fill(connection, "SHA256:x")
    name = "audit_events_to_1000000000000"
    await connection.execute(
        "insert into archives (name, kind, begins, ends, state, first_at, last_at, sealed_at)"
        " values ($1, 'audit_events', 0, 1000000000000, 'archived', $2, $3, now())",
        name, FIRST - timedelta(days=20), NEXT_DAY - timedelta(milliseconds=1),
    )  # fmt: skip
    async with serving_console(settings) as port:
        browser, _ = await opened(connection, settings, port)
        page = await browser.get("/ops/audit")
        told = (
            f"Events of 9 Feb 2026 to 1 Mar 2026 are archived, and not shown here: {name}. "
            f"sftp-gateway archive restore {name} brings them back."
        )
        assert told in page.text
        assert len(numbers(page.text)) > 90
        nothing = await browser.get("/ops/audit?event=key_added&campaign=busy")
        assert "Nothing that isn't archived fits these filters." in nothing.text
        refused = await browser.send(page, "/ops/audit/download")
        assert (
            refused.status,
            f"not be whole: events of 2026-02-09 to 2026-03-01 are archived, in {name}" in refused.text,
        ) == (
            410,
            True,
        )
        assert (
            await connection.fetchval("select count(*) from audit_events where event = 'audit_downloaded'")
            == 0
        )
        # Of later days all is here, and of a campaign that was made later.
        for whole in ("since=2026-03-02", f"campaign={campaign_id}"):
            page = await browser.get(f"/ops/audit?{whole}")
            assert "are archived" not in page.text, whole
            assert (await browser.send(page, "/ops/audit/download")).status == 200
    # What leaves while a file is being read cuts it.
    trail = await Trail.find(connection, read_wanted({}))
    with pytest.raises(PageRefused, match="would not be whole"):
        [piece async for piece in read_rows(pool.acquire, trail)]

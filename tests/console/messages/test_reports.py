"""Delivery reports as downloads: what is in them, how they are called, and that each is written down."""

import csv
import io

import pytest

from campaigns.campaigns import Channel
from config.environment import Environment
from config.settings import Settings
from console.technical.downloads import attachment
from database.connections import Connection, Pool
from messages.delivery_report import ReportFrame, read_csv_report
from messages.logs.charges import Charges
from messages.retrieval import fetch_batch
from tests.console.messages.sending import (
    LOCAL,
    MASKED,
    add_batch,
    events,
    make_people,
    make_sending_campaign,
    set_values,
)
from tests.console.served import browse, serving_console
from tests.messages.builders import fill_campaign


async def test_a_report_has_a_row_for_each_message_and_leaves_its_event(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_sending_campaign(connection)
    people = await make_people(connection, campaign_id)
    batch = await add_batch(
        connection, campaign_id, file_name='预约 "1".csv', unclaimed=2, creator=people.member
    )
    await set_values(connection, batch, "=1+1")
    path = f"/batches/{batch.id}/delivery-report.csv"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, people.owner)
        for page in (f"/batches/{batch.id}", f"/campaigns/{campaign_id}/batches"):
            shown = await browser.get(page)
            assert path in dict.fromkeys(link for _, link in shown.links)
            assert "has an apostrophe in front" in shown.text
        head = await browser.say("HEAD", path)
        assert (head.status, head.body) == (200, "")
        assert not await events(connection, "delivery_report_downloaded")
        shown = await browser.get(path)
        assert shown.headers["content-type"] == "text/csv; charset=utf-8"
        assert shown.headers["content-disposition"] == attachment('预约 "1" delivery report.csv')
        assert shown.body.startswith("\ufeffcreated,")
        rows = list(csv.DictReader(io.StringIO(shown.body.removeprefix("\ufeff"))))
        assert [row["status"] for row in rows] == [
            "success", "success", "failure", "sending", "sent", "failure", "enqueued", "enqueued"
        ]  # fmt: skip
        assert {(row["recipient"], row["name"], row["creator"]) for row in rows} == {
            (LOCAL, "'=1+1", "mei@clinic.gov.sg")
        }
        masked = (await (await browse(connection, settings, port, people.ops)).get(path)).body
        rows = list(csv.DictReader(io.StringIO(masked.removeprefix("\ufeff"))))
        assert {row["recipient"] for row in rows} == {MASKED}
        assert "name" not in rows[0]
        assert [(event["actor"], event["masked"], event["messages"]) for event in await events(
            connection, "delivery_report_downloaded"
        )] == [(people.owner.id, False, 8), (people.ops.id, True, 8)]  # fmt: skip


async def test_a_large_report_comes_in_pieces_that_hold_no_connection(
    pool: Pool, connection: Connection, campaign_id: str, settings: Settings
) -> None:
    (batch_id,) = await fill_campaign(connection, campaign_id, [12_000])
    batch = await fetch_batch(connection, batch_id)
    assert batch is not None
    frame = ReportFrame(
        batch,
        ("name",),
        "",
        "amy@clinic.gov.sg",
        charges=Charges.of(settings.billing, Environment.PRODUCTION, Channel.PUBLIC),
    )
    pieces = []
    async for piece in read_csv_report(pool.acquire, frame):
        pieces.append(piece)
        # Whoever reads slowly keeps nobody from the database: the pool has all its connections but this test's own.
        assert pool.get_idle_size() == pool.get_size() - 1
    assert len(pieces) == 4
    rows = list(csv.DictReader(io.StringIO(b"".join(pieces).decode("utf-8-sig"))))
    numbers = [int(row["message id"][-8:], 16) for row in rows]
    assert len(numbers) == 12_000
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("name", "plain", "written"),
    [
        ("a.csv", "a.csv", "a.csv"),
        ("预约.csv", "__.csv", "%E9%A2%84%E7%BA%A6.csv"),
        ('a"b\r\nX: y.csv', "a_b__X_ y.csv", "a_b__X_%20y.csv"),
        ("../../etc/\u202egpj.exe", "_.._etc__gpj.exe", "_.._etc__gpj.exe"),
        ("", "download", "download"),
    ],
)
def test_a_name_is_safe_in_a_header(name: str, plain: str, written: str) -> None:
    assert attachment(name) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{written}"

"""What a campaign sees of its uploads, asked of a real database."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from config.identifiers import new_identifier
from config.settings import Settings
from database.connections import Pool, open_pool
from gateway.embedded.postgres import PostgreSQLServer
from processing.uploads import ListedUpload
from sftpd.refusals import ListingUnavailable
from sftpd.session.received_uploads import ReceivedUploads
from tests.sftpd.boxes import NotedIntake, NotedUploads

WAITING = (
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
)
SENT_AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def received(pool: Pool) -> ReceivedUploads:
    return ReceivedUploads(pool, timeout=10, at_a_time=3)


async def add_upload(pool: Pool, campaign_id: str, name: str, size: int, *, age: timedelta) -> None:
    """Record an upload of `size` bytes that came in that long ago."""
    await pool.execute(
        "insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at, modified_at)"
        " values ($1, $2, $3, 'received', $4, $1, now() - $5::interval, $6)",
        new_identifier("upload"),
        campaign_id,
        name,
        size,
        age,
        SENT_AT,
    )


async def sizes(received: ReceivedUploads, campaign_id: str) -> dict[str, int]:
    return {upload.file_name: upload.byte_count for upload in await received.fetch_newest(campaign_id, 1000)}


async def test_the_listing_shows_the_newest_of_each_name_within_24_hours(
    received: ReceivedUploads, pool: Pool, campaign: str
) -> None:
    await add_upload(pool, campaign, "old.csv", 1, age=timedelta(hours=25))
    await add_upload(pool, campaign, "appointments.csv", 2, age=timedelta(hours=23))
    await add_upload(pool, campaign, "appointments.csv", 3, age=timedelta(hours=1))
    await add_upload(pool, campaign, "other.csv", 4, age=timedelta(hours=2))
    assert await sizes(received, campaign) == {"appointments.csv": 3, "other.csv": 4}
    newest = await received.fetch(campaign, "appointments.csv")
    assert newest is not None
    assert (newest.byte_count, newest.modified_at) == (3, SENT_AT)
    assert await received.fetch(campaign, "old.csv") is None


async def test_the_listing_shows_the_newest_uploads_and_no_more_than_asked_for(
    received: ReceivedUploads, pool: Pool, campaign: str
) -> None:
    for hours, name in enumerate(["d.csv", "b.csv", "a.csv", "c.csv"]):
        await add_upload(pool, campaign, name, hours, age=timedelta(hours=hours))
    newest = await received.fetch_newest(campaign, 3)
    assert [upload.file_name for upload in newest] == ["a.csv", "b.csv", "d.csv"]


async def test_a_campaign_has_only_some_questions_at_a_time(pool: Pool, campaign: str) -> None:
    received = ReceivedUploads(pool, timeout=60, at_a_time=2)
    async with pool.acquire() as blocking, blocking.transaction():
        await blocking.execute("lock table uploads in access exclusive mode")
        own = [asyncio.create_task(received.fetch(campaign, "a.csv")) for _ in range(5)]
        # These were asked later and wait at the lock too: were there room for more of the first, they would have come before.
        others = [asyncio.create_task(received.fetch("campaign_other", "a.csv")) for _ in range(5)]
        async with asyncio.timeout(30):
            while await pool.fetchval(WAITING) < 4:  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.01)
        assert await pool.fetchval(WAITING) == 4
    assert await asyncio.gather(*own, *others) == [None] * 10


async def test_the_listing_is_the_campaigns_own(received: ReceivedUploads, pool: Pool, campaign: str) -> None:
    await add_upload(pool, campaign, "appointments.csv", 1, age=timedelta())
    assert await sizes(received, "campaign_other") == {}
    assert await received.fetch("campaign_other", "appointments.csv") is None


async def test_a_time_set_later_is_shown_at_the_newest_upload_of_that_name(
    received: ReceivedUploads, pool: Pool, campaign: str
) -> None:
    await add_upload(pool, campaign, "appointments.csv", 1, age=timedelta(hours=1))
    await add_upload(pool, campaign, "appointments.csv", 2, age=timedelta())
    set_at = datetime(2026, 3, 4, tzinfo=UTC)
    await received.record_modified_at(campaign, "appointments.csv", set_at)
    rows = await pool.fetch("select bytes, modified_at from uploads order by bytes")
    assert [(row["bytes"], row["modified_at"]) for row in rows] == [(1, SENT_AT), (2, set_at)]


async def test_a_name_taken_out_of_the_listing_keeps_its_upload(
    received: ReceivedUploads, pool: Pool, campaign: str
) -> None:
    await add_upload(pool, campaign, "appointments.csv", 1, age=timedelta())
    await add_upload(pool, campaign, "other.csv", 2, age=timedelta())
    await received.unlist(campaign, "appointments.csv")
    assert await sizes(received, campaign) == {"other.csv": 2}
    assert await pool.fetchval("select count(*) from uploads") == 2


async def test_the_boxes_stand_in_answers_as_the_database_does(
    received: ReceivedUploads, pool: Pool, campaign: str
) -> None:
    intake, now = NotedIntake(), datetime.now(UTC)
    stand_in = NotedUploads(intake)
    for hours, name in ((5, "b.csv"), (4, "c.csv"), (3, "a.csv"), (2, "b.csv"), (1, "d.csv")):
        await add_upload(pool, campaign, name, hours, age=timedelta(hours=hours))
        intake.list_upload(ListedUpload(name, hours, SENT_AT, now - timedelta(hours=hours)))

    async def answers(of: ReceivedUploads) -> list[object]:
        listings = [
            [(upload.file_name, upload.byte_count, upload.modified_at) for upload in listing]
            for listing in [await of.fetch_newest(campaign, most) for most in (1000, 2, 1)]
        ]
        single = [await of.fetch(campaign, name) for name in ("b.csv", "c.csv", "none.csv")]
        since = [
            await of.has_any_since(campaign, names, now - timedelta(hours=hours, minutes=1))
            for names in (["b.csv"], ["c.csv", "a.csv"], ["none.csv"])
            for hours in (1, 2, 3, 4)
        ]
        return [*listings, [upload and (upload.byte_count, upload.modified_at) for upload in single], since]

    async def both() -> list[object]:
        expected = await answers(received)
        assert await answers(stand_in) == expected
        return expected

    seen = [await both()]
    for of in (received, stand_in):
        await of.record_modified_at(campaign, "b.csv", SENT_AT + timedelta(1))
    seen.append(await both())
    for of in (received, stand_in):
        await of.unlist(campaign, "c.csv")
    seen.append(await both())
    assert seen[0] != seen[1] != seen[2]


async def test_a_database_that_is_away_is_a_refusal(
    settings: Settings, own_postgres: PostgreSQLServer
) -> None:
    database = settings.database.model_copy(update={"url": SecretStr(own_postgres.socket_url("postgres"))})
    async with open_pool(database, name="test") as pool:
        received = ReceivedUploads(pool, timeout=1, at_a_time=3)
        assert await received.fetch_newest("campaign_a", 1000) == []
        own_postgres.stop()
        with pytest.raises(ListingUnavailable):
            await received.fetch_newest("campaign_a", 1000)
        with pytest.raises(ListingUnavailable):
            await received.record_modified_at("campaign_a", "a.csv", SENT_AT)

"""A database restored to yesterday, told by the newest claim's time in the bucket: real PostgreSQL, real S3."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from audit.events import Actor
from config.sections import DatabaseSettings, S3Settings
from config.settings import Settings
from database.connections import UNREACHABLE, Connection, Pool, open_pool
from gateway.embedded.postgres import PostgreSQLServer
from gateway.embedded.s3 import S3Server
from gateway.processes.sender import BucketClaimMark
from processing.object_store import open_store
from sending.errors import RestoreNotConfirmed
from sending.pauses import RESTORED, resume_senders
from sending.upkeep.restored import DatabaseGuard, check_before_claims, keep_mark, renew_mark
from tests.messages.builders import later, make_batch
from tests.sending.sending_node import NotingProvider, add_batch, add_campaign, sending_node, until


@pytest.fixture
async def mark(s3_settings: S3Settings) -> AsyncIterator[BucketClaimMark]:
    async with open_store(s3_settings) as store:
        yield BucketClaimMark(store)


async def claim(connection: Connection, at: datetime) -> None:
    """What a claim leaves on its sender's row."""
    await connection.execute("update senders set claimed_at = $1 where name = 'public'", at)


async def restore(connection: Connection, *, claimed: datetime | None, marked: datetime | None) -> None:
    await connection.execute("update senders set claimed_at = $1, marked_at = $2", claimed, marked)


async def paused(connection: Connection) -> list[str]:
    rows = await connection.fetch(
        "select name, paused_because, paused_until from senders where paused_since is not null order by name"
    )
    assert {(row["paused_because"], row["paused_until"]) for row in rows} <= {(RESTORED, None)}
    return [row["name"] for row in rows]


@pytest.fixture
async def senders(connection: Connection, campaign_id: str, other_campaign_id: str) -> None:
    """Two senders with a batch each, of which nothing was claimed yet."""
    await make_batch(connection, campaign_id, [], unclaimed=1)
    await make_batch(connection, other_campaign_id, [], unclaimed=1, sender="MG1")


async def test_the_mark_is_the_newest_committed_claim_to_the_microsecond(
    pool: Pool, connection: Connection, mark: BucketClaimMark, senders: None
) -> None:
    assert await mark.read() is None
    await renew_mark(pool, mark)
    assert await mark.read() is None
    for at in (later(seconds=1, microseconds=1), later(seconds=2)):
        await claim(connection, at)
        await renew_mark(pool, mark)
        assert await mark.read() == at
    assert not await DatabaseGuard(pool, mark).check()
    assert await paused(connection) == []


async def test_a_database_restored_to_yesterday_has_all_senders_paused_until_they_are_resumed(
    pool: Pool, connection: Connection, mark: BucketClaimMark, senders: None
) -> None:
    await claim(connection, later(hours=24))
    await renew_mark(pool, mark)
    await restore(connection, claimed=later(hours=1), marked=later(hours=1))
    assert await DatabaseGuard(pool, mark).check()
    assert await paused(connection) == ["MG1", "public"]
    # It stays so, whatever else is looked at; the mark isn't taken back.
    await renew_mark(pool, mark)
    assert await mark.read() == later(hours=24)
    events = await connection.fetch("select event, details from audit_events where event = 'sending_paused'")
    assert len(events) == 1
    assert RESTORED in events[0]["details"]
    for name in (None, "MG1"):
        with pytest.raises(RestoreNotConfirmed):
            await resume_senders(connection, name, actor=Actor(name="ops"))
    assert await paused(connection) == ["MG1", "public"]
    await resume_senders(connection, None, actor=Actor(name="ops"), everything=True)
    assert not await DatabaseGuard(pool, mark).check()
    await claim(connection, later(hours=25))
    await renew_mark(pool, mark)
    assert await mark.read() == later(hours=25)
    assert await paused(connection) == []


async def test_a_database_restored_to_before_its_first_claim_is_one_too(
    pool: Pool, connection: Connection, mark: BucketClaimMark, senders: None
) -> None:
    await mark.write(later(hours=24))
    assert await DatabaseGuard(pool, mark).check()


async def test_a_failed_over_database_is_known_although_it_has_claimed_since(
    pool: Pool, connection: Connection, mark: BucketClaimMark, senders: None
) -> None:
    await claim(connection, later(minutes=10))
    await renew_mark(pool, mark)
    await restore(connection, claimed=later(minutes=11), marked=later(minutes=5))
    await renew_mark(pool, mark)
    assert await paused(connection) == ["MG1", "public"]


async def test_a_new_installation_is_not_taken_for_a_restored_one(
    pool: Pool, connection: Connection, mark: BucketClaimMark
) -> None:
    """Also where it has the bucket of one before it."""
    await connection.execute("insert into senders (name, provider, rate) values ('public', 'none', 1)")
    assert not await DatabaseGuard(pool, mark).check()
    await mark.write(later(hours=1))
    assert not await DatabaseGuard(pool, mark).check()
    assert await paused(connection) == []


async def test_a_crash_between_database_and_bucket_pauses_nothing(
    pool: Pool, connection: Connection, mark: BucketClaimMark, senders: None
) -> None:
    await claim(connection, later(minutes=1))
    await renew_mark(pool, mark)
    # Claims and a mark of which the bucket never heard.
    await restore(connection, claimed=later(minutes=3), marked=later(minutes=2))
    assert not await DatabaseGuard(pool, mark).check()
    await renew_mark(pool, mark)
    assert await mark.read() == later(minutes=3)


async def test_nodes_that_claim_and_mark_at_once_pause_nothing(
    pool: Pool, connection: Connection, mark: BucketClaimMark, senders: None
) -> None:
    async def node(number: int) -> None:
        for second in range(8):
            async with pool.acquire() as own:
                await claim(own, later(seconds=second, milliseconds=number))
            # rclone's S3 fails where one object is written by several at once; the next minute's write stands in for it.
            with contextlib.suppress(OSError):
                await renew_mark(pool, mark)

    await asyncio.gather(*(node(number) for number in range(4)))
    assert await paused(connection) == []


async def test_nothing_is_claimed_before_the_bucket_could_be_asked_and_the_node_starts_all_the_same(
    pool: Pool,
    connection: Connection,
    own_s3: S3Server,
    settings: object,
    senders: None,
    s3_settings: S3Settings,
) -> None:
    own = s3_settings.model_copy(
        update={"endpoint_url": own_s3.endpoint_url, "bucket": "own", "link_endpoint_url": None}
    )
    async with open_store(own) as store:
        mark = BucketClaimMark(store)
        await mark.write(later(hours=24))
        own_s3.stop()
        stop, node_starts = asyncio.Event(), asyncio.Event()
        checking = asyncio.create_task(
            check_before_claims(DatabaseGuard(pool, mark).check, stop, waiting=node_starts.set)
        )
        await asyncio.wait_for(node_starts.wait(), 60)
        assert not checking.done()
        own_s3.start()
        await asyncio.wait_for(checking, 60)
    assert await paused(connection) == ["MG1", "public"]


async def test_the_mark_is_kept_in_the_background(
    pool: Pool, connection: Connection, mark: BucketClaimMark, senders: None
) -> None:
    await claim(connection, later(minutes=1))
    keeping = asyncio.create_task(keep_mark(pool, mark, every=0.05))
    async with asyncio.timeout(20):
        while await mark.read() != later(minutes=1):  # noqa: ASYNC110 - the bucket tells nobody
            await asyncio.sleep(0.05)
    keeping.cancel()


async def test_an_object_that_holds_no_time_is_no_mark_that_can_be_relied_on(
    s3_settings: S3Settings, mark: BucketClaimMark, s3: S3Server
) -> None:
    async with open_store(s3_settings) as store:
        await store.put("sending/newest-claim", io.BytesIO(b"yesterday"), download_name="x")
    with pytest.raises(OSError, match="holds no time"):
        await mark.read()


async def test_a_database_restored_under_a_running_sender_is_compared_before_anything_of_it_leaves(
    own_postgres: PostgreSQLServer, settings: Settings, mark: BucketClaimMark
) -> None:
    database = DatabaseSettings(url=SecretStr(own_postgres.socket_url("postgres")))
    own_settings = settings.model_copy(update={"database": database})
    provider = NotingProvider()
    async with open_pool(database, name="test") as pool:
        async with pool.acquire() as connection:
            batch_no = await add_batch(connection, await add_campaign(connection, "campaign"), 1000)
        async with sending_node(own_settings, pool, provider, rate=20, mark=mark):
            await until(lambda: len(provider.handed_over) > 5, "some at the provider")
            # Elsewhere was claimed what the database, once it is restored, knows nothing of.
            await mark.write(datetime.now(UTC) + timedelta(hours=1))
            own_postgres.restart()
            async with asyncio.timeout(60):
                while True:
                    try:
                        async with pool.acquire() as connection:
                            if await paused(connection):
                                break
                    except UNREACHABLE:
                        pass
                    await asyncio.sleep(0.05)
        async with pool.acquire() as connection:
            claimed = await connection.fetch(
                "select row_number from attempts where created_at >= pg_postmaster_start_time()"
            )
            assert len(claimed) > 0
            assert {row["row_number"] for row in claimed}.isdisjoint(provider.rows_of(batch_no))
            # What was claimed of it goes again, once people have said so.
            await resume_senders(connection, None, actor=Actor(name="ops"), everything=True)
        put_back = {row["row_number"] for row in claimed}
        async with sending_node(own_settings, pool, provider, rate=10_000, mark=mark):
            await until(lambda: put_back <= set(provider.rows_of(batch_no)), "what was put back")
    rows = provider.rows_of(batch_no)
    assert len(rows) == len(set(rows))


async def test_a_database_that_was_only_restarted_goes_on_once_it_was_compared(
    own_postgres: PostgreSQLServer, settings: Settings, mark: BucketClaimMark
) -> None:
    database = DatabaseSettings(url=SecretStr(own_postgres.socket_url("postgres")))
    provider = NotingProvider()
    async with open_pool(database, name="test") as pool:
        async with pool.acquire() as connection:
            batch_no = await add_batch(connection, await add_campaign(connection, "campaign"), 200)
        own_settings = settings.model_copy(update={"database": database})
        async with sending_node(own_settings, pool, provider, rate=50, mark=mark):
            await until(lambda: len(provider.handed_over) > 5, "some at the provider")
            own_postgres.restart()
            # What was being claimed at that moment may stay `sending`, as nobody heard of it.
            before = len(provider.handed_over)
            await until(lambda: len(provider.handed_over) > before + 60, "more at the provider", seconds=60)
    rows = provider.rows_of(batch_no)
    assert len(rows) == len(set(rows))

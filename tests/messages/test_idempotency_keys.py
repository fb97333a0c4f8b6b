"""What a key was used for: the first request has it, the same one gets the same answer, another one is told, for 24 hours."""

import asyncio

import pytest

from database.connections import Connection, Pool
from messages.idempotency_keys import (
    Replay,
    Reserved,
    Reused,
    UnderWay,
    finish,
    forget_old,
    free,
    keep_answer,
    look_up,
    reserve,
)

SAME, OTHER = b"s" * 32, b"o" * 32
UPLOAD, LATER_UPLOAD = "upload_1", "upload_2"


class Key:
    """One campaign's key."""

    def __init__(self, connection: Connection, campaign_id: str = "campaign_1", key: str = "k") -> None:
        self.connection, self.campaign_id, self.key = connection, campaign_id, key

    async def reserve(
        self, fingerprint: bytes = SAME, upload_id: str | None = UPLOAD
    ) -> Reserved | Reused | Replay | UnderWay:
        return await reserve(
            self.connection,
            campaign_id=self.campaign_id,
            key=self.key,
            fingerprint=fingerprint,
            upload_id=upload_id,
        )

    async def finish(self, upload_id: str = UPLOAD) -> bool:
        return await finish(
            self.connection,
            campaign_id=self.campaign_id,
            key=self.key,
            upload_id=upload_id,
            status=201,
            answer=b'{"isValid":true}',
        )

    async def keep(self) -> bool:
        return await keep_answer(
            self.connection,
            campaign_id=self.campaign_id,
            key=self.key,
            fingerprint=SAME,
            status=400,
            answer=b"{}",
        )

    async def look_up(self) -> Reused | Replay | UnderWay | None:
        return await look_up(self.connection, campaign_id=self.campaign_id, key=self.key, fingerprint=SAME)

    async def age(self, hours: float) -> None:
        await self.connection.execute(
            "update idempotency_keys set made_at = now() - make_interval(secs => $1)", hours * 3600
        )


@pytest.fixture
def key(connection: Connection) -> Key:
    return Key(connection)


async def test_the_first_request_has_the_key_and_others_are_told_what_became_of_it(key: Key) -> None:
    assert await key.look_up() is None
    assert await key.reserve() == Reserved()
    assert await key.reserve(upload_id=LATER_UPLOAD) == UnderWay(UPLOAD)
    assert await key.reserve(OTHER) == Reused()
    assert await key.finish()
    answered = Replay(201, b'{"isValid":true}')
    assert await key.reserve(upload_id=LATER_UPLOAD) == await key.look_up() == answered
    assert await key.reserve(OTHER) == Reused()
    assert not await key.finish()


async def test_each_campaign_has_keys_of_its_own(key: Key, connection: Connection) -> None:
    assert await key.reserve() == Reserved()
    assert await Key(connection, "campaign_2").reserve(OTHER) == Reserved()
    assert await Key(connection, key="K").reserve(OTHER) == Reserved()


async def test_a_key_is_free_again_where_nothing_came_of_it_and_not_once_it_has_its_answer(key: Key) -> None:
    assert await key.reserve() == Reserved()
    await free(key.connection, upload_id=LATER_UPLOAD)
    assert await key.look_up() == UnderWay(UPLOAD)
    await free(key.connection, upload_id=UPLOAD)
    assert await key.look_up() is None
    assert await key.reserve(OTHER, LATER_UPLOAD) == Reserved()
    # The answer of the upload that had it before is not this one's.
    assert not await key.finish(UPLOAD)
    assert await key.finish(LATER_UPLOAD)
    await free(key.connection, upload_id=LATER_UPLOAD)
    assert await key.look_up() == Reused()


async def test_a_refusal_is_kept_as_an_answer(key: Key) -> None:
    assert await key.keep()
    assert not await key.keep()
    assert await key.look_up() == Replay(400, b"{}")


@pytest.mark.parametrize(
    ("hours", "is_kept"), [pytest.param(23.9, True, id="a day less"), pytest.param(24, False, id="a day")]
)
async def test_a_key_is_kept_for_24_hours(key: Key, hours: float, is_kept: bool) -> None:
    assert await key.keep()
    await key.age(hours)
    assert await key.look_up() == (Replay(400, b"{}") if is_kept else None)
    assert await key.keep() is not is_kept
    await key.age(hours)
    assert await key.reserve(OTHER) == (Reused() if is_kept else Reserved())
    await key.age(hours)
    assert await forget_old(key.connection) == (0 if is_kept else 1)


async def test_who_comes_while_the_first_is_being_committed_waits_for_it(pool: Pool, key: Key) -> None:
    async with pool.acquire() as second:
        async with key.connection.transaction():
            assert await key.reserve() == Reserved()
            waiting = asyncio.create_task(Key(second).reserve(upload_id=LATER_UPLOAD))
            locked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            async with asyncio.timeout(20):
                while not await key.connection.fetchval(locked):  # noqa: ASYNC110 - PostgreSQL tells nobody
                    await asyncio.sleep(0.02)
        assert await waiting == UnderWay(UPLOAD)

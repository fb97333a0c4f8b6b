"""Senders that are answered no verdict, or wait for none: nothing of theirs is accepted then, and what they send again is."""

import asyncio
import json
from dataclasses import replace

import pytest

from config.settings import Settings
from database.connections import Pool
from processing.object_store import open_store
from tests.api.batches.bodies import GOOD, HEADERS, begun, chunk, form
from tests.api.batches.conftest import working
from tests.api.client import APIClient
from tests.api.served import parse_answer, serving, until_awaited

BODY = form(GOOD)


async def statuses(pool: Pool) -> list[str]:
    rows = await pool.fetch(
        "select case when withdrawn_at is null then status else 'withdrawn' end as status from uploads order by received_at"
    )
    return [row["status"] for row in rows]


async def reasons(pool: Pool) -> list[str]:
    rows = await pool.fetch("select details from audit_events where event = 'upload_withdrawn'")
    return [json.loads(row["details"])["reason"] for row in rows]


def with_api(settings: Settings, **changes: float) -> Settings:
    return settings.model_copy(update={"api": settings.api.model_copy(update=changes)})


async def test_a_client_that_hangs_up_while_it_waits_and_posts_again_makes_one_batch(
    client: APIClient, pool: Pool, settings: Settings
) -> None:
    async with begun(client, BODY, len(BODY)):
        await until_awaited(lambda: statuses(pool), ["received"])
    await until_awaited(lambda: statuses(pool), ["withdrawn"])
    assert await reasons(pool) == ["hung_up"]
    upload = await pool.fetchrow("select status, object_key, support_id from uploads")
    assert upload is not None
    assert (upload["status"], upload["object_key"]) == ("failed", None)
    async with open_store(settings.s3) as store, working(settings, pool, store):
        answer = await client.post("/batch/messages", content=BODY, headers=HEADERS)
        await until_awaited(lambda: pool.fetchval("select count(*) from pgqueuer"), 0)
    assert answer.status == 201
    assert await statuses(pool) == ["withdrawn", "accepted"]
    assert await pool.fetchval("select count(*) from batches") == 1


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_client_that_hangs_up_in_the_middle_of_its_body_leaves_nothing(
    client: APIClient, pool: Pool, *, is_chunked: bool
) -> None:
    half = BODY[: len(BODY) // 2]
    async with begun(client, chunk(half) if is_chunked else half, None if is_chunked else len(BODY)):
        pass
    # A whole body without its announced end is none either, where the client ends only what it says.
    async with begun(client, chunk(BODY)) as (reader, writer):
        writer.write_eof()
        await reader.read()
    # The process goes on, and an upload of after is the first.
    async with begun(client, BODY, len(BODY)):
        await until_awaited(lambda: statuses(pool), ["received"])


async def test_a_verdict_that_comes_too_late_is_answered_503_and_its_key_is_free(
    api_settings: Settings, client: APIClient, pool: Pool, settings: Settings
) -> None:
    keyed = {**HEADERS, "Idempotency-Key": "one"}
    async with serving(with_api(api_settings, decide_within=3)) as port:
        answer = await replace(client, port=port).post("/batch/messages", content=BODY, headers=keyed)
    assert (answer.status, answer.body) == (503, b'{"message":"Service Unavailable","statusCode":503}')
    assert int(answer.headers["retry-after"]) >= 1
    # A machine so busy that nothing was stored in three seconds took nothing.
    assert await statuses(pool) in ([], ["withdrawn"])
    assert await reasons(pool) in ([], ["late"])
    async with open_store(settings.s3) as store, working(settings, pool, store):
        answer = await client.post("/batch/messages", content=BODY, headers=keyed)
    assert answer.status == 201
    assert "idempotency-replayed" not in answer.headers
    assert await pool.fetchval("select count(*) from batches") == 1


async def test_the_same_key_is_in_use_while_the_first_call_waits(client: APIClient, pool: Pool) -> None:
    keyed = {**HEADERS, "Idempotency-Key": "one"}
    waiting = asyncio.create_task(client.post("/batch/messages", content=BODY, headers=keyed))
    await until_awaited(lambda: statuses(pool), ["received"])
    second = await client.post("/batch/messages", content=BODY, headers=keyed)
    other = await client.post("/batch/messages", content=form(GOOD, "x.csv"), headers=keyed)
    codes = [json.loads(answer.body)["error"]["code"] for answer in (second, other)]
    assert codes == ["idempotency_key_in_use", "idempotency_key_reused"]
    assert (second.status, other.status) == (409, 422)
    waiting.cancel()
    await until_awaited(lambda: statuses(pool), ["withdrawn"])
    assert await pool.fetchval("select count(*) from idempotency_keys") == 0


async def test_a_process_that_stops_withdraws_what_has_no_verdict_in_time(
    api_settings: Settings, client: APIClient, pool: Pool
) -> None:
    async with serving(with_api(api_settings, drain_timeout=8)) as port:
        stopping = replace(client, port=port)
        waiting = asyncio.create_task(stopping.post("/batch/messages", content=BODY, headers=HEADERS))
        await until_awaited(lambda: statuses(pool), ["received"])
        connected = begun(stopping, BODY[:-20], len(BODY))
        reader, _ = await connected.__aenter__()
    assert (await waiting).status == 503
    assert parse_answer(await reader.read()).status == 503
    await connected.__aexit__(None, None, None)
    assert await statuses(pool) == ["withdrawn"]
    assert await reasons(pool) == ["stopping"]


async def test_a_process_that_loses_the_connection_on_which_it_waits_goes_on_waiting(
    client: APIClient, pool: Pool, settings: Settings
) -> None:
    waiting = asyncio.create_task(client.post("/batch/messages", content=BODY, headers=HEADERS))
    await until_awaited(lambda: statuses(pool), ["received"])
    (before,) = await waiters(pool)
    await pool.execute("select pg_terminate_backend($1, 20000)", before)
    async with asyncio.timeout(30):
        while await waiters(pool) in ([], [before]):  # noqa: ASYNC110 - PostgreSQL tells nobody
            await asyncio.sleep(0.05)
    async with open_store(settings.s3) as store, working(settings, pool, store):
        assert (await waiting).status == 201
    await until_awaited(lambda: waiters(pool), list[int]())


async def waiters(pool: Pool) -> list[int]:
    """The sessions that hold the lock which says that somebody waits."""
    rows = await pool.fetch(
        "select l.pid from pg_locks l join uploads u on l.locktype = 'advisory' and l.classid::bigint = u.waiter >> 32"
        " and l.objid::bigint = u.waiter & 4294967295 and l.granted"
    )
    return [row["pid"] for row in rows]

"""The object store on a real S3, and what goes when it has had its time."""

import asyncio
import base64
import io
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from config.sections import RetentionSettings
from config.settings import Settings
from database.connections import Pool
from gateway.embedded.s3 import S3Server
from processing.errors import ObjectMissing, StoreUnavailable
from processing.intake import Intake
from processing.object_store import (
    S3ObjectStore,
    open_store,
    original_key,
    report_key,
)
from processing.retention import remove_expired
from tests.processing.conftest import GOOD, MakeSpool


async def read(store: S3ObjectStore, key: str) -> bytes:
    target = io.BytesIO()
    await store.fetch(key, target)
    return target.getvalue()


async def test_an_object_comes_back_as_it_was_put(store: S3ObjectStore) -> None:
    await store.put("originals/c/1.csv", io.BytesIO(GOOD), download_name="a.csv")
    assert await read(store, "originals/c/1.csv") == GOOD


async def test_the_service_is_told_the_checksum_that_the_upload_is_recorded_with(
    store: S3ObjectStore,
) -> None:
    """Hashed once: the signature covers the checksum, the checksum the content."""
    sent: list[dict[str, bytes]] = []
    store._client.meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: sent.append(dict(request.headers))
    )
    source = io.BytesIO(GOOD)
    source.seek(5)
    assert await store.put("originals/c/2.csv", source, download_name="a.csv") == sha256(GOOD).hexdigest()
    assert await read(store, "originals/c/2.csv") == GOOD
    (headers,) = sent
    assert headers["x-amz-checksum-sha256"] == base64.b64encode(sha256(GOOD).digest())
    assert headers["X-Amz-Content-SHA256"] == b"UNSIGNED-PAYLOAD"
    assert b"x-amz-checksum-sha256" in headers["Authorization"]


async def test_a_link_gives_the_object_as_an_attachment_and_only_that_one(store: S3ObjectStore) -> None:
    await store.put("validation-reports/c/1.csv", io.BytesIO(GOOD), download_name='a"b\r\n.csv')
    link = await store.sign_link("validation-reports/c/1.csv")
    with await asyncio.to_thread(urllib.request.urlopen, link) as response:
        assert response.read() == GOOD
        assert response.headers["Content-Disposition"] == 'attachment; filename="a_b__.csv"'
        assert response.headers["Cache-Control"] == "no-store"
    with pytest.raises(urllib.error.HTTPError) as refused:
        await asyncio.to_thread(urllib.request.urlopen, link.replace("/c/1.csv", "/c/2.csv"))
    refused.value.close()
    assert refused.value.code in {403, 404}


async def test_with_a_public_base_url_the_link_is_the_guides(settings: Settings) -> None:
    s3 = settings.s3.model_copy(update={"public_base_url": "https://files.postman.gov.sg/"})
    async with open_store(s3) as store:
        link = await store.sign_link(report_key("campaign_1", "r"))
    assert link == "https://files.postman.gov.sg/validation-reports/campaign_1/r.csv"


async def test_an_object_that_is_missing_is_told_apart_from_a_store_that_is_away(
    settings: Settings, own_s3: S3Server
) -> None:
    s3 = settings.s3.model_copy(update={"endpoint_url": own_s3.endpoint_url, "bucket": "own"})
    async with open_store(s3) as store:
        with pytest.raises(ObjectMissing):
            await read(store, "originals/c/none.csv")
        own_s3.stop()
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await read(store, "originals/c/none.csv")


async def test_a_bucket_that_does_not_exist_is_not_named_in_the_error(settings: Settings) -> None:
    s3 = settings.s3.model_copy(update={"bucket": "no-such-bucket"})
    async with open_store(s3) as store:
        with pytest.raises(StoreUnavailable) as refused:
            await store.put("originals/c/1.csv", io.BytesIO(b"x"), download_name="a.csv")
    assert "no-such-bucket" not in str(refused.value)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
async def test_a_fetch_cut_at_any_moment_comes_to_an_end(
    share: float, settings: Settings, store: S3ObjectStore
) -> None:
    """In the answer's head, too: there the library's own download waits for ever."""
    head = (
        b"HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: 1000\r\nContent-Type: text/csv; charset=utf-8\r\n"
        b'Etag: "d41d8cd98f00b204e9800998ecf8427e"\r\nLast-Modified: Sun, 22 Nov 2026 00:00:00 GMT\r\n\r\n'
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        # What asks first how long it is gets to know.
        writer.write(head if request.startswith(b"HEAD") else head[: int(len(head) * share)])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    s3 = settings.s3.model_copy(update={"endpoint_url": f"http://127.0.0.1:{port}"})
    target = io.BytesIO()
    async with asyncio.timeout(30), server, open_store(s3) as cutting:
        with suppress(StoreUnavailable):
            await cutting.fetch("originals/c/1.csv", target)
    assert target.getvalue() == b""


async def test_a_404_to_a_put_is_a_store_that_is_away_for_now(settings: Settings) -> None:
    """As a load balancer answers while nothing stands behind it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    s3 = settings.s3.model_copy(update={"endpoint_url": f"http://127.0.0.1:{port}"})
    async with server, open_store(s3) as store:
        with pytest.raises(StoreUnavailable, match="HTTP 404"):
            await store.put("originals/c/1.csv", io.BytesIO(b"x"), download_name="a.csv")


async def test_what_has_had_its_time_goes_but_undecided_originals_stay(
    intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore, settings: Settings
) -> None:
    undecided, decided = make_spool(GOOD), make_spool(GOOD + b"\n")
    await intake.store(undecided)
    await intake.store(decided)
    await pool.execute(
        "update uploads set status = 'failed', support_id = 'S', finished_at = now() where id = $1",
        decided.upload_id,
    )
    keys = [original_key(spool.sender.campaign_id, spool.upload_id) for spool in (undecided, decided)]
    await store.put("validation-reports/c/1.csv", io.BytesIO(b"r"), download_name="r.csv")
    await remove_expired(pool, store, RetentionSettings())
    assert await pool.fetchval("select count(*) from uploads where object_key is null") == 0
    await pool.execute("update uploads set received_at = received_at - interval '8 days'")
    await remove_expired(pool, store, RetentionSettings())
    forgotten = await pool.fetch("select id from uploads where object_key is null")
    assert [row["id"] for row in forgotten] == [decided.upload_id]
    assert await read(store, keys[1]) == GOOD + b"\n"
    assert await store.delete_older("originals", datetime.now(UTC) + timedelta(days=1), keep={keys[0]}) == 1
    assert await read(store, keys[0]) == GOOD
    with pytest.raises(ObjectMissing):
        await read(store, keys[1])
    assert await read(store, "validation-reports/c/1.csv") == b"r"


async def test_an_original_that_its_upload_still_names_stays_though_the_clocks_differ(
    intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await pool.execute(
        "update uploads set status = 'failed', support_id = 'S', finished_at = now(),"
        " received_at = now() + interval '1 minute'"
    )
    await remove_expired(pool, store, RetentionSettings.model_construct(originals_days=0, reports_days=14))
    assert await read(store, original_key(spool.sender.campaign_id, spool.upload_id)) == GOOD


async def test_the_queues_own_log_and_statistics_have_their_time_too(
    pool: Pool, store: S3ObjectStore
) -> None:
    for age in (1, 8):
        await pool.execute(
            "insert into pgqueuer_log (created, job_id, status, priority, entrypoint, aggregated)"
            " values (now() - $1 * interval '1 day', 1, 'successful', 0, 'verdict', true)",
            age,
        )
        await pool.execute(
            "insert into pgqueuer_statistics (created, count, priority, status, entrypoint)"
            " values (now() - $1 * interval '1 day', 1, 0, 'successful', 'verdict')",
            age,
        )
    await remove_expired(pool, store, RetentionSettings())
    for table in ("pgqueuer_log", "pgqueuer_statistics"):
        assert await pool.fetchval(f"select count(*) from {table}") == 1

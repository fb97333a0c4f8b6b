"""The object store on a real S3."""

import asyncio
import base64
import io
import urllib.error
import urllib.request
from contextlib import suppress
from hashlib import sha256

import pytest

from config.settings import Settings
from gateway.embedded.s3 import S3Server
from processing.errors import ObjectMissing, StoreUnavailable
from processing.object_store import (
    S3ObjectStore,
    open_store,
    report_key,
)
from tests.processing.conftest import GOOD, read_object


async def test_an_object_comes_back_as_it_was_put(store: S3ObjectStore) -> None:
    await store.put("originals/c/1.csv", io.BytesIO(GOOD), download_name="a.csv")
    assert await read_object(store, "originals/c/1.csv") == GOOD


async def test_an_object_is_read_piece_by_piece_from_a_place_on(store: S3ObjectStore) -> None:
    content = bytes(range(256)) * 8192
    key = "validation-reports/c/1.csv"
    await store.put(key, io.BytesIO(content), download_name="a.csv")
    assert b"".join([piece async for piece in store.stream(key)]) == content
    assert await store.read(key, b"".join) == content
    assert await store.read(key, b"".join, start=2_000_000) == content[2_000_000:]
    assert await store.read(key, b"".join, start=9_000_000) == b""
    # Whoever has read enough leaves the rest.
    assert await store.read(key, next) == content[: 1024 * 1024]
    with pytest.raises(ObjectMissing):
        await store.read("validation-reports/c/2.csv", b"".join)
    with pytest.raises(ObjectMissing):
        await anext(store.stream("validation-reports/c/2.csv"))


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
    assert await read_object(store, "originals/c/2.csv") == GOOD
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
            await read_object(store, "originals/c/none.csv")
        own_s3.stop()
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await read_object(store, "originals/c/none.csv")


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

"""The object store and `check` on S3 of several makers: rclone, moto, s3rver."""

import asyncio
import base64
import io
import secrets
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from moto.s3.models import s3_backends
from pydantic import SecretStr

from config.sections import S3Settings
from gateway.ops.probes import BucketLook, BucketProbe, ProbeFailed
from processing.errors import ObjectMissing, StoreUnavailable
from processing.object_store import Description, open_store
from tests.processing.conftest import GOOD, read_object
from tests.processing.stores.makers import moto, s3rver, s3rver_missing

KEY = "originals/campaign_1/upload_1.csv"
TOLD = Description({"receipt": "1", "upload-id": "upload_1"}, {"file-name": "陈's appointments, 12 März.csv"})


@pytest.fixture(params=["rclone", "moto", "s3rver"])
def made(request: pytest.FixtureRequest, tmp_path: Path, s3_settings: S3Settings) -> Iterator[S3Settings]:
    """Settings that lead to a server of this maker."""
    match request.param:
        case "rclone":
            yield s3_settings
        case "moto":
            with moto(tmp_path) as settings:
                yield settings
        case _:
            if absent := s3rver_missing():
                pytest.skip(absent)
            with s3rver(tmp_path) as settings:
                yield settings


async def test_an_original_comes_back_with_all_that_it_tells(made: S3Settings) -> None:
    name_key = SecretStr(base64.b64encode(secrets.token_bytes(32)).decode())
    async with open_store(made.model_copy(update={"name_key": name_key})) as store:
        digest = await store.put(KEY, io.BytesIO(GOOD), download_name="a.csv", description=TOLD)
        found = await store.head(KEY)
        assert (found.byte_count, found.sha256, found.description) == (len(GOOD), digest, TOLD)
        assert digest == sha256(GOOD).hexdigest()
        assert await read_object(store, KEY) == GOOD
        assert await store.read(KEY, b"".join, start=10) == GOOD[10:]
        assert await store.read(KEY, b"".join, start=9_000) == b""
        assert b"".join([piece async for piece in store.stream(KEY)]) == GOOD
        for missing in (store.head("originals/none"), read_object(store, "originals/none")):
            with pytest.raises(ObjectMissing):
                await missing


async def test_a_link_works_without_credentials_and_offers_a_download(made: S3Settings) -> None:
    async with open_store(made) as store:
        await store.put("validation-reports/c/1.csv", io.BytesIO(GOOD), download_name='a"b.csv')
        link = await store.sign_link("validation-reports/c/1.csv")
    with await asyncio.to_thread(urllib.request.urlopen, link) as response:
        assert response.read() == GOOD
        assert response.headers["Content-Disposition"] == 'attachment; filename="a_b.csv"'
        assert response.headers["Cache-Control"] == "no-store"


async def test_objects_are_listed_by_prefix_and_deleted_by_age(made: S3Settings) -> None:
    async with open_store(made) as store:
        for key in ("originals/c/1.csv", "originals/c/2.csv", "outcomes/c/1.json"):
            await store.put(key, io.BytesIO(b"x"), download_name="x")
        before = datetime.now(UTC) - timedelta(hours=1)
        pages = [page async for page in store.list_pages("originals")]
        assert [each.key for page in pages for each in page] == ["originals/c/1.csv", "originals/c/2.csv"]
        assert all(each.written_at > before for page in pages for each in page)
        assert await store.delete_older("originals", before) == 0
        later = datetime.now(UTC) + timedelta(hours=1)
        assert await store.delete_older("originals", later, keep={"originals/c/2.csv"}) == 1
        await store.delete("originals/c/2.csv")
        assert [page async for page in store.list_pages("originals")] == [[]]


async def test_check_tries_it_for_real(made: S3Settings) -> None:
    probe, look = BucketProbe(made), BucketLook(made)
    try:
        assert "fetched and deleted" in await probe()
        assert await look() == "answers"
    finally:
        probe.close()
        look.close()
    async with open_store(made) as store:
        assert [page async for page in store.list_pages("probes")] == [[]]


async def test_a_service_that_refuses_encryption_is_told_with_its_cure(tmp_path: Path) -> None:
    with moto(tmp_path, refuses_encryption=True) as settings:
        probe = BucketProbe(settings)
        with pytest.raises(ProbeFailed, match="SFTP_GATEWAY_S3__SERVER_SIDE_ENCRYPTION=none"):
            await probe()
        probe.close()
        async with open_store(settings) as store:
            with pytest.raises(StoreUnavailable):
                await store.put(KEY, io.BytesIO(GOOD), download_name="a.csv")
        without = settings.model_copy(update={"server_side_encryption": "none"})
        probe = BucketProbe(without)
        assert "fetched and deleted" in await probe()
        probe.close()
        async with open_store(without) as store:
            await store.put(KEY, io.BytesIO(GOOD), download_name="a.csv")


async def test_a_service_that_forgets_what_objects_tell_is_told(tmp_path: Path) -> None:
    with moto(tmp_path, forgets_metadata=True) as settings:
        probe = BucketProbe(settings)
        with pytest.raises(ProbeFailed, match="x-amz-meta"):
            await probe()
        probe.close()


async def test_more_than_a_page_of_objects_is_listed_whole(tmp_path: Path) -> None:
    with moto(tmp_path) as settings:
        async with open_store(settings) as store:
            for number in range(1003):
                # Past HTTP, which would take moto seconds.
                s3_backends["123456789012"]["aws"].put_object(settings.bucket, f"originals/c/{number}", b"")
            sizes = [len(page) async for page in store.list_pages("originals")]
    assert sizes == [1000, 3]

"""The object store keeps originals and reports in any S3. boto3 speaks to it in threads, and its errors end here."""

import asyncio
import base64
import contextlib
import functools
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, TypeVar

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import SecretStr

from config.logs import get_logger
from config.sections import S3Settings
from processing.errors import ObjectMissing, StoreUnavailable
from processing.reconcile.private_values import read_private, write_private

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef, PutObjectRequestTypeDef

ORIGINALS: Final = "originals"
REPORTS: Final = "validation-reports"
# What `sftp-gateway check` puts, to see that it can.
PROBES: Final = "probes"
# What became of each upload, told before anybody else is told (processing/reconcile/marks.py).
OUTCOMES: Final = "outcomes"
# Message logs that were made in the background.
EXPORTS: Final = "exports"
# Messages that have left the database. They are kept for ever.
ARCHIVES: Final = "archives"
_PARQUET: Final = "application/vnd.apache.parquet"
_THREADS: Final = 8
# So many bytes are fetched at a time.
_FETCHED_BYTES: Final = 1024 * 1024
# And so many where somebody reads them as they come.
_STREAMED_BYTES: Final = 256 * 1024
_T = TypeVar("_T")

logger = get_logger("processing")


def original_key(campaign_id: str, upload_id: str) -> str:
    """Where an uploaded file lies. Reports lie elsewhere, so that a front can serve reports and nothing else."""
    return f"{ORIGINALS}/{campaign_id}/{upload_id}.csv"


def report_key(campaign_id: str, report_name: str) -> str:
    """Where a report lies: `validation-reports/<campaignId>/<report>.csv`, as in the guide's reportURL."""
    return f"{REPORTS}/{campaign_id}/{report_name}.csv"


def export_key(campaign_id: str, export_id: str, form: str) -> str:
    """Where a message log lies. Browsers get it through the console alone, which asks who they are."""
    return f"{EXPORTS}/{campaign_id}/{export_id}.{form}"


def archive_key(archive: str, generation: int, table: str, number: int) -> str:
    """Where a file of an archive lies, another one each time: `archives/messages_to_4000000/1/messages-00001.parquet`."""
    return f"{ARCHIVES}/{archive}/{generation}/{table}-{number:05}.parquet"


@dataclass(frozen=True, slots=True)
class Description:
    """What an object's metadata tells, by names of lower-case letters and hyphens.

    `open` values are ASCII and no secret; `private` ones any text, encrypted under a key. One that can't be read is left out.
    """

    open: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object by its key and the time when it was last written (aware UTC, the bucket's clock)."""

    key: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object without its content. `sha256` (hex) is what its metadata says, and None where it says nothing."""

    key: str
    byte_count: int
    sha256: str | None
    description: Description


class ObjectStore(Protocol):
    """Where files live. Every call raises StoreUnavailable when the store is away, slow or refusing."""

    async def put(
        self,
        key: str,
        source: BinaryIO,
        *,
        download_name: str,
        sha256: str | None = None,
        description: Description | None = None,
    ) -> str:
        """Store what `source` holds from its beginning. Whole or not at all. Returns its SHA-256, in hexadecimal.

        With `sha256` given, its content isn't read for that once more; the store refuses content that has another.
        With a description the object's metadata tells that, and its SHA-256.
        """

    async def fetch(self, key: str, target: BinaryIO) -> None:
        """Write the object into `target`. Raises ObjectMissing."""

    async def read(self, key: str, use: Callable[[Iterator[bytes]], _T], *, start: int = 0) -> _T:
        """What `use`, in a thread, makes of the object's bytes from `start` on, which come piece by piece. Raises ObjectMissing.

        It need not take them all, and raises nothing. From behind the object's end on there are none.
        """

    def stream(self, key: str) -> AsyncGenerator[bytes, None]:
        """The object's bytes, piece by piece. Raises ObjectMissing at the first."""

    async def sign_link(self, key: str) -> str:
        """A link by which the object can be fetched without credentials, for a while."""

    async def delete(self, key: str) -> None:
        """Delete the object, if there is one."""

    async def delete_older(self, prefix: str, before: datetime, *, keep: Collection[str] = ()) -> int:
        """Delete the objects under `prefix` last written before that time (aware UTC), but for the keys to keep.

        Returns how many.
        """


class S3ObjectStore:
    """Any S3 service."""

    def __init__(
        self, settings: S3Settings, client: "S3Client", signer: "S3Client", threads: ThreadPoolExecutor
    ) -> None:
        self._settings = settings
        self._client = client
        self._signer = signer
        self._threads = threads

    async def put(
        self,
        key: str,
        source: BinaryIO,
        *,
        download_name: str,
        sha256: str | None = None,
        description: Description | None = None,
    ) -> str:
        """See ObjectStore."""
        safe_name = re.sub(r"[^A-Za-z0-9._-]", "_", download_name)
        request: PutObjectRequestTypeDef = {
            "Bucket": self._settings.bucket,
            "Key": key,
            "Body": source,
            "CacheControl": "no-store",
            "ContentDisposition": f'attachment; filename="{safe_name}"',
            "ContentType": _PARQUET if key.endswith(".parquet") else "text/csv; charset=utf-8",
        }

        def put() -> str:
            digest = bytes.fromhex(sha256) if sha256 else sha256_of(source)
            source.seek(0)
            request["ChecksumSHA256"] = base64.b64encode(digest).decode()
            if description is not None:
                request["Metadata"] = self._metadata(key, description, digest.hex())
            put_object(self._client, self._settings, request)
            return digest.hex()

        return await self._run(put)

    async def fetch(self, key: str, target: BinaryIO) -> None:
        """See ObjectStore."""

        def fetch() -> None:
            # `download_fileobj`, cut at certain moments, waits for ever for a part that nobody fetches any more.
            answer = self._client.get_object(Bucket=self._settings.bucket, Key=key)
            with contextlib.closing(answer["Body"]) as body:
                target.writelines(body.iter_chunks(_FETCHED_BYTES))

        await self._run(fetch)

    async def read(self, key: str, use: Callable[[Iterator[bytes]], _T], *, start: int = 0) -> _T:
        """See ObjectStore."""

        def read() -> _T:
            try:
                answer = self._client.get_object(
                    Bucket=self._settings.bucket, Key=key, Range=f"bytes={start}-"
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "InvalidRange":
                    return use(iter(()))
                raise
            with contextlib.closing(answer["Body"]) as body:
                return use(body.iter_chunks(_FETCHED_BYTES))

        return await self._run(read)

    async def stream(self, key: str) -> AsyncGenerator[bytes, None]:
        """See ObjectStore."""
        answer = await self._run(lambda: self._client.get_object(Bucket=self._settings.bucket, Key=key))
        with contextlib.closing(answer["Body"]) as body:
            while piece := await self._run(lambda: body.read(_STREAMED_BYTES)):
                yield piece

    async def head(self, key: str) -> StoredObject:
        """What is known of an object without its content. Raises ObjectMissing."""

        def head() -> StoredObject:
            answer = self._client.head_object(Bucket=self._settings.bucket, Key=key)
            # Services tell names in letters of either case.
            told = {name.lower(): value for name, value in answer["Metadata"].items()}
            names = told.pop("private", "").split()
            hidden = {name: told.pop(name) for name in names if name in told}
            private = {
                name: value
                for name, text in hidden.items()
                if (
                    value := read_private(
                        text, name, object_key=key, beside=told, key=self._settings.name_key
                    )
                )
                is not None
            }
            return StoredObject(
                key, answer["ContentLength"], told.pop("sha256", None), Description(told, private)
            )

        return await self._run(head)

    def _metadata(self, key: str, description: Description, sha256: str) -> dict[str, str]:
        told = {**description.open, "sha256": sha256}
        private = {
            name: write_private(value, name, object_key=key, beside=told, key=self._settings.name_key)
            for name, value in description.private.items()
        }
        return {**told, **private, **({"private": " ".join(private)} if private else {})}

    async def list_pages(self, prefix: str) -> AsyncGenerator[list[ListedObject], None]:
        """All objects under `prefix`, at most a thousand at a time, by their keys."""
        more: dict[str, str] = {}
        while True:
            page = await self._run(
                lambda more=more: self._client.list_objects_v2(  # type: ignore[misc]
                    Bucket=self._settings.bucket, Prefix=f"{prefix}/", **more
                )
            )
            yield [ListedObject(entry["Key"], entry["LastModified"]) for entry in page.get("Contents", [])]
            if not page.get("IsTruncated") or "NextContinuationToken" not in page:
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def sign_link(self, key: str) -> str:
        """See ObjectStore. With a public base URL set, its plain form."""
        if self._settings.public_base_url:
            return f"{self._settings.public_base_url.rstrip('/')}/{key}"

        def sign() -> str:
            return self._signer.generate_presigned_url(
                "get_object",
                Params={"Bucket": self._settings.bucket, "Key": key},
                ExpiresIn=self._settings.link_hours * 3600,
            )

        return await self._run(sign)

    async def delete(self, key: str) -> None:
        """See ObjectStore."""
        await self._run(lambda: self._client.delete_object(Bucket=self._settings.bucket, Key=key))

    async def delete_older(self, prefix: str, before: datetime, *, keep: Collection[str] = ()) -> int:
        """See ObjectStore."""

        def delete() -> int:
            deleted = 0
            # A page has a thousand keys at most, as many as one call deletes.
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._settings.bucket, Prefix=f"{prefix}/"
            )
            for page in pages:
                old: list[ObjectIdentifierTypeDef] = [
                    {"Key": entry["Key"]}
                    for entry in page.get("Contents", [])
                    if entry["LastModified"] < before and entry["Key"] not in keep
                ]
                if old:
                    answer = self._client.delete_objects(
                        Bucket=self._settings.bucket, Delete={"Objects": old, "Quiet": True}
                    )
                    failed = len(answer.get("Errors", []))
                    if failed:
                        logger.warning("objects_not_deleted", objects=failed, prefix=prefix)
                    deleted += len(old) - failed
            return deleted

        return await self._run(delete)

    async def _run(self, call: Callable[[], _T]) -> _T:
        """Run a blocking call in one of this store's own threads."""

        def translated() -> _T:
            with _store_troubles():
                return call()

        return await asyncio.get_running_loop().run_in_executor(self._threads, translated)


def sha256_of(source: BinaryIO) -> bytes:
    """The SHA-256 of what `source` holds from its beginning."""
    source.seek(0)
    return hashlib.file_digest(source, "sha256").digest()  # type: ignore[arg-type]


@contextlib.contextmanager
def _store_troubles() -> Iterator[None]:
    """Translate boto3's errors. Their texts name buckets, keys and hosts, so ours are fixed."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = str(error.response.get("Error", {}).get("Code", ""))[:40]
        if code in {"NoSuchKey", "404"} and error.operation_name in {"GetObject", "HeadObject"}:
            raise ObjectMissing("the object is not in the bucket") from None
        raise StoreUnavailable(f"the object store refuses (HTTP {status}, {code})") from None
    except Exception as error:  # noqa: BLE001
        # BotoCoreError and OSError mostly; urllib3's own too, when a connection is cut half-way.
        raise StoreUnavailable(f"the object store can't be reached ({type(error).__name__})") from None


@functools.cache
def _models() -> botocore.loaders.Loader:
    """What botocore knows of S3 and of AWS's endpoints: files of its package, read once for all clients of a process."""
    return botocore.loaders.create_loader()


def make_client(settings: S3Settings, *, endpoint_url: str | None) -> "S3Client":
    """A client of the service at `endpoint_url` (None: AWS's own). One attempt a call: retries are the pipeline's."""
    core = botocore.session.Session()
    core.register_component("data_loader", _models())
    session = boto3.session.Session(
        aws_access_key_id=_secret(settings.access_key_id),
        aws_secret_access_key=_secret(settings.secret_access_key),
        aws_session_token=_secret(settings.session_token),
        region_name=settings.region,
        botocore_session=core,
    )
    config = Config(
        signature_version="s3v4",
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=_THREADS,
        # The signature covers the checksum that `put` sends, and that covers the content: botocore need not hash it again.
        s3={"addressing_style": "path" if endpoint_url else "auto", "payload_signing_enabled": False},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client: S3Client = session.client("s3", endpoint_url=endpoint_url, config=config)
    return client


def put_object(client: "S3Client", settings: S3Settings, request: "PutObjectRequestTypeDef") -> None:
    """Store an object with the encryption of the settings: some buckets refuse any without, some services any with."""
    if settings.server_side_encryption != "none":
        request["ServerSideEncryption"] = settings.server_side_encryption
    client.put_object(**request)


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None


@contextlib.asynccontextmanager
async def open_store(settings: S3Settings) -> AsyncIterator[S3ObjectStore]:
    """The store of one process. Nothing is asked of the service yet."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="object-store") as threads:
        client = make_client(settings, endpoint_url=settings.endpoint_url)
        # Making a client takes a tenth of a second of work at each process's start, so one is made where one will do.
        links_elsewhere = settings.link_endpoint_url not in (None, settings.endpoint_url)
        signer = make_client(settings, endpoint_url=settings.link_endpoint_url) if links_elsewhere else client
        try:
            yield S3ObjectStore(settings, client, signer, threads)
        finally:
            client.close()
            signer.close()

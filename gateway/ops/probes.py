"""Tries each dependency for real, for a person in `check`, or only looks at it, for `/readyz`. The texts hold no secrets.

What `check` leaves in the bucket, where a key may put and not delete, lies under `probes/` and goes after a day.
"""

import asyncio
import contextlib
import http
import os
import secrets
import shutil
import stat
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiosmtplib
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from config.console_section import ConsoleSettings
from config.errors import ConfigError
from config.sections import DatabaseSettings, S3Settings, SFTPSettings, SMTPSettings
from config.settings import Settings
from config.sizes import MEBIBYTE
from database.connections import connect, connect_as_a_pool, database_troubles
from database.errors import ServiceUnreachable
from database.schema import check_schema
from gateway.errors import ExitStatus
from gateway.ops.dependencies import Dependency
from keys.errors import KeysError
from keys.host_key_fingerprints import check_host_keys
from keys.host_keys import load_host_keys
from notifications.mailer import make_client as make_mail_client
from processing.object_store import ARCHIVES, PROBES, put_object
from processing.object_store import make_client as make_bucket_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import PutObjectRequestTypeDef

# A probe returns its detail when all is well.
Probe = Callable[[], Awaitable[str]]

# With less than this many free bytes uploads begin to fail.
_LEAST_FREE: Final = 256 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Answer:
    """What one probe found: `status` DONE when all is well; `detail` is one line for a person.

    `is_warning`: it works as set up, and a person should look at it all the same.
    """

    name: str
    status: ExitStatus
    detail: str
    is_warning: bool = False

    @property
    def is_well(self) -> bool:
        return self.status is ExitStatus.DONE


class ProbeFailed(Exception):  # noqa: N818 - a fact, read as one
    """A dependency doesn't do what is needed. `status`: whether it is away, or set up wrongly."""

    def __init__(self, detail: str, status: ExitStatus) -> None:
        super().__init__(detail)
        self.status = status


async def ask(name: str, probe: Probe, timeout: float) -> Answer:
    """Run one probe, which has `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            return Answer(name, ExitStatus.DONE, await probe())
    except TimeoutError:
        return Answer(name, ExitStatus.UNREACHABLE, f"no answer within {timeout:g} s")
    except ProbeFailed as error:
        return Answer(name, error.status, str(error))
    except ServiceUnreachable as error:
        return Answer(name, ExitStatus.UNREACHABLE, str(error))
    except (ConfigError, KeysError) as error:
        return Answer(name, ExitStatus.CONFIGURATION, str(error))


async def probe_database(settings: DatabaseSettings) -> str:
    """Log in, by both ways where there are two, and look at the schema."""
    if settings.direct_url is not None:
        (await connect(settings)).terminate()
    connection = await connect_as_a_pool(settings)
    try:
        with database_troubles():
            await check_schema(connection)
            version = connection.get_server_version()
            await connection.execute("select pg_is_in_recovery()")
        return f"PostgreSQL {version.major}, schema up to date"
    finally:
        connection.terminate()


async def probe_console(settings: ConsoleSettings) -> str:
    """Look at the secret and the certificate of a console."""
    from console.server import check_settings

    tls = check_settings(settings)
    return f"its secret is there; it speaks HTTP {'without' if tls is None else 'with'} TLS"


async def probe_host_keys(folder: Path, database: DatabaseSettings) -> str:
    """Read the keys and, where the database answers, compare them with those of the other nodes."""
    keys = load_host_keys(folder)
    try:
        connection = await connect(database)
    except ConfigError:
        return f"{len(keys)} keys read; not compared with other nodes', as the database is away"
    try:
        with database_troubles():
            await check_host_keys(connection, keys)
    finally:
        connection.terminate()
    return f"{len(keys)} keys, the same as on all nodes"


async def look_at_spool(settings: SFTPSettings) -> str:
    """See that the spool can be written by us and by nobody else, and that there is room, without a write."""
    return await asyncio.to_thread(_look_at_spool, settings.spool_dir)


async def probe_spool(settings: SFTPSettings) -> str:
    """The same, and write a file there and remove it. The folder is made first, as the front would make it at its first start."""

    def make_and_probe() -> str:
        # Where it can't be made, the probe says why.
        with contextlib.suppress(OSError):
            settings.spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _probe_spool(settings.spool_dir)

    return await asyncio.to_thread(make_and_probe)


def _look_at_spool(folder: Path) -> str:
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & 0o077:
            raise ProbeFailed(
                f"{folder} is open to other users (mode {mode:04o}): if it is the spool's alone, run `chmod 700 {folder}`; "
                "else give the spool a folder of its own by SFTP_GATEWAY_SFTP__SPOOL_DIR",
                ExitStatus.CONFIGURATION,
            )
        if os.statvfs(folder).f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK | os.X_OK):
            raise ProbeFailed(f"{folder} can't be written", ExitStatus.CONFIGURATION)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ProbeFailed(f"{folder} can't be written: {error.strerror}", ExitStatus.CONFIGURATION) from None
    if free < _LEAST_FREE:
        raise ProbeFailed(
            f"{folder} has only {free // MEBIBYTE} MB free: make room, or move SFTP_GATEWAY_SFTP__SPOOL_DIR",
            ExitStatus.UNREACHABLE,
        )
    return f"writable, mode {mode:04o}, {free // MEBIBYTE:,} MB free"


def _probe_spool(folder: Path) -> str:
    found = _look_at_spool(folder)
    probe = folder / f".probe-{secrets.token_hex(8)}"
    try:
        descriptor = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, b"probe")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            probe.unlink()
    except OSError as error:
        raise ProbeFailed(f"{folder} can't be written: {error.strerror}", ExitStatus.CONFIGURATION) from None
    return found


# What the probe's metadata tells.
_TOLD: Final = {"probe": "1"}


class _BucketCall(ABC):
    """One kind of call to the bucket, with a client that is kept between calls. `puts_only`: its key may only put."""

    def __init__(self, settings: S3Settings, *, puts_only: bool = False) -> None:
        self._settings = settings
        self._puts_only = puts_only
        self._client: S3Client | None = None

    async def __call__(self) -> str:
        """Raises ProbeFailed."""
        return await asyncio.to_thread(self._call_translated)

    def close(self) -> None:
        """Close the connections kept."""
        if self._client is not None:
            self._client.close()

    def _call_translated(self) -> str:
        try:
            if self._client is None:
                self._client = make_bucket_client(self._settings, endpoint_url=self._settings.endpoint_url)
            return self._call(self._client, self._settings.bucket)
        except ClientError as error:
            raise _explain_refusal(error) from None
        except ParamValidationError:
            raise ProbeFailed(
                "the bucket's name is none: see SFTP_GATEWAY_S3__BUCKET", ExitStatus.CONFIGURATION
            ) from None
        except (BotoCoreError, OSError, ValueError) as error:
            raise ProbeFailed(
                f"the object store can't be reached ({type(error).__name__}): see SFTP_GATEWAY_S3__ENDPOINT_URL",
                ExitStatus.UNREACHABLE,
            ) from None

    @abstractmethod
    def _call(self, client: "S3Client", bucket: str) -> str: ...


class BucketLook(_BucketCall):
    """Asks for the bucket's head, and writes nothing."""

    def _call(self, client: "S3Client", bucket: str) -> str:
        try:
            client.head_bucket(Bucket=bucket)
        except ClientError as error:
            # The right that this question needs would let the front list all names, so its key may well have it refused.
            if self._puts_only and _http_status(error) == http.HTTPStatus.FORBIDDEN:
                return "answers; whether this key may put is told by `sftp-gateway check`"
            raise
        return "answers"


class BucketProbe(_BucketCall):
    """Puts a probe object, fetches and deletes it, and signs a link to it; a key that only puts leaves it to the retention."""

    def __init__(self, settings: S3Settings, *, puts_only: bool = False, prefix: str = PROBES) -> None:
        super().__init__(settings, puts_only=puts_only)
        self._prefix = prefix

    def _call(self, client: "S3Client", bucket: str) -> str:
        key = f"{self._prefix}/{secrets.token_hex(16)}"
        self._put(client, bucket, key)
        if self._puts_only:
            return "an object put"
        try:
            answer = client.get_object(Bucket=bucket, Key=key)
            told = {name.lower(): value for name, value in answer["Metadata"].items()}
            with answer["Body"] as body:
                content = body.read()
        finally:
            client.delete_object(Bucket=bucket, Key=key)
        client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
        if content != b"probe":
            raise ProbeFailed("the bucket gives back something else than was put", ExitStatus.UNREACHABLE)
        if told != _TOLD:
            raise ProbeFailed(
                "the bucket forgets what is told with an object (x-amz-meta-…), by which `reconcile` finds uploads again: take a "
                "service that keeps it",
                ExitStatus.CONFIGURATION,
            )
        return "an object put, fetched and deleted; links can be signed"

    def _put(self, client: "S3Client", bucket: str, key: str) -> None:
        """Put the probe, with its encryption. Where that alone is refused, the cure is told."""
        probe: PutObjectRequestTypeDef = {"Bucket": bucket, "Key": key, "Body": b"probe", "Metadata": _TOLD}
        try:
            put_object(client, self._settings, {**probe})
        except ClientError as refused:
            if self._settings.server_side_encryption == "none" or _is_away_or_forbidden(refused):
                raise
            with contextlib.suppress(ClientError):
                client.put_object(**probe)
                if not self._puts_only:
                    client.delete_object(Bucket=bucket, Key=key)
                raise ProbeFailed(
                    f"the bucket refuses the encryption {self._settings.server_side_encryption}, and takes objects without: "
                    "if it encrypts by itself, set SFTP_GATEWAY_S3__SERVER_SIDE_ENCRYPTION=none",
                    ExitStatus.CONFIGURATION,
                ) from None
            raise


def _is_away_or_forbidden(error: ClientError) -> bool:
    return _http_status(error) in {
        http.HTTPStatus.FORBIDDEN,
        http.HTTPStatus.NOT_FOUND,
        http.HTTPStatus.SERVICE_UNAVAILABLE,
    }


def _http_status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))


def _explain_refusal(error: ClientError) -> ProbeFailed:
    http_status = _http_status(error)
    code = str(error.response.get("Error", {}).get("Code", ""))[:40]
    match code:
        case "NoSuchBucket" | "404":
            return ProbeFailed(
                "there is no such bucket: see SFTP_GATEWAY_S3__BUCKET", ExitStatus.CONFIGURATION
            )
        case "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken":
            return ProbeFailed(
                f"the object store refuses the credentials ({code}): see SFTP_GATEWAY_S3__ACCESS_KEY_ID "
                "and SFTP_GATEWAY_S3__SECRET_ACCESS_KEY",
                ExitStatus.CONFIGURATION,
            )
        case _:
            status = ExitStatus.UNREACHABLE if http_status >= 500 else ExitStatus.CONFIGURATION
            return ProbeFailed(f"the object store refuses (HTTP {http_status}, {code})", status)


async def probe_archives(settings: S3Settings) -> str:
    """Put, fetch and delete an object where old messages and audit events go, which a key that may do all else may not."""
    with contextlib.closing(BucketProbe(settings, prefix=ARCHIVES)) as probe:
        try:
            return f"under {ARCHIVES}/ {await probe()}"
        except ProbeFailed as failed:
            text = f"{failed}; workers archive there: their key needs to put, get and delete {ARCHIVES}/*"
            raise ProbeFailed(text, failed.status) from None


async def probe_mail_server(settings: SMTPSettings) -> str:
    """Greet, secure the connection as the settings demand, and log in where they have a name. No e-mail is sent."""
    client = make_mail_client(settings)
    try:
        await client.connect()
        secured = client.get_transport_info("sslcontext") is not None
        await client.quit()
    except aiosmtplib.SMTPAuthenticationError as error:
        raise ProbeFailed(
            f"the mail server refuses the login (SMTP {error.code}): see SFTP_GATEWAY_SMTP__USERNAME",
            ExitStatus.CONFIGURATION,
        ) from None
    except aiosmtplib.SMTPResponseException as error:
        raise ProbeFailed(f"the mail server refuses (SMTP {error.code})", ExitStatus.UNREACHABLE) from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise ProbeFailed(
            f"the mail server can't be reached as set ({type(error).__name__}): see SFTP_GATEWAY_SMTP__HOST, "
            "…__PORT and …__SECURITY",
            ExitStatus.UNREACHABLE,
        ) from None
    finally:
        client.close()
    return f"answers, {'with' if secured else 'without'} TLS{', logged in' if settings.username else ''}"


def make_looks(settings: Settings, bucket: BucketLook) -> dict[Dependency, Probe]:
    """A look at every dependency that writes nothing, in the order in which they are listed."""
    return {
        Dependency.DATABASE: lambda: probe_database(settings.database),
        Dependency.S3: bucket,
        Dependency.SMTP: lambda: probe_mail_server(settings.smtp),
        Dependency.HOST_KEYS: lambda: probe_host_keys(settings.sftp.host_key_dir, settings.database),
        Dependency.SPOOL: lambda: look_at_spool(settings.sftp),
    }


async def probe_everything(
    settings: Settings, dependencies: Collection[Dependency], timeout: float, *, puts_only: bool = False
) -> list[Answer]:
    """Try these dependencies side by side, each within `timeout` seconds. A node need not have run here before."""
    with contextlib.closing(BucketProbe(settings.s3, puts_only=puts_only)) as bucket:
        probes = make_looks(settings, BucketLook(settings.s3))
        probes |= {Dependency.S3: bucket, Dependency.SPOOL: lambda: probe_spool(settings.sftp)}
        asked = [ask(name, probe, timeout) for name, probe in probes.items() if name in dependencies]
        return list(await asyncio.gather(*asked))

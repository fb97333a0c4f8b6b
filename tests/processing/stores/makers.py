"""S3 by others than the embedded rclone: PyPI's `moto` in a thread of this process; npm's `s3rver`, installed into a cache."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from pydantic import SecretStr
from werkzeug.serving import make_server

from config.sections import S3Settings
from gateway.embedded.server_process import ServerProcess, free_port
from processing.object_store import make_client
from tests.npm_packages import modules_of, why_missing

_S3RVER: Final = "3.7.1"
_KEY: Final = "S3RVER"
Maker = Callable[[Path], contextlib.AbstractContextManager[S3Settings]]


def settings_for(port: int) -> S3Settings:
    """The settings that lead to a server on loopback, and to a bucket of its own: all of moto's in a process share theirs."""
    bucket = f"gateway-{port}"
    settings = S3Settings(
        endpoint_url=f"http://127.0.0.1:{port}",
        bucket=bucket,
        region="us-east-1",
        access_key_id=SecretStr(_KEY),
        secret_access_key=SecretStr(_KEY),
    )
    client = make_client(settings, endpoint_url=settings.endpoint_url)
    with contextlib.closing(client):
        client.create_bucket(Bucket=bucket)
    return settings


@contextlib.contextmanager
def moto(
    _folder: Path, *, refuses_encryption: bool = False, forgets_metadata: bool = False
) -> Iterator[S3Settings]:
    """A running moto. It may refuse encryption, as MinIO does that has no keys for it, or forget what objects tell."""
    application = DomainDispatcherApplication(create_backend_app)

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if refuses_encryption and "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION" in environ:
            start_response("501 Not Implemented", [("Content-Type", "application/xml")])
            return [b"<Error><Code>NotImplemented</Code><Message>no keys</Message></Error>"]
        if forgets_metadata:
            for name in [name for name in environ if name.startswith("HTTP_X_AMZ_META_")]:
                del environ[name]
        answered: Iterable[bytes] = application(environ, start_response)
        return answered

    server = make_server("127.0.0.1", 0, serve, threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="moto")
    thread.start()
    try:
        yield settings_for(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def s3rver(folder: Path) -> Iterator[S3Settings]:
    """A running s3rver."""
    port = free_port()
    (folder / "objects").mkdir()
    process = ServerProcess(
        "s3rver",
        [
            "node", str(modules_of("s3rver", _S3RVER) / "s3rver" / "bin" / "s3rver.js"), "--directory", str(folder / "objects"),
            "--address", "127.0.0.1", "--port", str(port), "--silent",
        ],
        log=folder / "s3rver.log",
        environment=dict(os.environ),
    )  # fmt: skip
    try:
        process.wait_until_ready(lambda: _listens(port))
        yield settings_for(port)
    finally:
        process.stop()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def s3rver_missing() -> str | None:
    """Why there is no s3rver here, or None."""
    return why_missing("s3rver", _S3RVER)

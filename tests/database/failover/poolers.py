"""Debian's PgBouncer in front of an embedded PostgreSQL."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.embedded.postgres import PostgreSQLServer
from gateway.embedded.server_process import ServerProcess, answers, free_port

_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))


@contextlib.contextmanager
def pgbouncer(folder: Path, postgres: PostgreSQLServer, mode: str) -> Iterator[int]:
    """The port of one whose `pool_mode` is `mode`. Without the program the test is skipped."""
    program = shutil.which("pgbouncer", path=_PATH)
    if program is None:
        pytest.skip("PgBouncer isn't installed here (Debian: apt-get install pgbouncer)")
    port = free_port()
    # It doesn't run as root either; the embedded server's user is there by now.
    user = "pgserver" if os.geteuid() == 0 else None
    folder.mkdir()
    file = folder / "pgbouncer.ini"
    file.write_text(f"""\
[databases]
* = host={postgres.folder} port={postgres.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 20
""")
    if user:
        for path in (folder, file):
            shutil.chown(path, user)
    server = ServerProcess(
        "PgBouncer", [program, file], log=folder / "pgbouncer.log", end_signal=signal.SIGTERM, user=user
    )
    try:
        server.wait_until_ready(lambda: answers(port))
        yield port
    finally:
        server.stop()

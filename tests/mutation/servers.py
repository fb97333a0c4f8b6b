"""The PostgreSQL that all mutants of a group share: its start would take longer than most of their tests."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from config.sections import DatabaseSettings
from database.schema import migrate
from gateway.embedded.postgres import postgres_server
from tests.mutation.plugin import FOLDER, TEMPLATE


@contextlib.contextmanager
def open_servers(needed: bool) -> Iterator[dict[str, str]]:
    """The variables that lead the tests of mutants to it; none where no test needs it."""
    if not needed:
        yield {}
        return
    # In memory, as for all tests: each of them makes and removes a database.
    parent = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="gm-", dir=parent if parent.is_dir() else None) as name:
        folder = Path(name)
        with postgres_server(folder / "pg", durable=False) as server:
            server.run_sql(f"create database {TEMPLATE}")
            asyncio.run(migrate(DatabaseSettings(url=SecretStr(server.socket_url(TEMPLATE)))))
            (server.folder / "port").write_text(str(server.port))
            yield {FOLDER: str(server.folder)}

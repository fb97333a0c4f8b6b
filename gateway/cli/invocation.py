"""One call of the command line: where its settings come from, who makes it, and what it opens."""

import asyncio
import contextlib
import getpass
import os
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import typer

if TYPE_CHECKING:
    from audit.events import Actor
    from config.settings import Settings
    from database.connections import Connection

T = TypeVar("T")


class Invocation:
    """What the global options said. Settings are read when a command first asks."""

    def __init__(self) -> None:
        self.config: Path | None = None
        self.debug = False
        self._settings: Settings | None = None

    @property
    def settings(self) -> "Settings":
        """The settings. Raises ConfigurationError."""
        from config.settings import load_settings

        if self._settings is None:
            self._settings = load_settings(self.config)
        return self._settings

    @contextlib.asynccontextmanager
    async def open_database(self) -> AsyncIterator["Connection"]:
        """One connection to a database with this release's schema. Raises ConfigError."""
        from database.connections import connect, database_troubles
        from database.schema import check_schema

        connection = await connect(self.settings.database)
        try:
            with database_troubles():
                await check_schema(connection)
                yield connection
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=2)


def invocation_of(context: typer.Context) -> Invocation:
    """The invocation that a command belongs to."""
    return cast("Invocation", context.obj)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end."""
    return asyncio.run(coroutine)


def current_actor() -> "Actor":
    """Who sits at the command line, for the audit trail: the user, the one behind sudo, and where a login came from."""
    from ipaddress import ip_address

    from audit.events import Actor

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    if behind := os.environ.get("SUDO_USER"):
        name = f"{behind} as {name}"
    words = os.environ.get("SSH_CONNECTION", "").split()
    try:
        address = str(ip_address(words[0].split("%")[0])) if words else None
    except ValueError:
        address = None
    return Actor(name=name[:128], source_address=address)

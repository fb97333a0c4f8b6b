"""`run` and the commands of the parts: opens the listening sockets, then hands everything to the supervisor."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from config.errors import ConfigurationError
from config.logs import configure_logs
from config.settings import CONFIG_VARIABLE, Settings, load_settings
from database.connections import connect, database_troubles
from database.schema import check_schema
from gateway.errors import ExitStatus
from gateway.ops.exposure import refuse_exposures
from gateway.processes.listening import open_sockets_of_parts, take_passed_sockets
from gateway.processes.parts import Part, parts_in_use
from gateway.processes.service_manager import ServiceManager
from gateway.processes.supervisor import Supervisor


def run_node(config: Path | None, settings: Settings, parts: Sequence[Part]) -> ExitStatus:
    """Run these parts, in the order of their table, until SIGTERM; of several only those that the settings switch on.

    Raises ConfigError where they can't start.
    """
    configure_logs(settings.log)
    refuse_exposures(settings)
    if config is not None:
        # Children, and reloads, read the same file.
        os.environ[CONFIG_VARIABLE] = str(config.resolve())
    service_manager = ServiceManager.of_this_process()
    passed = take_passed_sockets(os.environ)
    asyncio.run(_check_database(settings))
    in_use = parts_in_use(parts, settings)

    def read_again() -> Settings:
        read = refuse_exposures(load_settings(None))
        if switched := set(parts_in_use(parts, read)) ^ set(in_use):
            names = " and ".join(sorted(part.name for part in switched))
            raise ConfigurationError(f"{names} would be switched on or off, which takes a restart")
        return read

    with open_sockets_of_parts(in_use, settings, passed) as sockets:
        supervisor = Supervisor(settings, in_use, sockets, read_again, service_manager)
        return asyncio.run(supervisor.run())


async def _check_database(settings: Settings) -> None:
    """Let nothing start on a database that is away, or whose schema isn't this release's. Raises ConfigError."""
    connection = await connect(settings.database)
    try:
        with database_troubles():
            await check_schema(connection)
    finally:
        connection.terminate()

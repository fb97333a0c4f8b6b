"""`run`, `sftpd` and `worker`: opens the listening sockets, then hands everything to the supervisor."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from config.logs import configure_logs
from config.settings import CONFIG_VARIABLE, Settings, load_settings
from database.connections import connect, database_troubles
from database.schema import check_schema
from gateway.errors import ExitStatus
from gateway.ops.exposure import refuse_exposures
from gateway.processes.listening import open_sockets_of_parts, take_passed_sockets
from gateway.processes.parts import Part
from gateway.processes.service_manager import ServiceManager
from gateway.processes.supervisor import Supervisor


def run_node(config: Path | None, settings: Settings, parts: Sequence[Part]) -> ExitStatus:
    """Run these parts, in the order of their table, until SIGTERM. Raises ConfigError where they can't start."""
    configure_logs(settings.log)
    refuse_exposures(settings)
    if config is not None:
        # Children, and reloads, read the same file.
        os.environ[CONFIG_VARIABLE] = str(config.resolve())
    service_manager = ServiceManager.of_this_process()
    passed = take_passed_sockets(os.environ)
    asyncio.run(_check_database(settings))
    with open_sockets_of_parts(parts, settings, passed) as sockets:
        supervisor = Supervisor(
            settings, parts, sockets, lambda: refuse_exposures(load_settings(None)), service_manager
        )
        return asyncio.run(supervisor.run())


async def _check_database(settings: Settings) -> None:
    """Let nothing start on a database that is away, or whose schema isn't this release's. Raises ConfigError."""
    connection = await connect(settings.database)
    try:
        with database_troubles():
            await check_schema(connection)
    finally:
        connection.terminate()

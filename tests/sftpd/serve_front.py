"""A front process of its own: `python -m tests.sftpd.serve_front DESCRIPTOR`, settings from the environment."""

import asyncio
import signal
import socket
import sys

import uvloop

from config.logs import configure_logs
from config.settings import load_settings
from database.connections import open_pool
from gateway.processes.front import intake_settings
from processing.intake import Intake
from processing.object_store import open_store
from sftpd.front import serve_front


async def main() -> None:
    """Serve the listening socket inherited as this descriptor until SIGTERM."""
    settings = load_settings(None)
    configure_logs(settings.log)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    listening = socket.socket(fileno=int(sys.argv[1]))
    async with open_pool(settings.database, name="test front") as pool, open_store(settings.s3) as store:
        intake = Intake(pool, store, intake_settings(settings.sftp))
        await serve_front(settings, [listening], pool, intake, stop, lambda: print("ready", flush=True))


if __name__ == "__main__":
    uvloop.run(main())

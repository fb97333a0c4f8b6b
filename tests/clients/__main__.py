"""`python -m tests.clients [NAME …]`: run every client (or those) and write the table into docs/clients.md."""

import asyncio
import sys
import time

from tests.clients.matrix import CLIENTS, Row, try_client, try_unstored
from tests.clients.table import write_rows
from tests.clients.world import open_world


async def run_all(names: list[str]) -> list[Row]:
    """Each client in turn. Those that are not installed are named, and keep their row."""
    rows = []
    chosen = [client for client in CLIENTS if not names or client.name in names]
    async with open_world(campaigns=len(chosen)) as world:
        for client, campaign_id in zip(chosen, world.rig.campaigns, strict=True):
            if absent := client.missing():
                print(absent, file=sys.stderr)
                continue
            began = time.monotonic()
            rows.append(await try_client(world, client, campaign_id))
            print(f"{client.name} {client.version}: {time.monotonic() - began:.1f} s", file=sys.stderr)
            print(*rows[-1].failures, sep="\n", end="", file=sys.stderr)
        installed = {
            campaign_id: client
            for client, campaign_id in zip(chosen, world.rig.campaigns, strict=True)
            if client.missing() is None
        }
        unstored = await try_unstored(world, installed)
        print(*unstored, sep="\n", file=sys.stderr)
        for row in rows:
            row.failures += [line for line in unstored if line.startswith(f"{row.client}:")]
    return rows


found = asyncio.run(run_all(sys.argv[1:]))
write_rows(found)
sys.exit(any(row.failures for row in found))

"""`python -m tests.clients [NAME …]`: run every client (or those) and write the table into docs/clients.md."""

import asyncio
import sys
import time

from tests.clients.gateway_under_test import open_gateway
from tests.clients.matrix import CLIENTS, Row, try_client, try_unstored
from tests.clients.table import write_rows


async def run_all(names: list[str]) -> list[Row]:
    """Each client in turn. Those that are not installed are named, and keep their row."""
    rows = []
    chosen = [client for client in CLIENTS if not names or client.name in names]
    async with open_gateway(campaigns=len(chosen), wide=True) as gateway:
        for client, campaign_id in zip(chosen, gateway.testbed.campaigns, strict=True):
            if absent := client.missing():
                print(absent, file=sys.stderr)
                continue
            began = time.monotonic()
            rows.append(await try_client(gateway, client, campaign_id))
            print(f"{client.name} {client.version}: {time.monotonic() - began:.1f} s", file=sys.stderr)
            print(*rows[-1].failures, sep="\n", end="", file=sys.stderr)
        installed = {
            campaign_id: client
            for client, campaign_id in zip(chosen, gateway.testbed.campaigns, strict=True)
            if client.missing() is None
        }
        unstored = await try_unstored(gateway, installed)
        print(*unstored, sep="\n", file=sys.stderr)
        for row in rows:
            row.failures += [line for line in unstored if line.startswith(f"{row.client}:")]
    return rows


found = asyncio.run(run_all(sys.argv[1:]))
write_rows(found)
sys.exit(any(row.failures for row in found))

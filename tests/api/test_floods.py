"""A flood of wrong keys of one address is answered at a walk, and holds up nobody who has a key."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.environment import Environment
from keys.api_key_form import new_key
from tests.api.client import APIClient
from tests.api.flood import AHEAD, CONNECTIONS
from web.pacing import BURST, RATE


@asynccontextmanager
async def flooding(port: int, campaign_id: str, key: str) -> AsyncIterator[list[int]]:
    """Flood from a process of its own; when it is over, the list has how many were sent and how many answered."""
    request = (
        f"GET /api/v2/campaigns/{campaign_id}/messages?limit=1 HTTP/1.1|Host: x|Authorization: Bearer {key}||"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.api.flood", str(port), request,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    counts: list[int] = []
    try:
        assert await process.stdout.readline() == b"begun\n"
        yield counts
        told, _ = await process.communicate(b"")
        counts += [int(count) for count in told.split()]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_flood_of_wrong_keys_is_answered_at_a_walk_while_another_key_is_used(
    client: APIClient,
) -> None:
    began = time.monotonic()
    async with flooding(client.port, client.campaign_id, new_key(Environment.TEST)) as counts:
        for _ in range(50):
            assert (await client.get("/messages?limit=1")).status == 200
    sent, answered = counts
    assert sent >= CONNECTIONS * AHEAD
    # How much slower the calls were is in the benchmarks: here, beside other tests, a time says little.
    assert answered <= BURST + RATE * (time.monotonic() - began) + CONNECTIONS

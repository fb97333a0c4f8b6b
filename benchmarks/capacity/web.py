"""What HTTP takes: single sends, pages of lists by the API, pages of the console, and pages that are kept open and live."""

import asyncio
import json
from typing import Final

from benchmarks.api_load import Plan, post_request, run_load
from benchmarks.capacity.meter import Cost, Meter
from benchmarks.console.__main__ import Streams
from config.environment import Environment
from tests.api.conftest import make_api_key

_BODY: Final = {
    "recipient": "6581234567",
    "language": "english",
    "values": {"name": "Emily Yeo", "topic": "code 123456"},
}
# Calls a second: all are due at once, and each caller makes its next one when it has the answer to the last.
_AT_ONCE: Final = 1_000_000.0


async def make_keys(meter: Meter) -> list[str]:
    """A key of each campaign for the API, which may then be called as often as it can."""
    campaigns = meter.testbed.campaigns
    return [await make_api_key(meter.connection, campaign, Environment.PRODUCTION) for campaign in campaigns]


async def single_sends(
    meter: Meter, port: int, keys: list[str], work: str, count: int, rate: float = _AT_ONCE
) -> Cost:
    """Single sends of all campaigns in turn: so many a second, or as fast as callers get their answers."""
    body = json.dumps(_BODY).encode()
    requests = [
        post_request(f"/api/v2/campaigns/{campaign}/messages", body, [f"Authorization: Bearer {key}"])
        for campaign, key in zip(meter.testbed.campaigns, keys, strict=True)
    ]
    return await _asked(meter, work, port, requests, count, "201", callers=64, rate=rate)


async def list_pages(meter: Meter, port: int, keys: list[str], limit: int, count: int) -> Cost:
    """The first page of the largest batch's messages."""
    batch = await meter.connection.fetchrow(
        "select id, campaign_id from batches order by total_messages desc limit 1"
    )
    assert batch is not None
    key = keys[meter.testbed.campaigns.index(batch["campaign_id"])]
    request = (
        f"GET /api/v2/campaigns/{batch['campaign_id']}/batch/{batch['id']}/messages?limit={limit} HTTP/1.1\r\n"
        f"Host: x\r\nAuthorization: Bearer {key}\r\n\r\n"
    )
    return await _asked(meter, f"a page of the API with {limit:,} messages", port, [request], count, "200")


async def console_views(meter: Meter, port: int, requests: list[str], count: int) -> Cost:
    """Pages as a campaign's people open them: lists, an upload, a batch, settings, members."""
    return await _asked(meter, "a view of the console", port, requests, count, "200")


async def live_pages(
    meter: Meter, port: int, sessions: list[str], count: int, seconds: float
) -> tuple[Cost, float]:
    """So many lists of uploads that stay open while nothing happens: what each takes in a minute, and its kilobytes."""
    before = meter.memory("console")
    async with Streams(port).opened(sessions, count):
        memory = (meter.memory("console") - before) * 1000 / count
        minutes = count * seconds / 60
        async with meter.measuring("a minute of a live page", lambda: minutes) as found:
            await asyncio.sleep(seconds)
    return found[0], memory


async def _asked(
    meter: Meter,
    work: str,
    port: int,
    requests: list[str],
    count: int,
    status: str,
    *,
    callers: int = 4,
    rate: float = _AT_ONCE,
) -> Cost:
    """A few of many are asked for before, with which libraries and plans are loaded.

    What has no answer some seconds after all were due isn't counted.
    """
    if first := count // 200:
        (await run_load(Plan(port, requests, callers, (first + 0.5) / rate, rate=rate))).demand(status)
    answered = 0
    async with meter.measuring(work, lambda: answered) as found:
        result = (await run_load(Plan(port, requests, callers, (count + 0.5) / rate, rate=rate))).demand(
            status
        )
        answered = sum(result.statuses.values())
        meter.note_connections()
    return found[0]

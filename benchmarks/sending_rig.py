"""Sender nodes on embedded servers for the measures of `benchmarks.sending`: batches of any size, and how far they have got."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import psutil

from config.environment import Environment
from rules.messages import Frame
from tests.chaos.testbed.files import TEMPLATE
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import DATABASE, Testbed, open_testbed
from tests.sending.twilio_control import ACCOUNT_SID, KEY_SECRET, KEY_SID, SERVICE_SID

_MEGABYTE: Final = 1024 * 1024
_INSERT_MESSAGES: Final = """
insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding)
select $1, place, (6580000000 + place)::text, 'english', jsonb_build_object('name', 'Emily Yeo', 'topic', 'letter ' || place),
    1, 'GSM-7'
from generate_series(2, $2 + 1) place
"""
_INSERT_SINGLES: Final = """
with added as (
    insert into batches (id, campaign_id, original_file_name, total_messages, kind, frame)
    select 'batch_' || gen_random_uuid(), $1, '', 1, 'single', $2 from generate_series(1, $3) returning batch_no
)
insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding)
select batch_no, 1, '6581234567', 'english', '{"name": "Emily Yeo", "topic": "code 123456"}', 1, 'GSM-7' from added
"""


@dataclass
class Progress:
    """When so many messages were done: pairs of seconds (of `time.monotonic`) and a count, the first of them before any was."""

    points: list[tuple[float, int]] = field(default_factory=list)

    def rate(self, begin: float = 0.0, end: float = 1.0) -> float:
        """Messages a second between these shares of all."""
        total = self.points[-1][1]
        first, last = self._at(begin * total), self._at(end * total)
        return (end - begin) * total / (last - first)

    def _at(self, count: float) -> float:
        before = self.points[0]
        for point in self.points:
            if point[1] >= count and point[1] > before[1]:
                return before[0] + (point[0] - before[0]) * (count - before[1]) / (point[1] - before[1])
            if point[1] <= count:
                before = point
        return before[0]


@dataclass
class Rig:
    """Running sender nodes. `connection` is the measure's own."""

    testbed: Testbed
    nodes: list[Node]
    connection: "asyncpg.Connection[asyncpg.Record]"
    peak_memory: float = 0
    """The most that a sender process had while a measure waited, in MB."""

    @property
    def campaigns(self) -> list[str]:
        return self.testbed.campaigns

    async def add_batch(self, campaign: str, rows: int) -> int:
        """Commit a batch of so many rows and announce it; returns its number."""
        async with self.connection.transaction():
            number: int = await self.connection.fetchval(
                "insert into batches (id, campaign_id, original_file_name, total_messages, frame)"
                " values ('batch_' || gen_random_uuid(), $1, 'letters.csv', $2, $3) returning batch_no",
                *(campaign, rows, FRAME),
            )
            await self.connection.execute(_INSERT_MESSAGES, number, rows, timeout=300)
            await self.connection.execute("select pg_notify('sftp_gateway_batches', $1)", str(number))
        return number

    async def add_singles(self, campaign: str, count: int) -> None:
        """Commit so many single sends at once."""
        async with self.connection.transaction():
            await self.connection.execute(_INSERT_SINGLES, campaign, FRAME, count)
            await self.connection.execute("select pg_notify('sftp_gateway_batches', '')")

    async def until_sent(self, batches: Sequence[int], *, terminal: bool, timeout: float) -> Progress:
        """Wait until all messages of these batches are `sent`, or, with `terminal`, have their last status.

        Raises TimeoutError where that takes longer than `timeout` seconds.
        """
        progress = Progress([(time.monotonic(), 0)])
        async with asyncio.timeout(timeout):
            while True:
                row = await self.connection.fetchrow(
                    "select sum(success + failure) as terminal, sum(sent + sent_to_telco + success + failure) as sent,"
                    " sum(total_messages) as total from batches where batch_no = any($1)",
                    batches,
                )
                assert row is not None
                progress.points.append((time.monotonic(), row["terminal" if terminal else "sent"]))
                self._note_memory()
                if progress.points[-1][1] >= row["total"]:
                    return progress
                await asyncio.sleep(0.1)

    def _note_memory(self) -> None:
        for node in self.nodes:
            for pid in node.parts("sender"):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.peak_memory = max(
                        self.peak_memory, psutil.Process(pid).memory_info().rss / _MEGABYTE
                    )


FRAME: Final = json.dumps(Frame(TEMPLATE.header, Environment.PRODUCTION).document())


def twilio_settings(base_url: str) -> dict[str, str]:
    """The public channel through the local Twilio server."""
    return {
        "sending__public__provider": "twilio",
        "sending__twilio__base_url": base_url,
        "sending__twilio__account_sid": ACCOUNT_SID,
        "sending__twilio__key_sid": KEY_SID,
        "sending__twilio__key_secret": KEY_SECRET,
        "sending__twilio__service_sid": SERVICE_SID,
        "secrets__key": base64.b64encode(bytes(32)).decode(),
    }


@contextlib.asynccontextmanager
async def open_rig(campaigns: int, nodes: int, **settings: str) -> AsyncIterator[Rig]:
    """So many nodes with one sender process each, ready to send, that go on until the end."""
    async with open_testbed(campaigns=campaigns, proxied=False) as testbed:
        started = await testbed.add_nodes(nodes, "sender", **settings)
        connection = await asyncpg.connect(testbed.postgres.socket_url(DATABASE))
        try:
            yield Rig(testbed, started, connection)
        finally:
            await connection.close()

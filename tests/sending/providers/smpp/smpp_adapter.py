"""The SMPP provider as the sender opens it, beside a test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from config.environment import Environment
from config.sending_sections import SendingSettings, SMPPSettings
from messages.news import AttemptKey
from rules.segments import segment
from sending.providers.choice import ProviderName, open_provider
from sending.providers.provider import OpenAttempt, Outgoing, PartNews, Provider, Surroundings
from tests.sending.providers.twilio_adapter import KnownIDsOfTest
from tests.sending.sending_node import until

DEADLINE = 30.0
NUMBER = "6591234567"


def outgoing(text: str = "Dear Tan", row_number: int = 2, *, seconds: float = DEADLINE) -> Outgoing:
    """A message of batch 7, which may leave for so many seconds."""
    counted = segment(text)
    leave_by = asyncio.get_running_loop().time() + seconds
    key = AttemptKey(7, row_number, 1)
    return Outgoing(key, NUMBER, text, counted.segments, counted.encoding, is_otp=False, leave_by=leave_by)


@dataclass
class Opened:
    """A provider, the news that it gave, and what it gave to adopt strays."""

    provider: Provider
    news: list[PartNews] = field(default_factory=list)
    asked_for_strays: list[tuple[OpenAttempt, int]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_news(self, count: int) -> list[PartNews]:
        """Wait until it has told of so many receipts."""
        async with asyncio.timeout(DEADLINE):
            while len(self.news) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.news

    async def until_bound(self, places: int = 2) -> None:
        """Wait until it takes so many messages at once: without a bind it is one."""
        await until(lambda: self.provider.most_at_once >= places, f"{places} messages at once")

    async def listen(self) -> None:
        async for each in self.provider.receipts():
            assert isinstance(each, PartNews)
            self.news.append(each)
            self.changed.set()


@contextlib.asynccontextmanager
async def opened_provider(port: int, **changes: Any) -> AsyncIterator[Opened]:
    """A provider at this port, without TLS if nothing else is given. Its closing must not hang."""
    settings: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "gateway",
        "password": SecretStr("secret08"),
        "tls": "none",
    }
    sending = SendingSettings(smpp=SMPPSettings(**(settings | changes)))
    opened: Opened | None = None

    async def adopt_strays(attempts: Sequence[tuple[OpenAttempt, int]]) -> None:
        assert opened is not None
        opened.asked_for_strays += attempts

    surroundings = Surroundings(sending, Environment.PRODUCTION, KnownIDsOfTest(), adopt_strays=adopt_strays)
    opened = Opened(open_provider(ProviderName.SMPP, surroundings))
    listening = asyncio.create_task(opened.listen())
    try:
        yield opened
    finally:
        async with asyncio.timeout(DEADLINE):
            await opened.provider.close()
        listening.cancel()
        await asyncio.wait([listening])

"""These run on the loop that the processes have: what a connection does at its end differs between loops."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.web.echo import Echo, serving_echo


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with serving_echo() as served:
        yield served

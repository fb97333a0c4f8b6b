"""These run on the loop that the processes have: what a connection does at its end differs between loops."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest
import structlog
import uvloop

from config.logs import configure_logs
from config.sections import LogSettings
from tests.web.echo import Echo, serving_echo


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with serving_echo() as served:
        yield served


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What is logged."""
    stream = io.StringIO()
    configure_logs(LogSettings(format="json", level="debug"), stream)
    yield stream
    logging.getLogger().handlers.clear()
    logging.captureWarnings(False)
    structlog.reset_defaults()

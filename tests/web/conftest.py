"""These run on the loop that the processes have: what a connection does at its end differs between loops."""

import asyncio
import io
import logging
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import structlog
import uvloop

from config.logs import LogSettings, configure_logs
from tests.web.echo import Echo, serving_echo


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with serving_echo() as served:
        yield served


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for `localhost` and its key."""
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "tls.pem", folder / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", chain],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return chain, key


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What is logged."""
    stream = io.StringIO()
    configure_logs(LogSettings(format="json", level="debug"), stream)
    yield stream
    logging.getLogger().handlers.clear()
    logging.captureWarnings(False)
    structlog.reset_defaults()

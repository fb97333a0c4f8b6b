"""A local Twilio server for the tests of its adapter."""

from collections.abc import AsyncIterator, Iterator

import pytest

from sending.providers.provider import Provider
from tests.sending.providers.twilio_adapter import KnownIDsOfTest, open_test_provider
from tests.sending.twilio_control import TwilioServer, twilio_server


@pytest.fixture(scope="session")
def running_twilio() -> Iterator[TwilioServer]:
    """The server that the tests of one run share."""
    with twilio_server() as server:
        yield server


@pytest.fixture
def twilio(running_twilio: TwilioServer) -> TwilioServer:
    """A server that has taken nothing yet and behaves well. It doesn't call back, as nobody listens."""
    running_twilio.call("reset")
    running_twilio.behave(callbacks=False)
    return running_twilio


@pytest.fixture
async def known_ids() -> KnownIDsOfTest:
    """The provider's ids that other attempts have already."""
    return KnownIDsOfTest()


@pytest.fixture
async def provider(twilio: TwilioServer, known_ids: KnownIDsOfTest) -> AsyncIterator[Provider]:
    """Twilio's adapter, which leads to the server."""
    opened = open_test_provider(twilio.base_url, known_ids)
    yield opened
    await opened.close()

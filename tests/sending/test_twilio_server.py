"""The local Twilio server itself: what other tests rely on."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web

from messages.callback_urls import parse_callback_path
from messages.news import AttemptKey
from messages.statuses import MessageStatus
from sending.providers.provider import Taken
from sending.providers.twilio_errors import parse_callback
from tests.sending.providers.twilio_adapter import DATA_KEY, open_test_provider, outgoing
from tests.sending.twilio_control import TwilioServer, twilio_server


class Receiver:
    """Takes callbacks as `api` would. `statuses` are its answers, the last one for all that follow."""

    def __init__(self) -> None:
        self.statuses = [204]
        self.arrived: asyncio.Queue[tuple[str, dict[str, str]]] = asyncio.Queue()
        self.base_url = ""

    async def take(self, request: web.Request) -> web.Response:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        self.arrived.put_nowait((request.path, fields))
        return web.Response(status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])

    async def next(self, count: int) -> list[tuple[str, dict[str, str]]]:
        async with asyncio.timeout(10):
            return [await self.arrived.get() for _ in range(count)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    application = web.Application()
    application.router.add_post("/{path:.*}", found.take)
    # A callback that is half read at the end of a test would be waited for, for 15 s.
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


@pytest.fixture(scope="module")
def running() -> Iterator[TwilioServer]:
    with twilio_server() as server:
        yield server


@pytest.fixture
def twilio(running: TwilioServer) -> TwilioServer:
    running.call("reset")
    return running


async def hand_over(twilio: TwilioServer, receiver: Receiver, rows: range = range(2, 3)) -> None:
    provider = open_test_provider(twilio.base_url, callback_base_url=receiver.base_url)
    for row in rows:
        assert isinstance(await provider.hand_over(outgoing(row)), Taken)
    await provider.close()


async def test_news_of_an_attempt_are_called_back_under_its_own_address(
    twilio: TwilioServer, receiver: Receiver
) -> None:
    twilio.behave(endings={"6591234567": ["undelivered", 30003]})
    await hand_over(twilio, receiver)
    called = await receiver.next(2)
    keys = {parse_callback_path(path, [DATA_KEY]) for path, _ in called}
    news = [parse_callback(AttemptKey(7, 2, 1), fields) for _, fields in called]
    assert keys == {AttemptKey(7, 2, 1)}
    assert [receipt.status for receipt in news if receipt] == [
        MessageStatus.SENT_TO_TELCO,
        MessageStatus.FAILURE,
    ]


async def test_a_callback_that_is_not_answered_well_comes_again_five_times(
    twilio: TwilioServer, receiver: Receiver
) -> None:
    twilio.behave(sent_after=-1)
    receiver.statuses = [503, 503, 204]
    await hand_over(twilio, receiver)
    assert len({str(called) for called in await receiver.next(3)}) == 1
    receiver.statuses = [500]
    await hand_over(twilio, receiver, range(3, 4))
    await receiver.next(6)
    answers = twilio.record()["callbacks"]
    assert (answers["503"], answers["204"]) == (2, 1)
    assert answers["500"] in (5, 6)


async def test_callbacks_come_twice_and_in_a_wrong_order_on_demand(
    twilio: TwilioServer, receiver: Receiver
) -> None:
    twilio.behave(callback_copies=2, callbacks_reversed=True)
    await hand_over(twilio, receiver)
    called = [fields["MessageStatus"] for _, fields in await receiver.next(4)]
    assert called == ["delivered", "delivered", "sent", "sent"]


async def test_what_it_took_is_counted_by_attempt_by_number_and_by_second(
    twilio: TwilioServer, receiver: Receiver
) -> None:
    await hand_over(twilio, receiver, range(2, 5))
    await hand_over(twilio, receiver, range(2, 3))
    record = twilio.record()
    assert record["attempts"] == {"7-2-1": 2, "7-3-1": 1, "7-4-1": 1}
    assert record["numbers"] == {"+6591234567": 4}
    assert sum(record["seconds"].values()) == record["created"] == 4


async def test_a_fault_is_met_as_often_as_asked_and_by_its_number_alone(
    twilio: TwilioServer, receiver: Receiver
) -> None:
    twilio.fail({"then": "error", "status": 400, "code": 21610, "count": 1, "number": "6598765432"})
    provider = open_test_provider(twilio.base_url)
    answers = [
        await provider.hand_over(outgoing(2, number)) for number in ("6591234567", "6598765432", "6598765432")
    ]
    await provider.close()
    assert [isinstance(answer, Taken) for answer in answers] == [True, False, True]

"""Nobody holds the server up by connections: halves of requests are cut, idle ones make room, and an address has a share only."""

import asyncio
import contextlib
import socket
from ipaddress import ip_network

import pytest

from tests.api.served import until
from tests.web.echo import Echo, parse_answers, push, read_answer, read_to_end, serving_echo
from web import metrics
from web.listener import MOST_OF_ADDRESS

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def own_address() -> str | None:
    """An address of this machine that isn't loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        address = str(probe.getsockname()[0])
        return None if address.startswith("127.") else address
    return None


OWN_ADDRESS = own_address()
needs_address = pytest.mark.skipif(OWN_ADDRESS is None, reason="this machine has no address but loopback")


def cut(cause: str) -> float:
    return float(metrics.CONNECTIONS_CUT.labels(cause)._value.get())


async def test_half_requests_are_cut_and_hold_nobody_up(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.protocol.REQUEST_SECONDS", 0.5)
    before = cut("slow")
    halves = [
        b"",
        b"GET /a",
        b"GET /a HTTP/1.1\r\nHost: x\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nMess",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nMess",
    ]
    connections = [await echo.connect() for _ in halves]
    for (_, writer), half in zip(connections, halves, strict=True):
        writer.write(half)
    for reader, _ in connections:
        assert await read_to_end(reader) == b""
    await until(lambda: cut("slow") == before + len(halves))
    assert echo.seen == []


async def test_trickling_a_request_does_not_prolong_its_time(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.protocol.REQUEST_SECONDS", 0.5)
    before = cut("slow")
    for request in (
        b"GET /" + b"a" * 1000,
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b"a" * 900,
    ):
        reader, writer = await echo.connect()
        for byte in request:
            if not await push(writer, bytes([byte])):
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("it was allowed to trickle on")
        assert await read_to_end(reader) == b""
    await until(lambda: cut("slow") == before + 2)


async def test_between_two_requests_there_is_more_time_and_a_second_half_is_cut_too(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await echo.connect()
    writer.write(GET)
    assert (await read_answer(reader)).status == 200
    monkeypatch.setattr("web.protocol.REQUEST_SECONDS", 0.5)
    # Longer than a request may take.
    await asyncio.sleep(0.7)
    writer.write(GET)
    assert (await read_answer(reader)).status == 200
    before = cut("slow")
    writer.write(GET[:20])
    assert await read_to_end(reader) == b""
    await until(lambda: cut("slow") == before + 1)


async def test_a_connection_that_asks_for_nothing_more_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cut("slow")
    async with serving_echo(keep_alive=1) as echo:
        reader, writer = await echo.connect()
        writer.write(GET)
        assert [answer.status for answer in parse_answers(await read_to_end(reader))] == [200]
    assert cut("slow") == before


async def test_the_oldest_idle_connection_makes_room_for_a_new_one(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.listener.MOST_OPEN", 20)
    before = cut("total")
    idle = [await echo.connect() for _ in range(25)]
    assert (await echo.say(LAST)).status == 200
    await until(lambda: cut("total") == before + 6)
    for reader, _ in idle[:6]:
        assert await read_to_end(reader) == b""
    reader, writer = idle[-1]
    writer.write(LAST)
    assert (await read_answer(reader)).status == 200


async def test_who_is_being_answered_or_was_allowed_a_long_body_makes_no_room(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.listener.MOST_OPEN", 2)
    waiting, waiting_writer = await echo.connect()
    waiting_writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    sending, sending_writer = await echo.connect()
    sending_writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
    await until(lambda: len(echo.told) == 2)
    before = cut("total")
    reader, _ = await echo.connect()
    assert await read_to_end(reader) == b""
    assert cut("total") == before + 1
    echo.goes_on.set()
    sending_writer.write(b"body")
    assert (await read_answer(sending)).body == b"4"
    waiting_writer.write_eof()
    assert (await read_answer(waiting)).body == b"waited"


@needs_address
async def test_one_address_has_a_share_only_and_plain_http_from_afar_is_forbidden() -> None:
    assert OWN_ADDRESS is not None
    before = cut("address")
    async with serving_echo(host="0.0.0.0") as echo:
        echo.host = OWN_ADDRESS
        answer = await echo.say(LAST)
        assert (answer.status, answer.shape_a) == (403, True)
        await until(lambda: not echo.live)
        for _ in range(MOST_OF_ADDRESS + 2):
            await echo.connect()
        await until(lambda: cut("address") == before + 2)
        echo.host = "127.0.0.1"
        assert (await echo.say(LAST)).status == 200
    async with serving_echo([ip_network(f"{OWN_ADDRESS}/32")], host="0.0.0.0") as echo:
        echo.host = OWN_ADDRESS
        assert (await echo.say(LAST)).status == 200

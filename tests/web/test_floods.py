"""Connections of an address that floods with wrong keys wait, unread, and make room for each other only."""

from ipaddress import ip_address, ip_network

import pytest

from tests.api.served import until
from tests.web.echo import Echo, read_answer, read_to_end, serving_echo
from web import metrics

FLOODER = ip_address("127.0.0.9")
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


def cut() -> float:
    return float(metrics.CONNECTIONS_CUT.labels("flood")._value.get())


def tell_of_many(echo: Echo) -> None:
    for _ in range(200):
        echo.pacer.seconds_for(FLOODER)


async def test_whoever_floods_waits_while_others_are_served(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.floods.MOST_WAITING", 3)
    monkeypatch.setattr("web.floods.SECONDS", 60)
    before = cut()
    tell_of_many(echo)
    flood = [await echo.connect(source="127.0.0.9") for _ in range(5)]
    for _, writer in flood:
        writer.write(GET)
    await until(lambda: cut() == before + 2)
    for reader, _ in flood[:2]:
        assert await read_to_end(reader) == b""
    reader, writer = await echo.connect()
    writer.write(GET)
    assert (await read_answer(reader)).status == 200
    assert len(echo.seen) == 1


async def test_in_the_end_it_is_served_too(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.floods.SECONDS", 0.1)
    tell_of_many(echo)
    reader, writer = await echo.connect(source="127.0.0.9")
    writer.write(GET)
    assert (await read_answer(reader)).status == 200


async def test_a_listed_proxy_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.floods.SECONDS", 60)
    async with serving_echo([ip_network("127.0.0.9/32")]) as echo:
        tell_of_many(echo)
        reader, writer = await echo.connect(source="127.0.0.9")
        writer.write(GET)
        assert (await read_answer(reader)).status == 200

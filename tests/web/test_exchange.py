"""What comes to one request's exchange while it does something else."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

import pytest

from web.exchange import Exchange, Line
from web.heads import parse_head

HEAD: Final = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"


class _SlowLine:
    """A line to a client that takes a word late: until then something else comes."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None

    def ask_for_body(self) -> None:
        pass

    async def write(self, written: bytes) -> None:
        self.meanwhile()


@pytest.mark.parametrize(
    ("comes", "told"),
    [
        (lambda exchange: exchange.hang_up(), {"type": "http.disconnect"}),
        (
            lambda exchange: (exchange.take(b"body"), exchange.take_end()),
            {"type": "http.request", "body": b"body", "more_body": False},
        ),
    ],
    ids=["the end", "the body"],
)
async def test_what_comes_while_continue_is_written_is_told(
    comes: Callable[[Exchange], object], told: dict[str, object]
) -> None:
    line = _SlowLine()
    exchange = Exchange(cast(Line, line), parse_head(HEAD), {}, [])
    line.meanwhile = lambda: (comes(exchange), None)[1]
    async with asyncio.timeout(10):
        assert await exchange.receive() == told

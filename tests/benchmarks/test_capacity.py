"""How costs are made of what was counted, and what ends first by them; and the counter of requests to the bucket."""

import asyncio
from collections import Counter
from collections.abc import Mapping

import pytest

from benchmarks.capacity.meter import POSTGRESQL, VERDICTS, Cost, Reading, cost_between
from benchmarks.capacity.s3_requests import counting_requests
from benchmarks.capacity.table import first_to_end

REST = Cost("a second at rest", {"front": 2.0}, 50, {}, {"HEAD": 0.25})
BEFORE = Reading(100.0, {"front": 1.0, "worker": 5.0}, 1_000, {"uploads": 8_192}, Counter(PUT=3, HEAD=1))
AFTER = Reading(
    110.0,
    {"front": 1.5, "worker": 5.0},
    21_000,
    {"uploads": 16_384, "batches": 4_096},
    Counter(PUT=23, HEAD=3),
)


def test_a_cost_is_what_was_taken_beyond_rest_for_each_unit() -> None:
    cost = cost_between("an upload", BEFORE, AFTER, 10, REST)

    # Of the 500 ms and 20,000 bytes of ten seconds, 20 ms and 500 bytes are taken anyway; so are two of the two HEADs, and more.
    assert cost.milliseconds == pytest.approx({"front": 48, "worker": 0})
    assert cost.wal_bytes == pytest.approx(1_950)
    assert cost.s3_requests == pytest.approx({"PUT": 2, "HEAD": 0})
    assert cost.table_bytes == pytest.approx({"uploads": 819.2, "batches": 409.6})
    assert cost.kept_bytes == pytest.approx(1_228.8)


@pytest.mark.parametrize(
    ("milliseconds", "first"),
    [
        pytest.param({"front": 8, "worker": 10, POSTGRESQL: 20}, ("worker", 100), id="one process has one core"),
        pytest.param({"worker": 4, VERDICTS: 10, POSTGRESQL: 20}, (POSTGRESQL, 200), id="a server has all of its own"),
        pytest.param({"worker": 2, VERDICTS: 50, POSTGRESQL: 10}, (VERDICTS, 80), id="so have children that judge"),
        pytest.param({"front": 0, "worker": 1000}, ("worker", 1), id="what takes nothing never ends"),
    ],
)  # fmt: skip
def test_the_part_with_the_least_rate_ends_first(
    milliseconds: Mapping[str, float], first: tuple[str, float]
) -> None:
    assert first_to_end(Cost("an upload", milliseconds, 0, {}, {}), cores=4) == pytest.approx(first)


async def test_requests_are_counted_by_method_whatever_stands_in_their_bodies() -> None:
    taken = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            taken.extend(chunk)
            if taken.endswith(b"the end"):
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                break
        writer.close()

    body = b"GET /not/a/request HTTP/1.1\r\n\r\n" * 20_000
    said = (
        b"PUT /bucket/a HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        + b"HEAD /bucket HTTP/1.1\r\nHost: x\r\n\r\n"
        + b"PUT /bucket/b HTTP/1.1\r\nContent-Length: 7\r\n\r\nthe end"
    )
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, counting_requests(server.sockets[0].getsockname()[1]) as counter:
        port = int(counter.endpoint_url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        # To its end: a server that ends the connection ends the client's.
        assert await asyncio.wait_for(reader.read(), 30) == b"HTTP/1.1 204 No Content\r\n\r\n"
        writer.close()
        await writer.wait_closed()
        assert counter.requests == Counter(PUT=2, HEAD=1)
    assert taken == said

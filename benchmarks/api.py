"""How fast the HTTP API is, and whom it lets disturb whom: `python -m benchmarks.api [--only single,steady,…]`.

Each measure starts servers and an API process of its own (Show 4 and 5 of issue 13). Clients are a process of their own, or
only wait. `--short` takes a tenth of the time: its figures say that the measure works, and nothing else.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psutil

from benchmarks.api_bare import TABLE
from benchmarks.api_lists import ROWS, Pages, cursor_of, fill_batch
from benchmarks.api_load import Plan, Result, post_request, run_load, say_and_wait
from benchmarks.files import clean
from config.environment import Environment
from gateway.embedded.server_process import ServerProcess, answers, free_port
from keys.api_key_form import new_key
from tests.api.client import APIClient
from tests.api.conftest import make_api_key
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import DATABASE, Testbed, open_testbed

_MEGABYTE: Final = 1024 * 1024
_BODY: Final = {
    "recipient": "6581234567",
    "language": "english",
    "values": {"name": "Emily Yeo", "topic": "code 123456"},
}
_FILE_BYTES: Final = 29 * 1_000_000
_BOUNDARY: Final = "benchmark"


@dataclass(frozen=True, slots=True)
class Served:
    """A serving API process, and the keys of the campaigns."""

    testbed: Testbed
    node: Node
    port: int
    keys: list[str]

    def head(self, number: int, path: str) -> tuple[str, list[str]]:
        """Path and headers of a call of one of the campaigns."""
        return f"/api/v2/campaigns/{self.testbed.campaigns[number]}{path}", [
            f"Authorization: Bearer {self.keys[number]}"
        ]

    def singles(self, campaigns: int, first: int = 0) -> list[str]:
        """A single send of each of so many campaigns."""
        body = json.dumps(_BODY).encode()
        heads = (self.head(number, "/messages") for number in range(first, first + campaigns))
        return [post_request(path, body, headers) for path, headers in heads]

    def memory(self) -> float:
        """Resident megabytes of the API process."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.node.parts("api")) / _MEGABYTE


@contextlib.asynccontextmanager
async def _served(campaigns: int, *, worker: bool = False) -> AsyncIterator[Served]:
    """An API process whose campaigns may call it as often as they can."""
    async with open_testbed(campaigns=campaigns, proxied=False) as testbed:
        async with testbed.connected() as connection:
            keys = [
                await make_api_key(connection, campaign, Environment.PRODUCTION)
                for campaign in testbed.campaigns
            ]
        port = free_port()
        node = await testbed.add_node("api", api__port=str(port))
        if worker:
            await testbed.add_node("worker")
        yield Served(testbed, node, port, keys)


# A single send beside a bare handler.


async def single(scale: float) -> bool:
    """Calls a second of both, turn by turn, by 64 callers who wait for their answers."""
    rounds, seconds = 3, max(10 * scale, 2)
    async with _served(20) as served:
        with _bare(served.testbed) as (port, bare_pid):
            [api_pid] = served.node.parts("api")
            servers = {"bare": psutil.Process(bare_pid), "API": psutil.Process(api_pid)}
            body = json.dumps(_BODY).encode()
            plans = {
                "bare": Plan(port, [post_request("/send", body)], 64, seconds),
                "API": Plan(served.port, served.singles(20), 64, seconds),
            }
            for plan in plans.values():
                (await run_load(plan)).demand("201")
            results: dict[str, list[Result]] = {name: [] for name in plans}
            processor = dict.fromkeys(plans, 0.0)
            for number in range(rounds):
                for name in list(plans)[:: 1 if number % 2 == 0 else -1]:
                    before = _processor_seconds(servers[name])
                    results[name].append((await run_load(plans[name])).demand("201"))
                    processor[name] += _processor_seconds(servers[name]) - before
    rates = {name: statistics.median(result.rate for result in found) for name, found in results.items()}
    waits = {
        name: statistics.median(result.wait(0.5) for result in found) * 1000
        for name, found in results.items()
    }
    print(f"a single send, 20 campaigns, 64 callers, one process each, medians of {rounds} rounds")
    for name, what in (("bare", "a bare handler with one INSERT"), ("API", "the API's call")):
        each = processor[name] / sum(len(result.waits) for result in results[name]) * 1e6
        _say(
            what,
            rates[name],
            f"calls/s, half of them within {waits[name]:.0f} ms; {each:.0f} µs of processor time",
        )
    return _tell("API / bare", rates["API"] / rates["bare"], "x", at_least=0.8)


def _processor_seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


@contextmanager
def _bare(testbed: Testbed) -> Iterator[tuple[int, int]]:
    """A serving bare handler on the same database; gives its port and its process's number."""
    testbed.postgres.run_sql(TABLE, DATABASE)
    port = free_port()
    process = ServerProcess(
        "bare handler",
        [sys.executable, "-m", "benchmarks.api_bare", str(port)],
        log=testbed.folder / "bare.log",
        environment={
            **os.environ,
            "DATABASE_URL": testbed.postgres.tcp_url(DATABASE),
            "PYTHONPATH": os.getcwd(),  # noqa: PTH109
        },
    )
    try:
        process.wait_until_ready(lambda: answers(port), timeout=60)
        yield port, process.pid
    finally:
        process.stop()


# The documented rates.


async def steady(scale: float) -> bool:
    """Twenty campaigns at ten calls a second each, evenly, from the moment that each call was due."""
    async with _served(20) as served:
        requests = served.singles(20)
        (await run_load(Plan(served.port, requests, 20, 2, rate=200))).demand("201")
        result = await run_load(Plan(served.port, requests, 100, max(60 * scale, 5), rate=200))
        result.demand("201")
    print(f"20 campaigns at 10 calls/s each: {len(result.waits):,} calls within {result.seconds:.0f} s")
    for share in (0.5, 0.99):
        _say(f"{share:.0%} of the calls", result.wait(share) * 1000, "ms")
    return _tell("99.9 % of the calls", result.wait(0.999) * 1000, "ms", at_most=500)


# A batch send.


async def batch(scale: float) -> bool:
    """A file of 29 MB, from its last byte to the answer that all of it is accepted."""
    rounds = max(round(9 * scale), 2)
    large, small = await asyncio.to_thread(_letters, ROWS), _letters(10)
    async with _served(1, worker=True) as served:
        path, headers = served.head(0, "/batch/messages")
        ends, wholes = [], []
        for number in range(rounds + 1):
            head, body = _multipart(path, headers, large if number else small)
            whole, end, answer = await asyncio.to_thread(say_and_wait, served.port, head, body)
            if b'"isValid":true' not in answer:
                message = f"a batch was answered {answer[-900:]!r}"
                raise RuntimeError(message)
            if number:
                wholes.append(whole)
                ends.append(end)
    print(f"a batch send of {len(large) / 1e6:.1f} MB, median of {rounds}; one worker, all on this machine")
    _say("the whole call", statistics.median(wholes), "s", 2)
    _say("the slowest, from the last byte on", max(ends), "s", 2)
    return _tell("from the last byte to the answer", statistics.median(ends), "s", at_most=3)


def _letters(rows: int) -> bytes:
    """A clean file with the columns of the testbed's campaigns."""
    return clean(rows).replace(b"recipient_name", b"name", 1)


def _multipart(
    path: str, headers: list[str], content: bytes, *, length: int | None = None
) -> tuple[bytes, bytes]:
    """Head and body. `length`: how many bytes the file is said to have, where it has none yet."""
    before = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="letters.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    ).encode()
    after = f"\r\n--{_BOUNDARY}--\r\n".encode()
    total = len(before) + (len(content) if length is None else length) + len(after)
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}",
        f"Content-Length: {total}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), before + content + (after if length is None else b"")


# A page of a large batch.


async def page(scale: float) -> bool:
    """Pages of 1,000 of a batch of 474,611 rows, walked and from anywhere; `benchmarks.api_lists` has ten million singles."""
    pages = max(round(200 * scale), 20)
    async with _served(1) as served:
        async with served.testbed.connected() as connection:
            await connection.execute("set session_replication_role = replica")
            batch_id = await fill_batch(connection, served.testbed.campaigns[0], 1)
            for table in ("batches", "messages", "attempts"):
                await connection.execute(f"vacuum (analyze) {table}", timeout=600)
            at = await connection.fetchval("select created_at from batches")
        client = APIClient(served.port, served.testbed.campaigns[0], served.keys[0])
        path = f"/batch/{batch_id}/messages"
        cursors = [cursor_of(at, str(row)) for row in random.Random(2).sample(range(2, ROWS + 2), pages)]
        walked, jumped = Pages(client, path, "limit=1000"), Pages(client, path, "limit=1000")
        await walked.walk(pages)
        await jumped.jump(cursors)
    met = walked.tell(f"a batch of {ROWS:,}, 1,000 a page, walked")
    return jumped.tell(f"a batch of {ROWS:,}, 1,000 a page, from anywhere") and met


# Bodies that come in slowly.


async def slow(scale: float) -> bool:
    """Fifty clients send all but the end of 29 MB each, at a steady pace, and hang up: what the process needs meanwhile."""
    clients, size, seconds = 50, round(_FILE_BYTES * max(scale, 0.1)), max(60 * scale, 10)
    async with _served(1) as served:
        # A single send and a small body first: what is loaded with the first of each isn't the bodies' own.
        (await run_load(Plan(served.port, served.singles(1), 4, 2, rate=50))).demand("201")
        await _send_slowly(served, 100_000, 1)
        idle = served.memory()
        sending = [asyncio.create_task(_send_slowly(served, size, seconds)) for _ in range(clients)]
        most = half = 0.0
        while not all(task.done() for task in sending):
            await asyncio.sleep(0.1)
            most = max(most, served.memory())
        half = await asyncio.to_thread(served.memory)
        for task in sending:
            await task
    print(f"{clients} clients send {size / 1e6:.0f} MB each within {seconds:.0f} s")
    _say("idle", idle, "MB", 1)
    _say("afterwards", half, "MB", 1)
    return _tell("at most, above idle", most - idle, "MB", at_most=50)


async def _send_slowly(served: Served, size: int, seconds: float) -> None:
    path, headers = served.head(0, "/batch/messages")
    head, begin = _multipart(path, headers, b"", length=size)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head + begin)
    piece = b"6581234567,english,Emily Yeo,code 123456\n" * 1600
    count = size // len(piece)
    try:
        for _ in range(count):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(seconds / count)
        if reader.at_eof():
            raise RuntimeError("a slow body was cut off")
    finally:
        writer.transport.abort()


# Wrong keys.


async def flood(scale: float) -> bool:
    """Ten thousand well-formed wrong keys a second from one address, while other campaigns call as they may."""
    seconds = max(20 * scale, 5)
    async with _served(20) as served:
        calls = Plan(served.port, served.singles(19), 20, seconds, rate=50)
        path, _ = served.head(19, "/messages")
        body = json.dumps(_BODY).encode()
        wrong = [
            post_request(path, body, [f"Authorization: Bearer {new_key(Environment.PRODUCTION)}"])
            for _ in range(2000)
        ]
        attack = Plan(served.port, wrong, 400, seconds + 6, source="127.0.0.9", flood=25)
        (await run_load(calls)).demand("201")
        quiet = (await run_load(calls)).demand("201")
        attacking = asyncio.create_task(run_load(attack))
        await asyncio.sleep(3)
        disturbed = (await run_load(calls)).demand("201")
        attacked = await attacking
    print(
        f"{attacked.said / attacked.seconds:,.0f} wrong keys/s from one address, 20 campaigns at 50 calls/s"
    )
    for name, result in (("without", quiet), ("with the flood", disturbed)):
        _say(name, result.wait(0.5) * 1000, f"ms in the middle, {result.wait(0.99) * 1000:.0f} ms of 99 %", 1)
    return _tell("slower in the middle", disturbed.wait(0.5) / quiet.wait(0.5), "x", at_most=2)


def _say(what: str, figure: float, rest: str, places: int = 0) -> None:
    print(f"  {what:<36}{figure:>10,.{places}f} {rest}", flush=True)


def _tell(
    what: str, figure: float, unit: str, *, at_least: float | None = None, at_most: float | None = None
) -> bool:
    """Print the figure beside what is to be reached; whether it is."""
    met = (at_least is None or figure >= at_least) and (at_most is None or figure <= at_most)
    target = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
    _say(what, figure, f"{unit}   ({target}: {'yes' if met else 'NO'})", 2)
    return met


MEASURES: Final[dict[str, Callable[[float], Coroutine[None, None, bool]]]] = {
    "single": single,
    "steady": steady,
    "batch": batch,
    "page": page,
    "slow": slow,
    "flood": flood,
}


def main() -> int:
    """All measures, or those that are named. Exit status 1 where one misses what it is to reach."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__)
    options.add_argument("--only", default=",".join(MEASURES), help="measures, separated by commas")
    options.add_argument("--short", action="store_true", help="a tenth of the time")
    chosen = options.parse_args()
    scale = 0.1 if chosen.short else 1.0
    met = [asyncio.run(MEASURES[name](scale)) for name in chosen.only.split(",")]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())

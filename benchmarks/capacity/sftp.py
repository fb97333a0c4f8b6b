"""What agencies' SFTP takes: logins, sessions that lie idle, uploads from their OPEN to the e-mail about them."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Final

import asyncssh

from benchmarks.capacity.meter import Cost, Meter
from benchmarks.files import clean
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import until

# Clients work at the same time as so many sessions do at a night's peak, rather than one after the other.
_AT_ONCE: Final = 8
_DEADLINE: Final = 120
_names = itertools.count(1)


async def logins(meter: Meter, node: Node, count: int) -> Cost:
    """A connection, its key exchange, the login, an SFTP session in which nothing is asked for, and its end."""
    numbers = iter(range(count))

    async def log_in() -> None:
        for number in numbers:
            async with _session(meter, node, number) as client:
                await client.stat(".")

    await _together(lambda: _log_in_once(meter, node))
    async with meter.measuring("an SFTP login", lambda: count) as found:
        await _together(log_in)
    return found[0]


async def _log_in_once(meter: Meter, node: Node) -> None:
    async with _session(meter, node, 0):
        pass


async def idle_sessions(meter: Meter, node: Node, count: int, seconds: float) -> tuple[Cost, float]:
    """So many sessions at once in which nothing is asked for: what each takes in a minute, and kilobytes of a front."""
    before = meter.memory("front")
    async with contextlib.AsyncExitStack() as opened:
        for number in range(count):
            await opened.enter_async_context(_session(meter, node, number))
        memory = (meter.memory("front") - before) * 1000 / count
        minutes = count * seconds / 60
        async with meter.measuring("a minute of an idle session", lambda: minutes) as found:
            await asyncio.sleep(seconds)
    return found[0], memory


async def uploads(
    meter: Meter, node: Node, work: str, rows: int, count: int, make: Callable[..., bytes] = clean
) -> Cost:
    """So many uploads of so many rows, each to its e-mail. One goes before, with which libraries and tables are loaded."""
    await _put_all(meter, node, [_content(make, rows, 0)])
    contents = [_content(make, rows, seed) for seed in range(1, count + 1)]
    async with meter.measuring(work, lambda: count) as found:
        await _put_all(meter, node, contents)
    return found[0]


def _content(make: Callable[..., bytes], rows: int, seed: int) -> bytes:
    """A file with the columns of the testbed's campaigns. One that ended with a client's block would look interrupted."""
    content = make(rows=rows, seed=seed).replace(b"recipient_name", b"name", 1)
    return content + b"\n" if len(content) % 16_384 == 0 else content


async def _put_all(meter: Meter, node: Node, contents: list[bytes]) -> None:
    """Each client has one session and puts one file after the other; all of them are mailed about at the end."""
    told = int(await meter.connection.fetchval(_NOTIFIED))
    files = iter(contents)

    async def put() -> None:
        async with _session(meter, node, next(_names)) as client:
            for content in files:
                async with client.open(f"letters-{next(_names)}.csv", "wb") as upload:
                    await upload.write(content)

    async def all_told() -> bool:
        return int(await meter.connection.fetchval(_NOTIFIED)) - told == len(contents)

    await _together(put)
    meter.note_connections()
    await until(all_told, "every upload is decided and its e-mail sent", _DEADLINE)


_NOTIFIED: Final = "select count(notified_at) from uploads"


async def _together(work: Callable[[], object]) -> None:
    async with asyncio.TaskGroup() as clients:
        for _ in range(_AT_ONCE):
            clients.create_task(work())  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def _session(meter: Meter, node: Node, number: int) -> AsyncIterator[asyncssh.SFTPClient]:
    """A login of one of the campaigns, in turn."""
    connection = asyncssh.connect(
        "127.0.0.1",
        node.port,
        username=meter.testbed.campaigns[number % len(meter.testbed.campaigns)],
        client_keys=[str(meter.testbed.key.private_file)],
        known_hosts=None,
        config=None,
    )
    async with connection as opened, opened.start_sftp_client() as client:
        yield client

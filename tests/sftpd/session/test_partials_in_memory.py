"""No request waits for a look into the spool's folders: partials are known in memory, also those of other processes."""

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from statistics import quantiles

import asyncssh
import pytest
from asyncssh import SFTPAttrs
from asyncssh.constants import FX_FAILURE, FXF_CREAT, FXF_WRITE
from asyncssh.sftp import SFTPClientHandler

from sftpd.sessions import Session
from sftpd.spool.partials import PartialState
from sftpd.spool.spool import Spool
from tests.sftpd.boxes import (
    ANEW,
    CAMPAIGN,
    NOTHING,
    SMALL,
    Box,
    csv_of,
    listed,
    put,
    refused,
    running_box,
    write_blocks,
)

OTHER_LOGIN = Session(CAMPAIGN, "connection_9", "192.0.2.9", "SHA256:other")
# What looks into folders, opens notes and takes locks. The names are those of Python's audit events.
LOOKS = frozenset({"os.scandir", "os.listdir", "open", "fcntl.flock"})

# An audit hook can't be taken away again, so there is one for all tests, and it notes only while a list is set.
_watched: list[tuple[str, str]] | None = None
_watched_thread = threading.get_ident()


def _note_look(event: str, arguments: tuple[object, ...]) -> None:
    if _watched is not None and event in LOOKS and threading.get_ident() == _watched_thread:
        _watched.append((event, str(arguments[0])))


@contextlib.contextmanager
def looks_on_the_event_loop() -> Iterator[list[tuple[str, str]]]:
    """What this thread asks of folders, notes and locks while the context lasts."""
    global _watched, _watched_thread
    if not hasattr(sys, "_looks_are_noted"):
        sys.addaudithook(_note_look)
        sys._looks_are_noted = True  # type: ignore[attr-defined]
    _watched_thread, _watched = threading.get_ident(), []
    try:
        yield _watched
    finally:
        _watched = None


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with running_box(tmp_path / "spool") as running:
        yield running


@pytest.fixture
async def client(box: Box) -> SFTPClientHandler:
    return await box.client()


async def test_no_request_looks_into_the_spool_on_the_event_loop(box: Box, client: SFTPClientHandler) -> None:
    with looks_on_the_event_loop() as looks:
        async with refused(FX_FAILURE, "interrupted"):
            await put(client, b"x.csv", csv_of(16_384))
        handle = await client.open(b"x.csv", FXF_WRITE | FXF_CREAT, NOTHING)
        await client.write(handle, 16_384, SMALL)
        await client.write(handle, 40_000, SMALL)
        await client.fsetstat(handle, SFTPAttrs(size=16_385))
        await client.setstat(b"x.csv", SFTPAttrs(atime=1, mtime=1))
        await client.close(handle)
        await put(client, b"y.csv.part", SMALL)
        await client.stat(b"y.csv.part", 0)
        await client.setstat(b"y.csv.part", SFTPAttrs(atime=1, mtime=1))
        await listed(client)
        await client.statvfs(b"/")
        await client.rename(b"y.csv.part", b"z.csv.part", 0)
        await client.rename(b"z.csv.part", b"z.csv", 0)
        await put(client, b"y.csv.part", SMALL)
        await client.remove(b"y.csv.part")
        await client.open(b"cut.csv", ANEW, NOTHING)
        box.connections[0].abort()
        await box.wait_cut()
    # The test's own intake opens the bytes that it is given.
    notes = [path for event, path in looks if event == "open" and path.endswith(".json")]
    assert notes + [event for event, _ in looks if event != "open"] == []


async def test_a_flood_of_stats_after_scattered_partials_leaves_others_their_turn(
    box: Box, client: SFTPClientHandler
) -> None:
    for number in range(20):
        handle = await client.open(f"{number}.csv".encode(), ANEW, NOTHING)
        with contextlib.suppress(asyncssh.SFTPError):
            for start in range(0, 4_000, 200):
                islands = range(start, start + 200)
                await asyncio.gather(*(client.write(handle, island * 2, b"x") for island in islands))
        with contextlib.suppress(asyncssh.SFTPError):
            await client.close(handle)
    attackers = [await box.client() for _ in range(4)]
    flood = [asyncio.ensure_future(attacker.stat(b"0.csv", 0)) for attacker in attackers for _ in range(100)]
    neighbour = await box.client()
    waits: list[float] = []
    while not all(answer.done() for answer in flood) or len(waits) < 20:
        # This is the processor time of this process alone, whatever else the machine does.
        began = time.process_time()
        with contextlib.suppress(asyncssh.SFTPError):
            await neighbour.stat(b"absent.csv", 0)
        waits.append(time.process_time() - began)
    await asyncio.gather(*flood, return_exceptions=True)
    assert quantiles(waits, n=20)[-1] <= 0.25


async def test_what_another_process_keeps_takes_and_removes_is_seen_at_once(
    box: Box, client: SFTPClientHandler
) -> None:
    other = Spool(box.settings)
    for size in range(1, 30):
        spooled = other.create(OTHER_LOGIN, "x.csv", None)
        spooled.write(0, b"a" * size)
        other.keep(spooled, PartialState.CUT)
        assert (await client.stat(b"x.csv", 0)).size == size
    (partial,) = other.partials(CAMPAIGN)
    resumed = other.resume(partial)
    assert await listed(client) == []
    resumed.write(29, b"b")
    other.keep(resumed, PartialState.CUT)
    assert await listed(client) == [(b"x.csv", 30)]
    handle = await client.open(b"x.csv", FXF_WRITE, NOTHING)
    await client.write(handle, 30, b"c")
    assert other.partials(CAMPAIGN) == []
    await client.close(handle)
    assert box.intake.stored == [("x.csv", b"a" * 29 + b"bc")]


async def test_blocks_in_any_order_are_taken_as_a_client_with_64_in_flight_sends_them(
    box: Box, client: SFTPClientHandler
) -> None:
    content = csv_of(200 * 1_000 + 7)
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    for start in range(0, 201, 64):
        # Every second block first, and backwards: the most holes that 64 blocks can leave.
        blocks = sorted(range(start, min(start + 64, 201)), key=lambda block: (block % 2 == 0, -block))
        for block in blocks:
            await client.write(handle, block * 1_000, content[block * 1_000 : (block + 1) * 1_000])
    await client.close(handle)
    assert box.intake.stored == [("x.csv", content)]


async def test_more_islands_than_any_client_makes_are_refused(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    async with refused(FX_FAILURE, "too many separate pieces"):
        for island in range(300):
            await client.write(handle, island * 2, b"x")
    assert box.files == []
    await write_blocks(client, await client.open(b"x.csv", ANEW, NOTHING), SMALL, 100)

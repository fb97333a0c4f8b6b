"""Files up to the limit and beyond it, with a length that was announced and without; and many that come in slowly at once."""

import asyncio
import contextlib
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from api.batches.sends import MOST_OF_CAMPAIGN
from config.sizes import MAX_UPLOAD_BYTES
from database.connections import Pool
from tests.api.batches.bodies import HEADERS, MEDIA_TYPE, begun, chunk, form
from tests.api.client import APIClient
from tests.api.served import Answer, parse_answer, until, until_awaited

LARGEST = bytes(MAX_UPLOAD_BYTES - 1)


async def pour(writer: asyncio.StreamWriter, data: bytes, *, is_chunked: bool) -> None:
    """Say this much, as long as somebody listens."""
    with contextlib.suppress(ConnectionError):
        for start in range(0, len(data), 1024 * 1024):
            piece = data[start : start + 1024 * 1024]
            writer.write(chunk(piece) if is_chunked else piece)
            await writer.drain()
        if is_chunked:
            writer.write(chunk(b""))


async def say(client: APIClient, data: bytes, length: int | None, media_type: str = MEDIA_TYPE) -> Answer:
    """Say all of it; then read the answer."""
    async with begun(client, b"", length, media_type) as (reader, writer):
        reading = asyncio.create_task(reader.read())
        await pour(writer, data, is_chunked=length is None)
        return parse_answer(await reading)


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_the_largest_file_is_taken_as_it_is(client: APIClient, pool: Pool, *, is_chunked: bool) -> None:
    body = form(LARGEST)
    async with begun(client, b"", None if is_chunked else len(body)) as (_, writer):
        await pour(writer, body, is_chunked=is_chunked)
        # Nobody judges it here.
        await until_awaited(lambda: pool.fetchval("select count(*) from uploads"), 1)
    upload = await pool.fetchrow("select bytes, content_sha256 from uploads")
    assert upload is not None
    assert tuple(upload) == (MAX_UPLOAD_BYTES - 1, hashlib.sha256(LARGEST).hexdigest())


async def test_a_file_or_body_beyond_its_limit_is_refused(client: APIClient, pool: Pool) -> None:
    body = form(LARGEST + b"x")
    answers = [await say(client, body, len(body)), await say(client, body, None)]
    # Told before a byte of it has come, whatever it is, and to those alone who may send.
    beyond = MAX_UPLOAD_BYTES + 64 * 1024 + 1
    answers += [await say(client, b"", beyond), await say(client, b"", beyond, "text/csv")]
    # The file is small, and what follows the end of the form is not.
    answers.append(await say(client, form(b"x") + bytes(beyond), None))
    for answer in answers:
        assert (answer.status, answer.shape_a) == (413, True)
    assert (await say(replace(client, key="x"), b"", beyond)).status == 401
    assert await pool.fetchval("select count(*) from uploads") == 0


async def test_the_memory_is_flat_while_many_come_in_slowly(client: APIClient) -> None:
    """Thirty, of 4 MB each so far, of which none is whole: they are on the disk, where in memory they would be 120 MB."""
    beginning = form(bytes(8 * 1024 * 1024))[: 4 * 1024 * 1024]
    before = memory()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(30):
            await stack.enter_async_context(begun(client, beginning, MAX_UPLOAD_BYTES))
        await until(lambda: on_disk() > 30 * 3.5 * 1024 * 1024)
        assert memory() - before < 60 * 1024 * 1024
    # And nothing of them is left there.
    await until(lambda: on_disk() < 1024 * 1024)


def memory() -> int:
    """Bytes that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def on_disk() -> int:
    """Bytes in files of this process that have no name."""
    total = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        # One that was closed meanwhile is nobody's.
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()).endswith("(deleted)"):
                total += descriptor.stat().st_size
    return total


async def test_as_many_of_a_campaign_are_under_way_as_there_may_be_and_no_more(
    client: APIClient,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST_OF_CAMPAIGN):
            await stack.enter_async_context(begun(client, form(b"x")[:-20], MAX_UPLOAD_BYTES))
        # Those before may still be on their way in.
        await until_awaited(lambda: status_of_a_bad_name(client), 429)
    # Once these are gone there is room again: what is wrong with the body is told.
    await until_awaited(lambda: status_of_a_bad_name(client), 400)


async def status_of_a_bad_name(client: APIClient) -> int:
    return (await client.post("/batch/messages", content=form(b"x", "x.txt"), headers=HEADERS)).status

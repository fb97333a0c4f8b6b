"""PostgreSQL restarts, goes away, crashes, or loses the answer to a COMMIT."""

import asyncio
import time
from functools import partial

from gateway.errors import EmbeddedError
from tests.chaos.testbed.clients import Clients
from tests.chaos.testbed.files import make_file
from tests.chaos.testbed.proxy import CommitCutter, open_commit_cutter
from tests.chaos.testbed.split_gateway import (
    DEADLINE,
    NOT_STORED,
    SLOWLY,
    SplitGateway,
    expect,
    expect_nothing_taken,
    length_of,
    receives,
)
from tests.chaos.testbed.testbed import DATABASE, Testbed, until


async def database_restarts_under_load(gateway: SplitGateway) -> str:
    """PostgreSQL restarts while clients send: no process of the gateway ends, and no upload is lost."""
    before = gateway.front.parts("front"), gateway.worker.parts("worker")
    enough = asyncio.Event()

    async def send() -> None:
        while not enough.is_set():
            await gateway.clients.put_with_retries(gateway.campaign, make_file(20), [gateway.front], tries=5)

    async def restart() -> None:
        try:
            for _ in range(3):
                known = await gateway.testbed.fetch_value("select count(*) from uploads")

                async def more(known: int = known) -> bool:
                    return await gateway.testbed.holds("select count(*) > $1 from uploads", known)

                await until(more, "uploads before the restart", DEADLINE)
                await asyncio.to_thread(gateway.testbed.postgres.restart)
        finally:
            enough.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(restart())
        tasks.create_task(send())
        tasks.create_task(send())
    last = make_file(5)
    assert await gateway.clients.put_with_retries(gateway.campaign, last, [gateway.front], tries=5)
    await gateway.until_decided(last)
    assert (gateway.front.parts("front"), gateway.worker.parts("worker")) == before, "a process ended"
    return "3 restarts under load; no process ended"


async def database_is_away_for_a_moment(gateway: SplitGateway) -> str:
    """PostgreSQL stops in the middle of an upload and is back before its CLOSE has waited 10 s: the answer is OK."""
    file = make_file(10_000)
    sending = asyncio.create_task(gateway.put(file, *SLOWLY))
    await gateway.until_receiving()
    since = length_of(gateway.front)
    await asyncio.to_thread(gateway.testbed.postgres.stop)
    try:
        await gateway.until_logged(gateway.front, "intake_step_repeated", since)
    finally:
        await asyncio.to_thread(gateway.testbed.postgres.start)
    attempt = await sending
    assert attempt.acknowledged, attempt.error_text
    await gateway.until_decided(file)
    return "CLOSE waited for it and answered OK"


async def database_is_away(gateway: SplitGateway, seconds: float = 20) -> str:
    """PostgreSQL stops during an upload for longer than a CLOSE waits: the client gets a clear error, and its retry passes."""
    file = make_file(10_000)
    sending = asyncio.create_task(gateway.put(file, *SLOWLY))
    await gateway.until_receiving()
    await asyncio.to_thread(gateway.testbed.postgres.stop)
    began = time.monotonic()
    try:
        attempt = await sending
        expect(attempt, NOT_STORED)
        newcomer = await gateway.put(make_file(3))
        assert not newcomer.acknowledged
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began)))
    finally:
        await asyncio.to_thread(gateway.testbed.postgres.start)
    away = time.monotonic() - began
    await expect_nothing_taken(gateway, file)
    assert await gateway.clients.put_with_retries(gateway.campaign, file, [gateway.front], tries=5)
    took = await gateway.until_decided(file)
    return f"away {away:.0f} s; clear error, the retry was decided within {took:.1f} s"


async def database_crashes_under_load(gateway: SplitGateway) -> str:
    """PostgreSQL is killed and recovers from its own log: whatever was acknowledged is still there."""
    enough = asyncio.Event()

    async def send() -> None:
        while not enough.is_set():
            await gateway.clients.put_with_retries(gateway.campaign, make_file(20), [gateway.front], tries=5)

    async def crash() -> None:
        try:
            for _ in range(3):
                known = gateway.clients.ledger.acknowledged

                async def more(known: int = known) -> bool:
                    return gateway.clients.ledger.acknowledged > known + 2

                await until(more, "acknowledged uploads before the crash", DEADLINE)
                await asyncio.to_thread(gateway.testbed.postgres.kill)
                await until(lambda: _starts(gateway.testbed), "PostgreSQL again", 60)
        finally:
            enough.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crash())
        tasks.create_task(send())
        tasks.create_task(send())
    return "3 crashes under load"


async def _starts(testbed: Testbed) -> bool:
    """Try to start PostgreSQL, which refuses while processes of the killed server still live. Whether it started."""
    try:
        await asyncio.to_thread(testbed.postgres.start)
    except EmbeddedError:
        return False
    return True


async def commits_are_unclear(testbed: Testbed, clients: Clients, *, rounds: int = 5) -> str:
    """The answer to a COMMIT is lost. The front looks the upload up by its id and says OK; the worker finds its own outcome."""
    async with open_commit_cutter(testbed.postgres.port) as cutter:
        url = testbed.postgres.tcp_url(DATABASE).replace(f":{testbed.postgres.port}/", f":{cutter.port}/")
        front = await testbed.add_node("sftpd", database__url=url)
        sent = []
        for _ in range(rounds):
            file = make_file(10_000)
            sending = asyncio.create_task(clients.put(testbed.campaigns[0], file, front, *SLOWLY))
            await until(lambda: receives(front), "an upload in the middle", DEADLINE)
            before, cutter.armed = cutter.cut, True
            await until(partial(_cut, cutter, before), "a COMMIT cut", DEADLINE)
            cutter.armed = False
            attempt = await sending
            assert attempt.acknowledged, attempt.error_text
            sent.append(file.name)
        worker = await testbed.add_node("worker", database__url=url, start=False)
        file = make_file(20)
        assert (await clients.put(testbed.campaigns[0], file, front)).acknowledged
        before, cutter.armed = cutter.cut, True
        await worker.start()
        await until(lambda: _cut(cutter, before), "a COMMIT cut", DEADLINE)
        cutter.armed = False
        names = [*sent, file.name]

        async def notified() -> bool:
            return await testbed.holds(
                "select count(*) = $2 from uploads where file_name = any($1) and notified_at is not null",
                *(names, len(names)),
            )

        await until(notified, "their outcomes and e-mails, one each", DEADLINE)
        await asyncio.gather(worker.stop(), front.stop())
        return f"{cutter.cut} COMMITs without an answer: acknowledged and decided once"


async def _cut(cutter: CommitCutter, before: int) -> bool:
    return cutter.cut > before

"""The bucket fails at the intake or at the verdict, for a moment or for good."""

import asyncio
from collections.abc import Sequence
from typing import Final

from tests.chaos.testbed.clients import Clients
from tests.chaos.testbed.files import UploadFile, make_file
from tests.chaos.testbed.proxy import ProxyMode, open_proxy
from tests.chaos.testbed.split_gateway import (
    DEADLINE,
    NOT_STORED,
    SplitGateway,
    expect,
    expect_nothing_taken,
)
from tests.chaos.testbed.testbed import Testbed, until

REFUSING: Final = (
    ProxyMode.BUSY,
    ProxyMode.FORBIDDING,
    ProxyMode.AWAY,
    ProxyMode.HANGING,
    ProxyMode.SLOW,
    ProxyMode.CUTTING_REQUESTS,
    ProxyMode.CUTTING_ANSWERS,
)


async def bucket_fails_at_intake(gateway: SplitGateway, modes: Sequence[ProxyMode] = REFUSING) -> str:
    """While the bucket fails, CLOSE is answered with the clear error and nothing is taken; afterwards the same upload passes."""
    for mode in modes:
        # The slow mode would take 50 s for so many rows, which is longer than a CLOSE waits.
        file = make_file(10_000)
        await gateway.testbed.proxy.become(mode)
        expect(await gateway.put(file), NOT_STORED)
        await expect_nothing_taken(gateway, file)
        await gateway.testbed.proxy.become(ProxyMode.PASSING)
        attempt = await gateway.put(file)
        assert attempt.acknowledged, (mode, attempt.error_text)
        await gateway.until_decided(file)
    return f"{len(modes)} ways to fail: clear error each time, then accepted"


async def bucket_cuts_once_at_intake(gateway: SplitGateway) -> str:
    """A connection that is cut half-way is tried again before CLOSE is answered, so that the client sees no error."""
    for mode in (ProxyMode.CUTTING_REQUESTS, ProxyMode.CUTTING_ANSWERS, ProxyMode.BUSY):
        before = gateway.testbed.proxy.troubles
        await gateway.testbed.proxy.become(mode, connections=1)
        file = make_file(3000)
        attempt = await gateway.put(file)
        await gateway.testbed.proxy.become(ProxyMode.PASSING)
        assert attempt.acknowledged, (mode, attempt.error_text)
        assert gateway.testbed.proxy.troubles == before + 1
        await gateway.until_decided(file)
    return "3 cuts, each made good within the CLOSE"


async def bucket_fails_at_verdict(gateway: SplitGateway, modes: Sequence[ProxyMode] = REFUSING) -> str:
    """While the bucket fails for the worker, verdicts and reports wait; afterwards each is there exactly once."""
    for mode in modes:
        await gateway.worker_proxy.become(mode)
        # They are so large that the slow mode doesn't deliver them at once.
        good, bad = make_file(2000), make_file(2000, bad_rows=1)
        for file in (good, bad):
            assert (await gateway.put(file)).acknowledged
        begun = 1 if mode in {ProxyMode.HANGING, ProxyMode.SLOW} else 2

        async def tried(file: UploadFile = bad, begun: int = begun) -> bool:
            return await gateway.attempts_of(file) >= begun

        await until(tried, f"{begun} verdicts begun while the bucket is {mode.name}", DEADLINE)
        await gateway.worker_proxy.become(ProxyMode.PASSING)
        await gateway.until_decided(good, bad)
    return f"{len(modes)} ways to fail: decided once when it was back"


async def bucket_fails_for_good(testbed: Testbed, clients: Clients) -> str:
    """The bucket fails for longer than a verdict is retried: the upload becomes `failed`, with a support ID.

    `upload retry` then gives it a second outcome with an e-mail of its own.
    """
    async with open_proxy(testbed.s3.port) as proxy:
        await proxy.become(ProxyMode.FORBIDDING)
        front = testbed.fronts[0]
        worker = await testbed.add_node("worker", s3__endpoint_url=proxy.endpoint_url, worker__retry_for="2")
        file = make_file(5)
        assert (await clients.put(testbed.campaigns[0], file, front)).acknowledged

        async def notified(outcome: int, status: str) -> bool:
            return await testbed.holds(
                "select count(*) = 1 from uploads where file_name = $1 and outcome = $2 and status = $3 "
                "and notified_at is not null",
                *(file.name, outcome, status),
            )

        await until(lambda: notified(1, "failed"), "the failure and its e-mail", DEADLINE)
        row = (await testbed.fetch("select id, support_id from uploads where file_name = $1", file.name))[0]
        await proxy.become(ProxyMode.PASSING)
        await worker.command_line("upload", "retry", row["id"])
        await until(lambda: notified(2, "accepted"), "the second outcome and its e-mail", DEADLINE)
        await worker.stop()
    mails = [
        message
        for message in await asyncio.to_thread(testbed.mailbox.messages)
        if message["X-Upload-Id"] == row["id"]
    ]
    first, second = (str(message["Message-ID"]).partition("@")[0] for message in mails)
    assert (first, second) == (f"<{row['id']}.1", f"<{row['id']}.2")
    assert f"support ID:{row['support_id'] or ''}" in mails[0].get_content()
    return "failed with a support ID, then accepted by `upload retry`: two outcomes, two Message-IDs"

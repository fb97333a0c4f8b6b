"""The mail server refuses, hangs, cuts or goes away."""

import asyncio
import time

from gateway.embedded.mail_server import MailboxMode
from tests.chaos.testbed.files import UploadFile, make_file
from tests.chaos.testbed.split_gateway import (
    DEADLINE,
    SplitGateway,
    length_of,
)
from tests.chaos.testbed.testbed import until


async def mail_server_fails_for_now(gateway: SplitGateway, mode: MailboxMode, seconds: float = 0) -> str:
    """While the mail server takes nothing, outcomes come in time and e-mails wait; afterwards each e-mail arrives."""
    file = make_file(5)
    since = length_of(gateway.worker)
    gateway.testbed.mailbox.become(mode)
    began = time.monotonic()
    try:
        assert (await gateway.put(file)).acknowledged
        decided_after = await gateway.until_decided(file)
        await gateway.until_logged(gateway.worker, "notification_delayed", since)
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began)))
    finally:
        gateway.testbed.mailbox.become(MailboxMode.ACCEPTING)
    took = await until(lambda: _notified(gateway, file), "the e-mail", 120)
    return f"outcome within {decided_after:.1f} s; e-mail {took:.0f} s after its return"


async def _notified(gateway: SplitGateway, file: UploadFile) -> bool:
    return await gateway.testbed.holds(
        "select notified_at is not null from uploads where file_name = $1", file.name
    )


async def mail_server_refuses_for_good(gateway: SplitGateway) -> str:
    """A refusal for good is recorded on the upload and not tried again. The outcome stays as it was."""
    file = make_file(5)
    gateway.testbed.mailbox.become(MailboxMode.REFUSING_FOR_GOOD)
    try:
        assert (await gateway.put(file)).acknowledged

        async def recorded() -> bool:
            return await gateway.testbed.holds(
                "select notification_refused_at is not null and status = 'accepted' from uploads "
                "where file_name = $1",
                file.name,
            )

        await until(recorded, "the refusal on the upload", DEADLINE)
    finally:
        gateway.testbed.mailbox.become(MailboxMode.ACCEPTING)
    return "recorded on the upload"


async def mail_server_cuts(gateway: SplitGateway) -> str:
    """The server keeps the e-mail and cuts before it confirms it: the e-mail is sent again with the same Message-ID."""
    before = len(gateway.testbed.mailbox.messages())
    words = await mail_server_fails_for_now(gateway, MailboxMode.CUTTING)
    arrived = gateway.testbed.mailbox.messages()[before:]
    ids = {str(message["Message-ID"]) for message in arrived}
    assert len(arrived) >= 2, "it was not sent again"
    assert len(ids) == 1, ids
    return f"{len(arrived)} deliveries, one Message-ID; {words}"

"""The front has no space left for an upload: its process at a limit, or a campaign at its quota."""

from tests.chaos.testbed.clients import Clients
from tests.chaos.testbed.files import make_file
from tests.chaos.testbed.split_gateway import (
    QUOTA,
    SPOOL_FULL,
    SplitGateway,
    expect,
)
from tests.chaos.testbed.testbed import Testbed


async def spool_is_full(gateway: SplitGateway) -> str:
    """A limit of the front's process acts as a full disk: the large upload fails with the clear error while small ones pass.

    Without the limit the large one passes too.
    """
    large = make_file(40_000)
    gateway.front.limit_file_size(1_000_000)
    try:
        expect(await gateway.put(large), SPOOL_FULL)
        assert (await gateway.put(make_file(10))).acknowledged
    finally:
        gateway.front.limit_file_size(None)
    attempt = await gateway.put(large)
    assert attempt.acknowledged, attempt.error_text
    await gateway.until_decided(large)
    return "clear error at 1 MB, small uploads passed, then the large one"


async def campaign_is_at_its_quota(testbed: Testbed, clients: Clients) -> str:
    """An upload beyond the campaign's share of the spool fails with the clear error; small ones, and other campaigns', pass."""
    node = await testbed.add_node("sftpd", sftp__max_spool_bytes_per_campaign="1000000")
    attempt = await clients.put(testbed.campaigns[0], make_file(40_000), node)
    expect(attempt, QUOTA)
    for campaign in testbed.campaigns[:2]:
        assert (await clients.put(campaign, make_file(10), node)).acknowledged
    return "clear error at 1 MB, small uploads passed"

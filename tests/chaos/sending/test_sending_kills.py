"""The short form of `python -m tests.chaos --only sending`: 20 kills, in every way."""

import pytest

from tests.chaos.sending.kills import WAYS, run_kills
from tests.chaos.sending.outgoing import open_outgoing


@pytest.mark.timeout(300)
async def test_no_attempt_is_sent_twice_though_everything_is_killed() -> None:
    async with open_outgoing() as outgoing:
        report = await run_kills(outgoing, 20, seed=3)
    report.inspection.check()
    assert report.kills.total() == 20
    assert set(report.kills) == set(WAYS)
    assert report.inspection.delivered > 500
    assert report.inspection.never_created > 0

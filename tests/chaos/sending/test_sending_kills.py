"""The short form of `python -m tests.chaos --only sending,smpp`: a kill in every way, and a few through SMPP."""

import pytest

from tests.chaos.sending.kills import WAYS, run_kills
from tests.chaos.sending.outgoing import open_outgoing, open_outgoing_by_smpp
from tests.sending.providers.smpp.aggregator import missing


@pytest.mark.timeout(300)
async def test_no_attempt_is_sent_twice_though_everything_is_killed() -> None:
    async with open_outgoing() as outgoing:
        report = await run_kills(outgoing, len(WAYS), seed=3)
    report.inspection.check()
    assert report.kills.total() == len(WAYS)
    assert set(report.kills) == set(WAYS)
    assert report.inspection.delivered > 300
    assert report.inspection.never_created > 0


@pytest.mark.timeout(300)
async def test_no_attempt_is_sent_twice_through_smpp_though_everything_is_killed() -> None:
    if absent := missing():
        pytest.skip(absent)
    async with open_outgoing_by_smpp(nodes=1, unknown_after=5) as outgoing:
        report = await run_kills(outgoing, 2, seed=4, ways=("link cut", "sending.handed_over"))
    report.inspection.check()
    assert report.kills.total() == 2
    assert report.inspection.delivered > 50
    # Some were in flight at the cut that the aggregator never took.
    assert report.inspection.unknown > 0

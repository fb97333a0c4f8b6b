"""The short form of `python -m tests.chaos --only kills`: 16 kills, at each named step and at random.

Its clients rest in between, as what they send meanwhile would take the processor from what is waited for.
"""

import pytest

from tests.chaos.kills import UPLOAD_POINTS, run_kills
from tests.chaos.testbed.testbed import open_testbed


@pytest.mark.timeout(400)
async def test_every_upload_has_one_outcome_though_everything_is_killed() -> None:
    async with open_testbed() as testbed:
        await testbed.add_nodes(2)
        report = await run_kills(testbed, 16, seed=5, clients=2, largest=1500, share_of_steps=0, rest=0.4)
    report.inspection.check()
    assert report.total == 16
    assert set(report.kills) >= UPLOAD_POINTS
    assert report.inspection.acknowledged >= 16
    assert report.inspection.outcomes.keys() == {"accepted", "rejected"}

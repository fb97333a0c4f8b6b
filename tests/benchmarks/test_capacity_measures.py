"""The measures of `benchmarks.capacity`, a little of each way in and out: that they still measure what they say."""

import pytest

from benchmarks.capacity.__main__ import measure
from benchmarks.capacity.meter import POSTGRESQL, VERDICTS


@pytest.mark.timeout(300)
async def test_each_kind_of_work_has_its_cost_where_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    costs = {cost.work: cost for cost in await measure(["sftp", "web", "simulator"], 0.02)}

    login, single = costs["an SFTP login"], costs["a single send, as many as can be"]
    good, bad = costs["an upload of 2,000 rows, clean"], costs["an upload of 2,000 rows, 2 % bad"]
    assert login.milliseconds["front"] > 0
    assert login.table_bytes["audit_events"] >= 0
    assert single.milliseconds["api"] > 0
    # The original and the mark of its outcome; a report besides where rows are bad, and no messages then.
    assert (round(good.s3_requests["PUT"]), round(bad.s3_requests["PUT"])) == (2, 3)
    assert good.table_bytes["messages"] > 2_000 * 100
    assert bad.table_bytes["messages"] == 0
    message = costs["a message, simulator: three outcomes"]
    assert message.milliseconds["sender"] > 0
    assert message.milliseconds[POSTGRESQL] > 0
    assert message.table_bytes["attempts"] > 0
    told = capsys.readouterr().out
    for said in ("connections of one process to PostgreSQL", "bytes as it grew", "What ends first", VERDICTS):
        assert said in told

"""When `make bench BASE=…` calls a figure worse: beyond 5 % in the bad direction, by the medians."""

import pytest

from benchmarks.comparison import Figure, Samples, print_table

SECONDS = Figure("put", "s")
RATE = Figure("uploads", "1/s", more_is_better=True)


@pytest.mark.parametrize(
    ("figure", "new", "is_worse"),
    [
        pytest.param(SECONDS, 1.04, False, id="a little slower"),
        pytest.param(SECONDS, 1.06, True, id="slower"),
        pytest.param(SECONDS, 0.5, False, id="faster"),
        pytest.param(RATE, 0.96, False, id="a slightly lower rate"),
        pytest.param(RATE, 0.94, True, id="a lower rate"),
        pytest.param(RATE, 2.0, False, id="a higher rate"),
    ],
)
def test_only_a_change_for_the_worse_beyond_five_percent_counts(
    figure: Figure, new: float, is_worse: bool
) -> None:
    assert print_table({figure: [1.0, 1.0, 1.0]}, {figure: [new, new, new]}) == is_worse


def test_one_round_that_something_disturbed_does_not_decide(capsys: pytest.CaptureFixture[str]) -> None:
    old: Samples = {SECONDS: [1.0, 1.0, 1.0], RATE: [40.0, 41.0, 40.0]}
    new: Samples = {SECONDS: [1.0, 9.0, 1.0], RATE: [40.0, 3.0, 41.0]}
    assert print_table(old, new) == 0
    assert "worse by more than 5%" in capsys.readouterr().out

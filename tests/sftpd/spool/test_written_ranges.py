"""Written ranges, compared with a plain set of byte positions."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sftpd.spool.written_ranges import WrittenRanges

SMALL = st.integers(0, 40)
STEPS = st.lists(
    st.one_of(st.tuples(st.just("write"), SMALL, SMALL), st.tuples(st.just("cut"), SMALL, st.just(0)))
)


@given(STEPS)
def test_ranges_hold_exactly_the_bytes_written(steps: list[tuple[str, int, int]]) -> None:
    ranges, expected = WrittenRanges(), set[int]()
    for step, first, length in steps:
        if step == "write":
            ranges.add(first, first + length)
            expected |= set(range(first, first + length))
        else:
            ranges.truncate(first)
            expected = {position for position in expected if position < first}
    pairs = list(ranges.pairs())
    assert {position for start, end in pairs for position in range(start, end)} == expected
    assert all(end < start for (_, end), (start, _) in pairwise(pairs))
    size = max(expected, default=-1) + 1
    assert ranges.covers(size) == (len(expected) == size)
    assert WrittenRanges(pairs).covers(size) == ranges.covers(size)
    assert not ranges.covers(size + 1)

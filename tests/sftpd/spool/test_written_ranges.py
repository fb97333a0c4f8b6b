"""Written ranges, compared with a plain set of byte positions."""

import random
from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from sftpd.spool.spool_file import MAX_RANGES
from sftpd.spool.written_ranges import WrittenRanges

# What ssh2-sftp-client's fastPut has in flight by default. Its blocks arrive in any order.
IN_FLIGHT = 64
SMALL = st.integers(0, 40)
STEPS = st.lists(
    st.one_of(st.tuples(st.just("write"), SMALL, SMALL), st.tuples(st.just("cut"), SMALL, st.just(0)))
)


@given(st.randoms(use_true_random=False), st.integers(1, 300))
def test_a_client_that_writes_in_parallel_leaves_no_more_ranges_than_it_has_blocks_in_flight(
    chance: random.Random, blocks: int
) -> None:
    ranges, unsent = WrittenRanges(), iter(range(blocks))
    in_flight = list(islice(unsent, IN_FLIGHT))
    most = 0
    while in_flight:
        # Mostly the newest, so that the old ones stay behind as holes.
        block = in_flight.pop(-1 if chance.random() < 0.9 else chance.randrange(len(in_flight)))
        in_flight += islice(unsent, 1)
        ranges.add(block * 32_768, (block + 1) * 32_768)
        most = max(most, len(ranges))
    assert most <= IN_FLIGHT + 1 < MAX_RANGES
    assert ranges.covers(blocks * 32_768)


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

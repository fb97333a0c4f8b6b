"""Blocks by themselves: when they begin and end, how long before they are claimed, and how large they are."""

from collections import deque

import pytest

from messages.news import AttemptKey
from sending.claims import ClaimedMessage
from sending.composing import TextParts
from sending.pacing import Block, BlockSize, Head, head_again
from sending.providers.provider import Outgoing

KEY = AttemptKey(7, 2, 1)


def outgoing(segments: int) -> Outgoing:
    return Outgoing(
        key=KEY,
        recipient="6591234567",
        text="Dear Amy",
        segments=segments,
        encoding="GSM-7",
        is_otp=False,
        leave_by=99.0,
    )


def test_a_claimed_message_leaves_as_it_is() -> None:
    claimed = ClaimedMessage(KEY, 12.5, False, 3, "6591234567", TextParts(KEY, "english", "{}"), "GSM-7")
    assert claimed.outgoing("Dear Amy", 99.0) == outgoing(3)


def test_a_block_that_begins_later_ends_after_what_has_still_to_leave() -> None:
    block = Block(deque([(10.0, outgoing(2)), (10.5, outgoing(3))]), claimed_at=9.9, ends_at=11.0)
    assert block.begin_at(20.0, 5.0) == block.ends_at == 21.0
    assert (block.shift, block.begins_at) == (10.0, 20.0)
    block.messages.popleft()
    assert block.begins_at == 20.5
    assert block.begin_at(30.0, 6.0) == block.ends_at == 30.5


@pytest.mark.parametrize(("moves", "seconds"), [(0, 0.03), (1, 0.06), (3, 0.24), (5, 0.5), (50, 0.5)])
def test_a_head_doubles_until_half_a_second(moves: int, seconds: float) -> None:
    assert head_again(moves) == seconds


def test_a_late_message_doubles_the_head_or_adds_what_it_was_late() -> None:
    head = Head()
    head.note_late(0.0)
    assert head.seconds == 0.06
    head.note_late(0.1)
    assert head.seconds == pytest.approx(0.16)
    head.note_late(1.0)
    assert head.seconds == 0.5


@pytest.mark.parametrize(("seconds", "segments"), [(0.17, 80), (0.19, 40), (0.29, 40), (0.4, 15), (6.0, 1)])
def test_a_block_grows_where_it_went_out_in_time_and_shrinks_where_it_took_twice_as_long(
    seconds: float, segments: int
) -> None:
    size = BlockSize()
    assert size.segments(1000) == 40
    size.note(40, seconds)
    assert size.segments(1000) == segments

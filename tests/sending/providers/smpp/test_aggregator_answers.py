"""Beside npm's `smpp`: what answers mean, in whatever order they come, and what becomes of the other parts of a message."""

import asyncio

import pytest

from messages.statuses import ErrorCode
from sending.providers.provider import PutBack, Refused, Taken, Unknown
from sending.providers.smpp.provider import SENDER_REFUSED
from tests.sending.providers.smpp.aggregator import running_aggregator, texts_of
from tests.sending.providers.smpp.smpp_adapter import opened_provider, outgoing

THREE_PARTS = "Dear Tan, €5 " * 25


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x58, PutBack(1.0, "0x58", pause="throttled", pause_seconds=1.0)),
        (0x14, PutBack(1.0, "0x14", pause="throttled", pause_seconds=1.0)),
        (0x08, PutBack(30.0, "0x08", counts=True)),
        (0x64, PutBack(30.0, "0x64", counts=True)),
        (0x0B, Refused(ErrorCode.RECIPIENT_INVALID, "0x0B")),
        (0x61, Refused(ErrorCode.CONTENT_INVALID, "0x61")),
        (0x45, Refused(ErrorCode.ROUTING_ERROR, "0x45")),
        (0x455, Refused(ErrorCode.DELIVERY_UNKNOWN_ERROR, "0x455")),
        (0x0A, PutBack(0.0, "0x0A", pause=SENDER_REFUSED)),
        (0x04, PutBack(1.0, "0x04")),
    ],
)
async def test_an_answer_that_refuses_is_what_the_table_says(status: int, expected: object) -> None:
    async with (
        running_aggregator(statuses=[status]) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        assert await opened.provider.hand_over(outgoing()) == expected
        # Nothing is kept inside: the next one goes as it is.
        if status != 0x0A:
            assert isinstance(await opened.provider.hand_over(outgoing(row_number=3)), Taken)


async def test_after_throttling_fewer_leave_at_once() -> None:
    async with (
        running_aggregator(hold=True) as aggregator,
        opened_provider(aggregator.port, window=20) as opened,
    ):
        await opened.until_bound(20)
        messages = [asyncio.create_task(opened.provider.hand_over(outgoing(row_number=n))) for n in range(20)]
        await aggregator.until_told("submitted", 20)
        await aggregator.tell(set={"hold": False, "status": 0x58})
        await aggregator.tell(release=True)
        assert all(isinstance(each, Taken) for each in await asyncio.gather(*messages))
        assert opened.provider.most_at_once == 20
        assert isinstance(await opened.provider.hand_over(outgoing()), PutBack)
        assert opened.provider.most_at_once < 20


async def test_a_part_that_is_refused_for_now_goes_again_alone() -> None:
    async with (
        running_aggregator(statuses=[0, 0x58, 0x14, 0, 0]) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        taken = await opened.provider.hand_over(outgoing(THREE_PARTS))
    assert isinstance(taken, Taken)
    whole = [each for each in aggregator.submitted if each["status"] == 0]
    assert texts_of(whole) == THREE_PARTS
    numbers = [bytes.fromhex(each["header"][0])[4] for each in aggregator.submitted]
    assert numbers == [1, 2, 2, 2, 3]


async def test_a_part_that_is_refused_for_good_ends_the_message_as_one_that_may_have_arrived() -> None:
    async with (
        running_aggregator(statuses=[0, 0x61]) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        refused = await opened.provider.hand_over(outgoing("a" * 400))
    assert refused == Refused(
        ErrorCode.CONTENT_INVALID, "0x61", may_have_arrived=True, part_ids=("1001", "", "")
    )
    assert len(aggregator.submitted) == 2


async def test_a_sender_that_is_refused_in_the_midst_of_a_message_pauses() -> None:
    async with (
        running_aggregator(statuses=[0, 0x0A]) as aggregator,
        opened_provider(aggregator.port) as opened,
    ):
        refused = await opened.provider.hand_over(outgoing("a" * 200))
    assert isinstance(refused, Refused)
    assert (refused.pause, refused.may_have_arrived) == (SENDER_REFUSED, True)


async def test_an_answer_without_an_id_leaves_the_outcome_to_be_looked_up() -> None:
    async with running_aggregator(noIds=True) as aggregator, opened_provider(aggregator.port) as opened:
        answer = await opened.provider.hand_over(outgoing("a" * 200))
    assert answer == Unknown("no id in the answer", part_ids=("", ""))
    assert len(aggregator.submitted) == 2


async def test_answers_may_come_in_any_order_and_the_window_is_kept() -> None:
    async with (
        running_aggregator(hold=True) as aggregator,
        opened_provider(aggregator.port, window=3) as opened,
    ):
        await opened.until_bound(3)
        messages = [
            asyncio.create_task(opened.provider.hand_over(outgoing(f"message {n}", n))) for n in range(3)
        ]
        await aggregator.until_told("submitted", 3)
        beyond = await opened.provider.hand_over(outgoing())
        await aggregator.tell(releaseBackwards=True)
        answers = await asyncio.gather(*messages)
    assert beyond == PutBack(0.1, "window full")
    ids = {each["text"]: str(each["submitted"]) for each in aggregator.submitted}
    for number, answer in enumerate(answers):
        assert isinstance(answer, Taken)
        assert answer.provider_id == ids[f"message {number}"]


async def test_several_binds_share_the_work() -> None:
    async with (
        running_aggregator(hold=True) as aggregator,
        opened_provider(aggregator.port, binds=3, window=2) as opened,
    ):
        await opened.until_bound(6)
        messages = [asyncio.create_task(opened.provider.hand_over(outgoing(row_number=n))) for n in range(6)]
        await aggregator.until_told("submitted", 6)
        await aggregator.tell(release=True)
        assert all(isinstance(each, Taken) for each in await asyncio.gather(*messages))
    assert aggregator.submitted[-1]["binds"] == 3

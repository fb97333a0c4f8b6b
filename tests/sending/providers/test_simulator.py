"""The simulator's numbers end as Postman's guide says, as news and when looked up; the others succeed."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.loadtest import LoadTest
from sending.providers.provider import HandOver, OpenAttempt, Outgoing, Taken
from sending.providers.simulated_numbers import SimulatedNumbers
from sending.providers.simulator import Simulator
from tests.messages.seven_numbers import SEVEN_NUMBERS

GUIDE: dict[str, str | None] = {
    **SEVEN_NUMBERS,
    "6591234567": None,
    "447400123456": None,
}


def outgoing(recipient: str, row_number: int = 2) -> Outgoing:
    return Outgoing(AttemptKey(1, row_number, 1), recipient, "Dear Aisha", 1, "gsm7", is_otp=False)


async def news(provider: Simulator | SimulatedNumbers, count: int) -> list[Receipt]:
    """The next `count` receipts."""
    found: list[Receipt] = []
    async with asyncio.timeout(10), aclosing(provider.receipts()) as receipts:  # type: ignore[type-var]
        async for receipt in receipts:
            assert isinstance(receipt, Receipt)
            found.append(receipt)
            if len(found) == count:
                break
    return found


@pytest.mark.parametrize(("recipient", "code"), GUIDE.items())
async def test_each_number_ends_as_the_guide_says(recipient: str, code: str | None) -> None:
    simulator = Simulator(0.05)
    taken = await simulator.hand_over(outgoing(recipient))
    reaches_telco = code != "server_unknown_error"
    receipts = await news(simulator, 2 if reaches_telco else 1)
    assert isinstance(taken, Taken)
    assert taken.status is MessageStatus.SENT
    assert {receipt.provider_id for receipt in receipts} == {taken.provider_id}
    expected = MessageStatus.SUCCESS if code is None else MessageStatus.FAILURE
    statuses = [receipt.status for receipt in receipts]
    assert statuses == ([MessageStatus.SENT_TO_TELCO] if reaches_telco else []) + [expected]
    assert receipts[-1].error == (None if code is None else ErrorCode(code))


async def test_the_last_status_stands_after_the_seconds_of_the_setting_at_most() -> None:
    """By the times of the look-ups, which know no clock but the message's age: recorded, it must stand within them."""
    key = AttemptKey(1, 2, 1)
    statuses = []
    for age in (1000, 2900, 3100, 5900, 6100, 10_000):
        begun = datetime.now(UTC) - timedelta(seconds=age)
        (found,) = await Simulator(10_000).look_up([OpenAttempt(key, "6591234567", "", "", begun)])
        assert isinstance(found, Receipt)
        statuses.append(found.status)
    sent, telco, success = MessageStatus.SENT, MessageStatus.SENT_TO_TELCO, MessageStatus.SUCCESS
    assert statuses == [sent, sent, telco, telco, success, success]


async def test_news_wait_for_their_time() -> None:
    simulator = Simulator(1000)
    await simulator.hand_over(outgoing("6591234567"))
    receipts = simulator.receipts()
    first = asyncio.ensure_future(anext(receipts))
    # It has had every chance to be told too early.
    for _ in range(100):
        await asyncio.sleep(0)
    assert not first.done()
    first.cancel()


async def test_news_of_many_messages_are_all_told() -> None:
    simulator = Simulator(0.05)

    async def hand_over_all() -> None:
        for row in range(2, 502):
            await simulator.hand_over(outgoing("6591234567", row))
            if row % 100 == 0:
                await asyncio.sleep(0.06)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hand_over_all())
        receipts = await news(simulator, 1000)
    ended = [receipt.key.row_number for receipt in receipts if receipt.status is MessageStatus.SUCCESS]
    assert ended == list(range(2, 502))


@pytest.mark.parametrize(("recipient", "code"), GUIDE.items())
@pytest.mark.parametrize("age", [0.0, 40.0, 70.0])
async def test_a_look_up_tells_what_the_news_would_have(recipient: str, code: str | None, age: float) -> None:
    key = AttemptKey(1, 2, 1)
    begun = datetime.now(UTC) - timedelta(seconds=age)
    (found,) = await Simulator(100).look_up([OpenAttempt(key, recipient, "", "", begun)])
    last = MessageStatus.SUCCESS if code is None else MessageStatus.FAILURE
    telco = MessageStatus.SENT if code == "server_unknown_error" else MessageStatus.SENT_TO_TELCO
    assert isinstance(found, Receipt)
    assert found.status is {0.0: MessageStatus.SENT, 40.0: telco, 70.0: last}[age]
    assert found.error == (ErrorCode(code) if code is not None and age == 70.0 else None)


async def test_loadtest_takes_everything_and_leaves_it_sending() -> None:
    answer = await LoadTest().hand_over(outgoing("6591234567"))
    assert isinstance(answer, Taken)
    assert answer.status is MessageStatus.SENDING


class TakesNoneOfTheSeven(LoadTest):
    """A provider that must not be asked to send to one of the simulator's numbers."""

    async def hand_over(self, message: Outgoing) -> HandOver:
        assert GUIDE[message.recipient] is None
        return await super().hand_over(message)


async def test_in_front_of_a_provider_the_simulator_answers_for_its_own_numbers_alone() -> None:
    provider = SimulatedNumbers(TakesNoneOfTheSeven(), Simulator(0.05))
    answers = {
        number: cast(Taken, await provider.hand_over(outgoing(number, row)))
        for row, number in enumerate(GUIDE, 2)
    }
    receipts = await news(provider, 13)
    assert {number for number, answer in answers.items() if answer.status is MessageStatus.SENDING} == {
        number for number, code in GUIDE.items() if code is None
    }
    errors = [receipt.error for receipt in receipts if receipt.error]
    assert sorted(errors) == sorted(code for code in GUIDE.values() if code is not None)

"""Turns and budgets by themselves: who waits, for what, and in which order they go on."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from config.sections import SFTPSettings
from sftpd.budgets import Excess, SessionBudget, Turns, metered

TURN = 0.002


def use_up_turn(budget: SessionBudget) -> None:
    budget.start_clock()
    time.sleep(TURN)
    budget.stop_clock()


@pytest.fixture
def settings(tmp_path: Path) -> SFTPSettings:
    return SFTPSettings(
        spool_dir=tmp_path, host_key_dir=tmp_path, max_unserved_bytes=1000, max_unread_bytes=100
    )


async def test_turns_go_round_over_campaigns_and_then_over_the_sessions_of_each(
    settings: SFTPSettings,
) -> None:
    turns, order = Turns(TURN), list[str]()

    async def work(name: str, budget: SessionBudget) -> None:
        for _ in range(3):
            use_up_turn(budget)
            await budget.wait_to_serve()
            order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for campaign, sessions in (("a", 4), ("b", 1), ("c", 1)):
            for number in range(sessions):
                tasks.create_task(work(campaign + str(number), SessionBudget(settings, turns, campaign)))
    assert order[:3] == ["a0", "b0", "c0"]
    # If sessions took turns and not campaigns, four of six would get six of nine.
    assert [name[0] for name in order[:9]].count("a") <= 4
    assert sorted(order) == sorted([*("a0", "a1", "a2", "a3") * 3, *("b0", "c0") * 3])


async def test_between_two_turns_others_are_served(settings: SFTPSettings) -> None:
    turns, rounds = Turns(TURN), 0
    budgets = [SessionBudget(settings, turns, "a") for _ in range(5)]

    async def bystander() -> None:
        nonlocal rounds
        while True:
            await asyncio.sleep(0)
            rounds += 1

    async def work(budget: SessionBudget) -> None:
        use_up_turn(budget)
        await budget.wait_to_serve()

    beside = asyncio.create_task(bystander())
    await asyncio.gather(*map(work, budgets))
    beside.cancel()
    assert rounds >= len(budgets)


async def test_within_its_turn_nobody_waits(settings: SFTPSettings) -> None:
    budget = SessionBudget(settings, Turns(TURN), "a")
    budget.start_clock()
    with pytest.raises(StopIteration):
        budget.wait_to_serve().send(None)
    assert budget.may_receive(0)


async def test_requests_unserved_stop_receiving_until_some_are_served(settings: SFTPSettings) -> None:
    budget, again = SessionBudget(settings, Turns(TURN), "a"), asyncio.Event()
    budget.receive_more = again.set
    budget.begin_work()
    budget.count_arrived(1000)
    assert not budget.may_receive(0)
    budget.count_served(1)
    async with asyncio.timeout(30):
        await again.wait()
    assert budget.may_receive(0)


async def test_answers_unsent_stop_receiving_until_they_are_read(settings: SFTPSettings) -> None:
    budget, again = SessionBudget(settings, Turns(TURN), "a"), asyncio.Event()
    budget.receive_more = again.set
    assert not budget.may_receive(101)
    budget.note_read()
    async with asyncio.timeout(30):
        await again.wait()
    assert budget.may_receive(100)


async def test_answers_unread_stop_serving_until_they_are_read(settings: SFTPSettings) -> None:
    budget, unread = SessionBudget(settings, Turns(TURN), "a"), 101
    budget.count_unread = lambda: unread
    serving = asyncio.create_task(budget.wait_to_serve())
    await asyncio.sleep(0)
    budget.note_read()
    await asyncio.sleep(0.01)
    assert not serving.done()
    unread = 100
    budget.note_read()
    async with asyncio.timeout(30):
        await serving


async def test_who_waits_goes_on_when_the_connection_ends(settings: SFTPSettings) -> None:
    budget = SessionBudget(settings, Turns(TURN), "a")
    budget.count_unread = lambda: 101
    serving = asyncio.create_task(budget.wait_to_serve())
    await asyncio.sleep(0)
    budget.end()
    async with asyncio.timeout(30):
        await serving


async def test_the_log_says_once_what_is_used_up(settings: SFTPSettings) -> None:
    budget = SessionBudget(settings, Turns(TURN), "a")
    with capture_logs() as logs:
        budget.log_in("campaign_a", "connection_1")
        budget.begin_work()
        budget.count_arrived(1000)
        for _ in range(3):
            budget.may_receive(0)
        use_up_turn(budget)
        budget.may_receive(0)
    assert [(line["event"], line["budget"], line["campaign_id"], line["connection_id"]) for line in logs] == [
        ("session_budget_reached", Excess.UNSERVED.value, "campaign_a", "connection_1")
    ]


async def test_where_no_channel_has_anything_to_serve_more_is_received(settings: SFTPSettings) -> None:
    budget, again = SessionBudget(settings, Turns(TURN), "a"), asyncio.Event()
    budget.receive_more = again.set
    budget.begin_work()
    budget.count_arrived(1000)
    assert not budget.may_receive(0)
    budget.end_work()
    async with asyncio.timeout(30):
        await again.wait()
    assert budget.may_receive(0)


async def test_while_one_of_several_channels_has_something_to_serve_nothing_more_is_received(
    settings: SFTPSettings,
) -> None:
    budget = SessionBudget(settings, Turns(TURN), "a")
    budget.begin_work()
    budget.begin_work()
    budget.count_arrived(1000)
    budget.end_work()
    assert not budget.may_receive(0)
    budget.end_work()
    assert budget.may_receive(0)


async def test_a_task_that_never_waits_ends_its_turn_all_the_same(settings: SFTPSettings) -> None:
    budget, others = SessionBudget(settings, Turns(TURN), "a"), 0

    async def work() -> None:
        for _ in range(4):
            use_up_turn(budget)
            budget.start_clock()
            await budget.wait_to_serve()

    async def bystander() -> None:
        nonlocal others
        while True:
            await asyncio.sleep(0)
            others += 1

    beside = asyncio.create_task(bystander())
    await metered(work(), budget)
    beside.cancel()
    assert others >= 4


async def test_of_a_task_only_its_own_steps_are_counted(settings: SFTPSettings) -> None:
    budget = SessionBudget(settings, Turns(0.5), "a")

    async def work() -> None:
        await asyncio.sleep(0.7)
        with pytest.raises(ValueError, match="thrown in"):
            await asyncio.wait_for(fail(), 5)
        assert budget.may_receive(0)

    async def fail() -> None:
        raise ValueError("thrown in")

    await metered(work(), budget)


async def test_a_metered_task_can_be_cancelled(settings: SFTPSettings) -> None:
    ended = False

    async def work() -> None:
        nonlocal ended
        try:
            await asyncio.sleep(60)
        finally:
            ended = True

    task = asyncio.create_task(metered(work(), SessionBudget(settings, Turns(TURN), "a")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


async def test_what_has_arrived_and_what_was_served_are_added_up(settings: SFTPSettings) -> None:
    budget = SessionBudget(settings, Turns(TURN), "a")
    budget.begin_work()
    budget.count_arrived(600)
    assert budget.may_receive(0)
    budget.count_arrived(600)
    assert not budget.may_receive(0)
    budget.count_served(150)
    assert not budget.may_receive(0)
    budget.count_served(51)
    assert budget.may_receive(0)


async def test_from_its_login_on_a_session_takes_its_campaigns_turns(settings: SFTPSettings) -> None:
    turns, order = Turns(TURN), list[str]()

    async def work(name: str, budget: SessionBudget) -> None:
        use_up_turn(budget)
        await budget.wait_to_serve()
        order.append(name)

    budgets = [SessionBudget(settings, turns, "192.0.2.1") for _ in range(3)]
    for budget, campaign in zip(budgets, ("a", "a", "b"), strict=True):
        budget.log_in(campaign, "connection_1")
    await asyncio.gather(
        *(work(name, budget) for name, budget in zip(("a1", "a2", "b"), budgets, strict=True))
    )
    assert order == ["a1", "b", "a2"]


async def test_nothing_waits_on_a_connection_that_has_ended(settings: SFTPSettings) -> None:
    """What still comes is dropped elsewhere."""
    budget = SessionBudget(settings, Turns(TURN), "a")
    use_up_turn(budget)
    budget.end()
    assert budget.may_receive(101)


async def test_a_session_waits_for_one_turn_at_a_time(settings: SFTPSettings) -> None:
    turns = Turns(TURN)
    budget = SessionBudget(settings, turns, "a")
    use_up_turn(budget)
    for _ in range(3):
        assert not budget.may_receive(0)
    assert [len(queue) for queue in turns._waiting.values()] == [1]


async def test_the_clock_goes_on_from_when_it_was_looked_at(
    settings: SFTPSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("sftpd.budgets.time", SimpleNamespace(monotonic=lambda: now))
    budget = SessionBudget(settings, Turns(1.0), "a")
    budget.start_clock()
    now += 0.5
    assert budget.may_receive(0)
    now += 0.25
    assert budget.may_receive(0)
    now += 0.25
    assert not budget.may_receive(0), "the turn is over in the moment in which all of it is used"

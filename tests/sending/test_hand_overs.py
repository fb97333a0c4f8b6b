"""When a provider's answers say that the provider is in trouble, and for how long its sender pauses then."""

import pytest

from messages.statuses import ErrorCode
from sending.hand_overs import MOST_UNKNOWN, AnswerRun
from sending.providers.provider import AWAY, HandOver, PutBack, Refused, Taken, Unknown

LOST = Unknown("HTTP 500")
IN_BETWEEN = PutBack(pause=AWAY, pause_seconds=1, counts=True)


def answered(run: AnswerRun, *answers: HandOver) -> list[float | None]:
    """The pauses after these, each handed over once the one before it had its answer."""
    return [run.note(answer, run.begin()) for answer in answers]


def test_many_unknown_outcomes_in_a_row_pause_for_longer_each_time_and_for_a_minute_at_most() -> None:
    run = AnswerRun()
    assert answered(run, *[LOST] * (MOST_UNKNOWN - 1)) == [None] * (MOST_UNKNOWN - 1)
    before = run.in_trouble
    assert answered(run, *[LOST] * 9) == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert (before, run.in_trouble) == (False, True)


@pytest.mark.parametrize(
    "answer", [Taken("SM1"), Refused(ErrorCode.RECIPIENT_INVALID)], ids=["taken", "refused"]
)
def test_an_answer_that_can_be_used_ends_the_row(answer: HandOver) -> None:
    run = AnswerRun()
    answered(run, *[LOST] * (MOST_UNKNOWN + 3), answer)
    assert not run.in_trouble
    assert answered(run, *[LOST] * MOST_UNKNOWN) == [None] * (MOST_UNKNOWN - 1) + [1]


def test_what_was_handed_over_before_a_pause_makes_it_no_longer() -> None:
    run = AnswerRun()
    begun = [run.begin() for _ in range(3 * MOST_UNKNOWN)]
    assert [run.note(LOST, at) for at in begun] == (
        [None] * (MOST_UNKNOWN - 1) + [1] + [None] * 2 * MOST_UNKNOWN
    )
    trying = [run.is_trying]
    tried = run.begin()
    trying.append(run.is_trying)
    assert run.note(LOST, tried) == 2
    assert [*trying, run.is_trying] == [False, True, False]


@pytest.mark.parametrize(
    ("put_back", "one_at_a_time"),
    [
        (IN_BETWEEN, True),
        (PutBack(pause=AWAY, pause_seconds=1), False),
        (PutBack(pause="throttled", pause_seconds=1), False),
    ],
    ids=["something in between refuses", "connection refused", "throttled"],
)
def test_what_counts_against_each_message_is_tried_with_one_at_a_time(
    put_back: PutBack, one_at_a_time: bool
) -> None:
    run = AnswerRun()
    assert answered(run, put_back) == [None]
    assert run.in_trouble is one_at_a_time
    answered(run, Taken("SM1"))
    assert not run.in_trouble

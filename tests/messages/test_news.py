"""How news moves an attempt: a table of each status with each kind of news, as the contract says it."""

import itertools
from dataclasses import replace
from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from messages.news import MOST_PUT_BACKS, Answer, AttemptKey, AttemptState, Ending, News, Receipt, after_news
from messages.statuses import ErrorCode, MessageStatus
from tests.messages.builders import NOW, later

KEY = AttemptKey(1, 2, 1)
STATE = AttemptState(MessageStatus.SENDING, created_at=NOW, updated_at=NOW)
LATER = later(seconds=1)
CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus


def at(status: MessageStatus) -> AttemptState:
    return replace(STATE, status=status, error=ErrorCode.RECIPIENT_INVALID if status is FAILURE else None)


@pytest.mark.parametrize("status", MessageStatus)
@pytest.mark.parametrize("told", [SENT, SENT_TO_TELCO, SUCCESS, FAILURE])
@pytest.mark.parametrize("kind", [Answer, Receipt])
def test_an_attempt_takes_the_higher_status_and_stays_at_a_terminal_one(
    status: MessageStatus, told: MessageStatus, kind: type[Answer | Receipt]
) -> None:
    after = after_news(at(status), kind(KEY, told), LATER)
    assert after.status is (status if status.is_terminal else max(status, told))


def test_the_first_error_stays() -> None:
    failed = after_news(STATE, Receipt(KEY, FAILURE, ErrorCode.ROUTING_ERROR, "30017"), LATER)
    for news in (Receipt(KEY, SUCCESS), Receipt(KEY, FAILURE, ErrorCode.CONTENT_INVALID, "30007")):
        assert after_news(failed, news, LATER) is failed
    assert (failed.error, failed.raw_code) == (ErrorCode.ROUTING_ERROR, "30017")


def test_a_failure_without_a_code_is_an_unknown_error_of_delivery() -> None:
    assert after_news(STATE, Receipt(KEY, FAILURE), LATER).error is ErrorCode.DELIVERY_UNKNOWN_ERROR


def test_an_answer_after_its_receipt_only_adds_the_providers_id() -> None:
    received = after_news(STATE, Receipt(KEY, SUCCESS, at=NOW), LATER)
    answered = after_news(received, Answer(KEY, SENT, provider_id="SM1"), LATER)
    assert answered == replace(received, provider_id="SM1")
    assert after_news(answered, Answer(KEY, SENT, provider_id="SM2"), LATER) is answered


def test_times_are_the_providers_where_it_gives_them() -> None:
    sent = after_news(STATE, Answer(KEY, SENT, at=NOW - timedelta(seconds=2)), LATER)
    assert (sent.sent_at, sent.updated_at) == (NOW - timedelta(seconds=2), LATER)
    delivered = after_news(sent, Receipt(KEY, SUCCESS, at=NOW), LATER)
    assert (delivered.sent_at, delivered.delivered_at) == (sent.sent_at, NOW)
    assert after_news(sent, Receipt(KEY, SUCCESS), LATER).delivered_at == LATER


def test_a_refused_message_was_never_sent() -> None:
    refused = after_news(STATE, Answer(KEY, FAILURE, ErrorCode.RECIPIENT_INVALID, "21211"), LATER)
    assert (refused.sent_at, refused.may_have_arrived) == (None, False)


def test_a_put_back_goes_again_three_times_where_it_counts_and_then_fails() -> None:
    state = STATE
    for count in range(1, MOST_PUT_BACKS + 1):
        state = after_news(state, Answer(KEY, ENQUEUED, raw_code="0x08", counts=True), LATER)
        assert (state.status, state.put_backs) == (ENQUEUED, count)
        state = replace(state, status=SENDING)
    failed = after_news(state, Answer(KEY, ENQUEUED, raw_code="0x08", counts=True), LATER)
    assert (failed.status, failed.error) == (FAILURE, ErrorCode.SERVER_UNKNOWN_ERROR)
    assert not failed.may_have_arrived


def test_a_put_back_that_does_not_count_goes_again_as_often_as_it_must() -> None:
    state = replace(STATE, put_backs=MOST_PUT_BACKS)
    assert after_news(state, Answer(KEY, ENQUEUED), LATER).status is ENQUEUED


@pytest.mark.parametrize("status", [status for status in MessageStatus if status is not SENDING])
def test_only_what_is_being_handed_over_is_put_back(status: MessageStatus) -> None:
    state = at(status)
    assert after_news(state, Answer(KEY, ENQUEUED), LATER) is state


@pytest.mark.parametrize("status", MessageStatus)
def test_an_unknown_outcome_leaves_the_status(status: MessageStatus) -> None:
    after = after_news(at(status), Answer(KEY, SENDING, raw_code="timeout"), LATER)
    assert after == (replace(at(status), raw_code="timeout") if status is SENDING else at(status))


@pytest.mark.parametrize("status", MessageStatus)
def test_an_ending_of_ours_holds_for_the_statuses_it_names(status: MessageStatus) -> None:
    ending = Ending(KEY, ErrorCode.MESSAGE_EXPIRED, {SENDING, SENT}, NOW, expired=True, may_have_arrived=True)
    after = after_news(at(status), ending, LATER)
    if status in {SENDING, SENT}:
        assert (after.status, after.error, after.expired) == (FAILURE, ErrorCode.MESSAGE_EXPIRED, True)
        assert after.may_have_arrived
    else:
        assert after == at(status)


def test_an_ending_of_ours_gives_way_to_news_that_came_meanwhile() -> None:
    state = replace(STATE, updated_at=LATER)
    assert after_news(state, Ending(KEY, ErrorCode.MESSAGE_EXPIRED, {SENDING}, NOW), LATER) is state


NEWS = st.one_of(
    st.builds(
        Answer, st.just(KEY), st.sampled_from([SENT, SENDING]), provider_id=st.sampled_from(["", "SM1"])
    ),
    st.builds(Receipt, st.just(KEY), st.sampled_from([SENT, SENT_TO_TELCO, SUCCESS]), at=st.just(NOW)),
)


@given(st.lists(NEWS, min_size=1, max_size=4), st.data())
def test_in_whatever_order_and_however_often_news_comes_the_end_is_one(
    news: list[News], data: st.DataObject
) -> None:
    """Without errors, of which the first stays, the highest status that was told of is the end."""
    told = data.draw(st.permutations(news + news))
    state = STATE
    ranks = [state.status]
    for piece in told:
        state = after_news(state, piece, LATER)
        ranks.append(state.status)
    assert state.status is max(SENDING, *(piece.status for piece in news if not isinstance(piece, Ending)))
    assert all(before <= after for before, after in itertools.pairwise(ranks))

"""News of attempts, and how each moves its attempt: statuses only move up, but from `sending` back to `enqueued`."""

from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias, assert_never

from messages.statuses import ErrorCode, MessageStatus

# 7-sending.md, small print: so often an attempt is put back where that counts; the next time it fails.
MOST_PUT_BACKS: Final = 3


@dataclass(frozen=True, slots=True, order=True)
class AttemptKey:
    """One attempt: a row of `attempts`."""

    batch_no: int
    row_number: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Answer:
    """How a hand-over ended. `status`: SENT or higher where the provider has it; FAILURE with `error` where it refused.

    ENQUEUED: surely not sent, the same attempt goes again at `due_at`; `counts`: it is one of the three times after which
    the attempt fails. SENDING: its outcome isn't known, it is looked up at `due_at`. `at`, when the provider answered, is aware
    UTC, as `due_at` is. A put-back must be recorded once only: the same attempt may have been handed over again since.
    """

    key: AttemptKey
    status: MessageStatus
    error: ErrorCode | None = None
    raw_code: str = ""
    provider_id: str = ""
    # Of a failure: a part of the message was taken all the same.
    may_have_arrived: bool = False
    counts: bool = False
    due_at: datetime | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """News of an attempt after its hand-over. `status` from SENT up; `error` where it is FAILURE.

    `at` is the provider's time (aware UTC), None where it gives none.
    """

    key: AttemptKey
    status: MessageStatus
    error: ErrorCode | None = None
    raw_code: str = ""
    provider_id: str = ""
    may_have_arrived: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Our own end for an attempt of which no news came, or which may not leave any more: it fails with `error`.

    It holds only for an attempt whose status is one of `among` and hasn't changed after `unchanged_since` (aware UTC).
    """

    key: AttemptKey
    error: ErrorCode
    among: Set[MessageStatus]
    unchanged_since: datetime
    expired: bool = False
    may_have_arrived: bool = False


News: TypeAlias = Answer | Receipt | Ending


@dataclass(frozen=True, slots=True)
class AttemptState:
    """What is known of an attempt: its row. Codes and ids that nobody gave are empty; times are aware UTC.

    `claimed_at`: when it was claimed, of one that failed while nobody knows when it was sent. Its day on the bill is told by it.
    """

    status: MessageStatus
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    claimed_at: datetime | None = None
    error: ErrorCode | None = None
    raw_code: str = ""
    provider_id: str = ""
    put_backs: int = 0
    may_have_arrived: bool = False
    expired: bool = False


def after_news(state: AttemptState, news: News, now: datetime) -> AttemptState:
    """What is known of an attempt after this news; the same state where it changes nothing, as a repeat does.

    Higher statuses win in whatever order they come, the first error stays, and so does what is terminal.
    """
    after = _after(state, news, now)
    if (
        after.status is MessageStatus.FAILURE
        and after.sent_at is None
        and state.status is MessageStatus.SENDING
    ):
        # Since its claim nothing has changed.
        return replace(after, claimed_at=state.updated_at)
    return after


def _after(state: AttemptState, news: News, now: datetime) -> AttemptState:
    match news:
        case Answer(status=MessageStatus.ENQUEUED):
            return _put_back(state, news, now)
        case Answer(status=MessageStatus.SENDING):
            is_news = state.status is MessageStatus.SENDING and news.raw_code != state.raw_code
            return replace(state, raw_code=news.raw_code) if is_news else state
        case Answer():
            # The provider refused what it has told news of before: whether that arrived, nobody knows.
            may_have_arrived = news.may_have_arrived or state.status > MessageStatus.SENDING
            return _moved_up(state, news, may_have_arrived=may_have_arrived, now=now)
        case Receipt():
            return _moved_up(state, news, may_have_arrived=news.may_have_arrived, now=now)
        case Ending():
            if state.status not in news.among or state.updated_at > news.unchanged_since:
                return state
            return replace(
                state,
                status=MessageStatus.FAILURE,
                error=news.error,
                expired=news.expired,
                may_have_arrived=news.may_have_arrived,
                updated_at=now,
            )
        case _:
            assert_never(news)


def _put_back(state: AttemptState, answer: Answer, now: datetime) -> AttemptState:
    if state.status is not MessageStatus.SENDING:
        # A receipt was there first, which proves the contrary.
        return state
    if answer.counts and state.put_backs >= MOST_PUT_BACKS:
        return replace(
            state,
            status=MessageStatus.FAILURE,
            error=ErrorCode.SERVER_UNKNOWN_ERROR,
            raw_code=answer.raw_code,
            updated_at=now,
        )
    return replace(
        state,
        status=MessageStatus.ENQUEUED,
        raw_code=answer.raw_code,
        put_backs=state.put_backs + answer.counts,
        updated_at=now,
    )


def _moved_up(
    state: AttemptState, news: Answer | Receipt, *, may_have_arrived: bool, now: datetime
) -> AttemptState:
    if not state.provider_id and news.provider_id:
        state = replace(state, provider_id=news.provider_id)
    if state.status.is_terminal or news.status <= state.status:
        return state
    at = news.at or now
    has_failed = news.status is MessageStatus.FAILURE
    refused = has_failed and isinstance(news, Answer)
    return replace(
        state,
        status=news.status,
        error=(news.error or ErrorCode.DELIVERY_UNKNOWN_ERROR) if has_failed else None,
        raw_code=news.raw_code,
        may_have_arrived=has_failed and may_have_arrived,
        sent_at=state.sent_at if refused else state.sent_at or at,
        delivered_at=at if news.status is MessageStatus.SUCCESS else None,
        updated_at=now,
    )

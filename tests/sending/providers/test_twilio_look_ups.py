"""What Twilio tells of attempts without an outcome and of messages without news, asked against a local server."""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.provider import Absent, OpenAttempt, Provider, Taken, Unknown
from tests.sending.providers.twilio_adapter import TEXT, KnownIDsOfTest, outgoing
from tests.sending.twilio_control import TwilioServer

RECIPIENT = "6591234567"
LOST_ANSWER: dict[str, object] = {"then": "error", "status": 500, "creates": True}
LOST_REQUEST: dict[str, object] = {"then": "cut"}


def open_attempt(
    row_number: int = 2,
    *,
    provider_id: str = "",
    recipient: str = RECIPIENT,
    text: str = TEXT,
    seconds_ago: float = 0,
    attempt: int = 1,
) -> OpenAttempt:
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return OpenAttempt(AttemptKey(7, row_number, attempt), recipient, text, provider_id, at)


async def hand_over_lost(provider: Provider, twilio: TwilioServer, *rows: int) -> None:
    """Messages that Twilio has, while their outcome isn't known here."""
    twilio.fail(LOST_ANSWER)
    for row in rows:
        assert isinstance(await provider.hand_over(outgoing(row)), Unknown)
    twilio.fail()


async def hand_over_rows(provider: Provider, rows: range) -> list[OpenAttempt]:
    """Messages that Twilio has taken, as attempts with its ids."""
    answers = await asyncio.gather(*(provider.hand_over(outgoing(row)) for row in rows))
    return [
        open_attempt(row, provider_id=answer.provider_id)
        for row, answer in zip(rows, answers, strict=True)
        if isinstance(answer, Taken)
    ]


def sids(found: Sequence[Receipt | Absent]) -> list[str]:
    return [news.provider_id for news in found if isinstance(news, Receipt)]


async def test_an_unknown_outcome_is_found_by_recipient(provider: Provider, twilio: TwilioServer) -> None:
    twilio.behave(ended_after=0.0, endings={RECIPIENT: ["undelivered", 30003]})
    await hand_over_lost(provider, twilio, 2)
    (message,) = twilio.messages()
    (receipt,) = await provider.look_up([open_attempt()])
    assert isinstance(receipt, Receipt)
    assert receipt.key == AttemptKey(7, 2, 1)
    assert receipt.status is MessageStatus.FAILURE
    assert (receipt.error, receipt.raw_code) == (ErrorCode.RECIPIENT_UNAVAILABLE, "30003")
    assert receipt.provider_id == message["sid"]
    assert receipt.at is not None
    assert abs((receipt.at - datetime.now(UTC)).total_seconds()) < 60


async def test_one_that_still_waits_at_twilio_has_no_day_and_is_found_all_the_same(
    provider: Provider, twilio: TwilioServer
) -> None:
    twilio.behave(sent_after=-1, ended_after=-1)
    await hand_over_lost(provider, twilio, 2)
    (receipt,) = await provider.look_up([open_attempt()])
    assert isinstance(receipt, Receipt)
    assert receipt.status is MessageStatus.SENT


async def test_what_twilio_never_had_is_absent_once_the_last_look_up_is_due(
    provider: Provider, twilio: TwilioServer
) -> None:
    twilio.fail(LOST_REQUEST)
    await provider.hand_over(outgoing())
    assert await provider.look_up([open_attempt(seconds_ago=30)]) == []
    assert await provider.look_up([open_attempt(seconds_ago=60)]) == [Absent(AttemptKey(7, 2, 1))]


async def test_another_text_another_recipient_or_another_time_is_another_message(
    provider: Provider, twilio: TwilioServer
) -> None:
    await hand_over_lost(provider, twilio, 2)
    attempts = [
        open_attempt(3, text="Another text", seconds_ago=100),
        open_attempt(4, recipient="6598765432", seconds_ago=100),
    ]
    found = await provider.look_up(attempts)
    assert found == [Absent(attempt.key) for attempt in attempts]
    # Created ten minutes after the hand-over or later, it is hardly this attempt's; but nothing is proved.
    assert await provider.look_up([open_attempt(seconds_ago=3600)]) == []
    # It can't have been created before.
    assert await provider.look_up([open_attempt(seconds_ago=-300)]) == []


async def test_the_message_of_another_attempt_is_not_taken(
    provider: Provider, twilio: TwilioServer, known_ids: KnownIDsOfTest
) -> None:
    taken = await provider.hand_over(outgoing(2))
    assert isinstance(taken, Taken)
    known_ids.ids.add(taken.provider_id)
    assert await provider.look_up([open_attempt(3, seconds_ago=100)]) == [Absent(AttemptKey(7, 3, 1))]
    (oldest,) = known_ids.asked_since
    assert abs((oldest - datetime.now(UTC)).total_seconds()) < 60


async def test_two_attempts_with_the_same_text_get_a_message_each(
    provider: Provider, twilio: TwilioServer
) -> None:
    await hand_over_lost(provider, twilio, 2, 3)
    found = await provider.look_up([open_attempt(4, seconds_ago=100), open_attempt(2), open_attempt(3)])
    assert sorted(sids(found)) == sorted(message["sid"] for message in twilio.messages())
    # The messages are created at the time of the other two, so the third has none.
    assert [news.key.row_number for news in found if isinstance(news, Absent)] == [4]


async def test_of_two_texts_to_one_recipient_each_attempt_gets_its_own(
    provider: Provider, twilio: TwilioServer
) -> None:
    twilio.fail(LOST_ANSWER)
    await provider.hand_over(dataclasses.replace(outgoing(2), text="First"))
    await provider.hand_over(dataclasses.replace(outgoing(3), text="Second"))
    twilio.fail()
    found = await provider.look_up([open_attempt(3, text="Second"), open_attempt(2, text="First")])
    texts = {message["sid"]: message["body"] for message in twilio.messages()}
    told = {news.key.row_number: texts[news.provider_id] for news in found if isinstance(news, Receipt)}
    assert told == {2: "First", 3: "Second"}


async def test_a_recipient_with_several_pages_is_read_to_the_end(
    provider: Provider, twilio: TwilioServer, known_ids: KnownIDsOfTest
) -> None:
    twilio.behave(sent_after=-1, ended_after=-1)
    await hand_over_lost(provider, twilio, 2)
    others = await hand_over_rows(provider, range(3, 103))
    known_ids.ids |= {attempt.provider_id for attempt in others}
    before = twilio.record()["requests"]
    (receipt,) = await provider.look_up([open_attempt(2)])
    assert isinstance(receipt, Receipt)
    assert receipt.provider_id == twilio.messages()[0]["sid"]
    assert twilio.record()["requests"] - before == 3


async def test_nothing_is_proved_by_a_look_up_that_failed(provider: Provider, twilio: TwilioServer) -> None:
    attempts = [open_attempt(2, seconds_ago=100), open_attempt(3, provider_id="SM1", seconds_ago=100)]
    twilio.behave(secret="changed")
    assert await provider.look_up(attempts) == []
    twilio.call("stop")
    assert await provider.look_up(attempts) == []
    twilio.call("listen")


async def test_messages_without_news_are_read_in_bulk(provider: Provider, twilio: TwilioServer) -> None:
    twilio.behave(sent_after=0.0, ended_after=0.0)
    attempts = await hand_over_rows(provider, range(2, 102))
    before = twilio.record()["requests"]
    found = await provider.look_up(attempts)
    assert {news.key for news in found} == {attempt.key for attempt in attempts}
    assert {news.status for news in found if isinstance(news, Receipt)} == {MessageStatus.SUCCESS}
    # Around midnight they were sent on two days.
    assert twilio.record()["requests"] - before <= 2


async def test_what_the_bulk_does_not_show_is_asked_for_by_its_id(
    provider: Provider, twilio: TwilioServer
) -> None:
    twilio.behave(sent_after=-1, ended_after=-1)
    taken = await provider.hand_over(outgoing(2))
    assert isinstance(taken, Taken)
    found = await provider.look_up(
        [open_attempt(2, provider_id=taken.provider_id), open_attempt(3, provider_id="SM1")]
    )
    assert [(news.key.row_number, news.status) for news in found if isinstance(news, Receipt)] == [
        (2, MessageStatus.SENT)
    ]


async def test_the_bulk_is_read_over_its_pages(provider: Provider, twilio: TwilioServer) -> None:
    twilio.behave(sent_after=0.0, ended_after=0.0, callbacks=False)
    attempts = await hand_over_rows(provider, range(2, 1102))
    before = twilio.record()["requests"]
    found = await provider.look_up(attempts)
    assert len({news.key for news in found}) == 1100
    assert twilio.record()["requests"] - before <= 4


async def test_a_busy_account_is_not_paged_through_for_a_few_messages(
    provider: Provider, twilio: TwilioServer
) -> None:
    twilio.behave(sent_after=0.0, ended_after=0.0, callbacks=False)
    (first,) = await hand_over_rows(provider, range(2, 3))
    await hand_over_rows(provider, range(3, 2103))
    before = twilio.record()["requests"]
    found = await provider.look_up([first])
    assert sids(found) == [first.provider_id]
    # The newest thousand, and then the message itself.
    assert twilio.record()["requests"] - before == 2

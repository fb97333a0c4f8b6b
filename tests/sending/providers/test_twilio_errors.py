"""Each row of the tables of Twilio's codes and statuses has the meaning that data/twilio.md gives it."""

import pytest

from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.twilio_errors import Refusal, failure_of, parse_callback, receipt_of, refusal_of

KEY = AttemptKey(1, 2, 1)
SID = "SM" + "0" * 32

# "Refused at once": code, HTTP status, meaning.
REFUSALS = [
    (20429, 429, Refusal.THROTTLED),
    (None, 429, Refusal.THROTTLED),
    (20003, 401, Refusal.CREDENTIALS),
    (20005, 403, Refusal.CREDENTIALS),
    (10001, 403, Refusal.CREDENTIALS),
    (20006, 403, Refusal.CREDENTIALS),
    (20404, 404, Refusal.CREDENTIALS),
    *((None, status, Refusal.IN_BETWEEN) for status in (401, 403, 404, 407)),
    *(
        (code, 400, Refusal.SENDER)
        for code in (21603, 21606, 21608, 21657, 21659, 21701, 21703, 21704, 21705)
    ),
    *((code, 400, "recipient_invalid") for code in (21211, 21217, 21401, 14101, 21614, 21635, 21610)),
    *((code, 400, "routing_error") for code in (21408, 21612)),
    *((code, 400, "content_invalid") for code in (21602, 21617, 21619, 14103, 21654)),
    *((code, 400, Refusal.PARAMETER) for code in (21609, 21624, 90007, 20422, 21658)),
    (21611, 400, Refusal.QUEUE_FULL),
    (21999, 400, "server_unknown_error"),
    (None, 400, "server_unknown_error"),
    (None, 418, "server_unknown_error"),
]

# "After acceptance": code, our code.
FAILURES = [
    (30001, "server_unknown_error"),
    (30002, "server_unknown_error"),
    (30003, "recipient_unavailable"),
    (30004, "recipient_invalid"),
    (30005, "recipient_invalid"),
    (30006, "recipient_invalid"),
    (30007, "content_invalid"),
    (30008, "delivery_unknown_error"),
    *((code, "routing_error") for code in (30017, 30022, 30023, 60005)),
    (30019, "content_invalid"),
    *((code, "routing_error") for code in (30024, 30034, 30042)),
    (30036, "message_expired"),
    (30410, "delivery_unknown_error"),
    *((code, "routing_error") for code in (30450, 30453)),
    (30500, "server_unknown_error"),
    (63010, "server_unknown_error"),
    (30999, "delivery_unknown_error"),
    # Behind a messaging service these come after acceptance as well.
    (21610, "recipient_invalid"),
    (21612, "routing_error"),
]


@pytest.mark.parametrize(("code", "http_status", "meaning"), REFUSALS)
def test_a_refusal_at_once(code: int | None, http_status: int, meaning: Refusal | str) -> None:
    expected = meaning if isinstance(meaning, Refusal) else ErrorCode(meaning)
    assert refusal_of(http_status, code) is expected


@pytest.mark.parametrize("status", ["undelivered", "failed"])
@pytest.mark.parametrize(("code", "meaning"), FAILURES)
def test_a_failure_after_acceptance(code: int, meaning: str, status: str) -> None:
    assert failure_of(status, code) is ErrorCode(meaning)


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        ("undelivered", None, "delivery_unknown_error"),
        ("failed", None, "server_unknown_error"),
        ("canceled", None, "server_unknown_error"),
        ("undelivered", 99999, "delivery_unknown_error"),
        ("failed", 99999, "server_unknown_error"),
        ("failed", 21606, "server_unknown_error"),
    ],
)
def test_a_failure_without_a_code_of_the_table(status: str, code: int | None, meaning: str) -> None:
    assert failure_of(status, code) is ErrorCode(meaning)


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("accepted", MessageStatus.SENT),
        ("scheduled", MessageStatus.SENT),
        ("queued", MessageStatus.SENT),
        ("sending", MessageStatus.SENT),
        ("sent", MessageStatus.SENT_TO_TELCO),
        ("partially_delivered", MessageStatus.SENT_TO_TELCO),
        ("delivered", MessageStatus.SUCCESS),
        ("read", MessageStatus.SUCCESS),
        ("undelivered", MessageStatus.FAILURE),
        ("failed", MessageStatus.FAILURE),
        ("canceled", MessageStatus.FAILURE),
    ],
)
def test_a_status(status: str, ours: MessageStatus) -> None:
    receipt = receipt_of(KEY, status=status, code="", sid=SID)
    assert receipt is not None
    assert receipt.status is ours
    assert (receipt.error is not None) == (ours is MessageStatus.FAILURE)


@pytest.mark.parametrize("status", ["", "received", "DELIVERED", "unheard-of"])
def test_a_status_that_says_nothing_of_a_message_sent_is_no_news(status: str) -> None:
    assert receipt_of(KEY, status=status, code="", sid=SID) is None


@pytest.mark.parametrize(
    ("code", "may_have_arrived"), [("30003", False), ("30008", True), ("30410", True), ("30007", False)]
)
def test_a_failure_says_whether_the_message_may_have_arrived(code: str, may_have_arrived: bool) -> None:
    receipt = receipt_of(KEY, status="undelivered", code=code, sid=SID)
    assert receipt is not None
    assert (receipt.raw_code, receipt.may_have_arrived) == (code, may_have_arrived)


def test_a_callback_is_read() -> None:
    fields = {"MessageSid": SID, "MessageStatus": "undelivered", "ErrorCode": "30003", "To": "+6591234567"}
    assert parse_callback(KEY, fields) == Receipt(
        KEY, MessageStatus.FAILURE, ErrorCode.RECIPIENT_UNAVAILABLE, raw_code="30003", provider_id=SID
    )
    assert parse_callback(KEY, {"SmsSid": SID, "SmsStatus": "sent", "ErrorCode": "0"}) == Receipt(
        KEY, MessageStatus.SENT_TO_TELCO, provider_id=SID
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"MessageSid": ""},
        {"MessageSid": "SM\x00"},
        {"MessageSid": "S" * 65},
        {"MessageStatus": "unheard-of"},
        {"ErrorCode": "30003; drop"},
        {"ErrorCode": "9" * 10},
        {"ErrorCode": "٣٠٠٠٣"},
    ],
)
def test_a_callback_of_another_form_is_no_news(changed: dict[str, str]) -> None:
    fields = {"MessageSid": SID, "MessageStatus": "undelivered", "ErrorCode": "30003"}
    assert parse_callback(KEY, fields | changed) is None

"""Handing over through Twilio's adapter, against a local server: each end, each refusal, and what surely was not sent."""

import asyncio
import dataclasses
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from config.environment import Environment
from gateway.embedded.server_process import free_port
from messages.callback_urls import parse_callback_path
from messages.statuses import ErrorCode
from sending.providers import twilio_http
from sending.providers.provider import Provider, PutBack, Refused, Taken, Unknown
from sending.providers.twilio import ServiceTrouble, try_service
from sending.providers.twilio_account import TwilioAccount
from tests.sending.providers.twilio_adapter import (
    ACCOUNT,
    DATA_KEY,
    TEXT,
    open_test_provider,
    outgoing,
)
from tests.sending.twilio_control import ACCOUNT_SID, KEY_SECRET, KEY_SID, SERVICE_SID, TwilioServer


async def test_a_message_is_created_with_what_the_page_asks_for(
    provider: Provider, twilio: TwilioServer
) -> None:
    answer = await provider.hand_over(outgoing())
    (message,) = twilio.messages()
    assert answer == Taken(message["sid"])
    assert (message["to"], message["body"]) == ("+6591234567", TEXT)
    assert message["messaging_service_sid"] == SERVICE_SID
    assert message["options"] == {"SmartEncoded": "false"}
    url, _, fragment = message["callback"].partition("#")
    assert fragment == "rc=5&rp=all&ct=5000&rt=15000"
    path = url.removeprefix("https://sms.agency.gov.sg")
    assert parse_callback_path(path, [DATA_KEY]) == outgoing().key


@pytest.mark.parametrize(
    "text",
    [
        "".join(chr(code) for code in range(0x20, 0x7F)),
        "100%41 a+b a%2Bb &amp; x=1;y=2\r\n\ttab",
        "Ünï £ Δ ~ € [brackets] {name}",
        "您好，陈先生 · வணக்கம் · 🎉👨‍👩‍👧",
    ],
    ids=["ascii", "percent", "gsm7", "unicode"],
)
async def test_a_text_arrives_as_it_is(provider: Provider, twilio: TwilioServer, text: str) -> None:
    await provider.hand_over(dataclasses.replace(outgoing(), text=text))
    assert twilio.messages()[0]["body"] == text


async def test_a_one_time_password_waits_five_minutes_at_most(
    provider: Provider, twilio: TwilioServer
) -> None:
    await provider.hand_over(outgoing(is_otp=True))
    (message,) = twilio.messages()
    assert message["options"] == {"SmartEncoded": "false", "ValidityPeriod": "300", "MessageIntent": "otp"}


async def test_without_an_address_for_callbacks_none_is_asked_for(twilio: TwilioServer) -> None:
    provider = open_test_provider(twilio.base_url, callback_base_url=None)
    await provider.hand_over(outgoing())
    await provider.close()
    assert twilio.messages()[0]["callback"] == ""


async def test_in_the_test_environment_the_seven_numbers_never_reach_twilio(twilio: TwilioServer) -> None:
    provider = open_test_provider(twilio.base_url, environment=Environment.TEST)
    simulated = await provider.hand_over(outgoing(2, "6511112222"))
    real = await provider.hand_over(outgoing(3))
    await provider.close()
    assert isinstance(simulated, Taken)
    assert isinstance(real, Taken)
    assert list(twilio.record()["numbers"]) == ["+6591234567"]


CREDENTIALS = PutBack(pause="credentials refused")
SENDER = PutBack(2.0, pause="sender refused", counts=True)


def _refused(code: str, pause: str = "") -> Refused:
    return Refused(ErrorCode(code), pause=pause)


BAD_PARAMETER = _refused("server_unknown_error", "the provider refuses our parameters")
ANSWERS: list[tuple[int, int, PutBack | Refused]] = [
    (429, 20429, PutBack(1.0, pause="throttled", pause_seconds=1.0)),
    *((401, code, CREDENTIALS) for code in (20003,)),
    *((403, code, CREDENTIALS) for code in (20005, 10001, 20006)),
    (404, 20404, CREDENTIALS),
    *((400, code, SENDER) for code in (21603, 21606, 21608, 21657, 21659, 21701, 21703, 21704, 21705)),
    *(
        (400, code, _refused("recipient_invalid"))
        for code in (21211, 21217, 21401, 14101, 21614, 21635, 21610)
    ),
    *((400, code, _refused("routing_error")) for code in (21408, 21612)),
    *((400, code, _refused("content_invalid")) for code in (21602, 21617, 21619, 14103, 21654)),
    *((400, code, BAD_PARAMETER) for code in (21609, 21624, 90007, 20422, 21658)),
    (400, 21611, PutBack(60.0, pause="the provider's queue is full", pause_seconds=60.0)),
    (400, 21999, _refused("server_unknown_error")),
]


@pytest.mark.parametrize(("status", "code", "expected"), ANSWERS, ids=lambda value: str(value)[:8])
async def test_each_refusal_has_the_consequence_of_its_row(
    provider: Provider, twilio: TwilioServer, status: int, code: int, expected: PutBack | Refused
) -> None:
    twilio.fail({"then": "error", "status": status, "code": code})
    answer = await provider.hand_over(outgoing())
    assert isinstance(answer, PutBack | Refused)
    assert answer.raw_code == str(code)
    fields = {name: getattr(answer, name) for name in expected.__slots__ if name != "raw_code"}
    assert fields == {name: getattr(expected, name) for name in expected.__slots__ if name != "raw_code"}
    assert twilio.record()["created"] == 0


@pytest.mark.parametrize("status", [401, 403, 404, 407])
async def test_a_proxy_that_refuses_says_nothing_of_credentials_and_the_pause_lifts_itself(
    provider: Provider, twilio: TwilioServer, status: int
) -> None:
    twilio.fail({"then": "error", "status": status, "count": 3})
    answers = [await provider.hand_over(outgoing()) for _ in range(3)]
    assert answers == [
        PutBack(delay, f"HTTP {status}", pause="provider unreachable", pause_seconds=delay, counts=True)
        for delay in (1.0, 2.0, 4.0)
    ]
    assert isinstance(await provider.hand_over(outgoing()), Taken)


@pytest.mark.parametrize(("status", "kind"), [(400, Refused), (429, PutBack)])
async def test_a_refusal_that_nobody_can_read_goes_by_its_http_status(
    provider: Provider, twilio: TwilioServer, status: int, kind: type
) -> None:
    twilio.fail({"then": "error", "status": status})
    answer = await provider.hand_over(outgoing())
    assert isinstance(answer, Refused | PutBack)
    assert isinstance(answer, kind)
    assert answer.raw_code == f"HTTP {status}"


async def test_throttling_is_obeyed_for_as_long_as_twilio_says(
    provider: Provider, twilio: TwilioServer
) -> None:
    twilio.fail({"then": "error", "status": 429, "code": 20429, "retry_after": 7, "count": 1})
    assert await provider.hand_over(outgoing()) == PutBack(7.0, "20429", pause="throttled", pause_seconds=7.0)
    assert isinstance(await provider.hand_over(outgoing()), Taken)


async def test_fewer_requests_are_under_way_after_throttling(
    provider: Provider, twilio: TwilioServer
) -> None:
    twilio.behave(answer_after=0.2, most_requests=60)
    first = await asyncio.gather(*(provider.hand_over(outgoing(row)) for row in range(2, 102)))
    assert sum(isinstance(answer, PutBack) for answer in first) == 40
    again = await asyncio.gather(*(provider.hand_over(outgoing(row)) for row in range(102, 202)))
    assert all(isinstance(answer, Taken) for answer in again)


async def test_a_sender_that_took_messages_is_not_paused_for_a_single_one(
    provider: Provider, twilio: TwilioServer
) -> None:
    await provider.hand_over(outgoing(2))
    twilio.fail({"then": "error", "status": 400, "code": 21606})
    single = PutBack(2.0, "21606", counts=True)
    assert await provider.hand_over(outgoing(3)) == single
    assert await provider.hand_over(outgoing(3)) == single
    twilio.fail()
    await provider.hand_over(outgoing(4))
    twilio.fail({"then": "error", "status": 400, "code": 21606})
    assert await provider.hand_over(outgoing(5)) == single
    # A second one in a row says that the sender itself is wrong.
    assert await provider.hand_over(outgoing(6)) == PutBack(2.0, "21606", pause="sender refused", counts=True)


@pytest.mark.parametrize(
    "fault",
    [
        {"then": "error", "status": 500, "code": 20500, "creates": True},
        {"then": "error", "status": 503, "code": 20503},
        {"then": "error", "status": 502},
        {"then": "error", "status": 307},
        {"then": "unreadable", "creates": True},
        {"then": "cut"},
        {"then": "cut", "creates": True},
    ],
    ids=str,
)
async def test_what_may_have_been_sent_is_unknown_and_asked_for_once(
    provider: Provider, twilio: TwilioServer, fault: dict[str, Any]
) -> None:
    assert isinstance(await provider.hand_over(outgoing(2)), Taken)
    twilio.fail(fault)
    # A kept connection makes many clients ask again.
    assert isinstance(await provider.hand_over(outgoing(3)), Unknown)
    record = twilio.record()
    assert (record["requests"], record["created"]) == (2, 1 + int(bool(fault.get("creates"))))


@pytest.mark.parametrize("creates", [True, False])
async def test_an_answer_that_does_not_come_in_time_is_unknown(
    twilio: TwilioServer, creates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_http, "TIMEOUT_SECONDS", 0.5)
    provider = open_test_provider(twilio.base_url)
    twilio.fail({"then": "hang", "creates": creates})
    begun = time.monotonic()
    assert await provider.hand_over(outgoing()) == Unknown("time-out")
    assert 0.4 < time.monotonic() - begun < 30
    assert twilio.record()["requests"] == 1
    await provider.close()


def test_twilio_is_given_35_seconds() -> None:
    """It ends its own requests after about 26."""
    assert twilio_http.TIMEOUT_SECONDS == 35


@pytest.mark.parametrize(
    ("base_url", "cause"),
    [
        (f"http://127.0.0.1:{free_port()}", "connection refused"),
        ("http://no-such-host.invalid", "dns"),
    ],
    ids=["refused", "dns"],
)
async def test_without_a_connection_nothing_was_sent_and_the_sender_waits_longer_each_time(
    base_url: str, cause: str
) -> None:
    provider = open_test_provider(base_url)
    answers = [await provider.hand_over(outgoing()) for _ in range(2)]
    # Those that are under way together are one time.
    answers += await asyncio.gather(*(provider.hand_over(outgoing(row)) for row in range(2, 5)))
    answers.append(await provider.hand_over(outgoing()))
    await provider.close()
    assert answers == [
        PutBack(delay, cause, pause="provider unreachable", pause_seconds=delay)
        for delay in (1.0, 2.0, 4.0, 4.0, 4.0, 8.0)
    ]


async def test_a_link_that_comes_back_is_used_at_once(provider: Provider, twilio: TwilioServer) -> None:
    twilio.call("stop")
    away = [await provider.hand_over(outgoing(2)) for _ in range(2)]
    twilio.call("listen")
    assert isinstance(await provider.hand_over(outgoing(2)), Taken)
    twilio.call("stop")
    # The kept connection may take one more request before its end is noticed, whose outcome is unknown then.
    await provider.hand_over(outgoing(3))
    again = await provider.hand_over(outgoing(4))
    twilio.call("listen")
    assert [cast(PutBack, answer).delay for answer in away] == [1.0, 2.0]
    assert isinstance(again, PutBack)
    assert again.delay <= 2.0


async def test_ops_are_told_of_a_country_without_a_route_once(
    provider: Provider, twilio: TwilioServer
) -> None:
    twilio.fail({"then": "error", "status": 400, "code": 21408})
    with capture_logs() as logs:
        for row in range(2, 7):
            await provider.hand_over(outgoing(row, "447400123456"))
    told = [line for line in logs if line["event"] == "provider_refused"]
    assert [(line["kind"], line["code"]) for line in told] == [("routing", "21408")]


async def test_connections_are_kept(provider: Provider, twilio: TwilioServer) -> None:
    for row in range(2, 12):
        await provider.hand_over(outgoing(row))
    assert twilio.record()["connections"] == 1


async def test_nothing_is_logged_of_a_message(
    provider: Provider,
    twilio: TwilioServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    await provider.hand_over(outgoing())
    faults: list[dict[str, object]] = [{"then": "cut"}, {"then": "error", "code": 21612, "status": 400}]
    for fault in faults:
        twilio.fail(fault)
        await provider.hand_over(outgoing())
    written = caplog.text + "".join(capfd.readouterr())
    for secret in ("6591234567", "Aisha", KEY_SECRET, "/callbacks/", ACCOUNT_SID):
        assert secret not in written


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (ACCOUNT, None),
        (TwilioAccount(ACCOUNT_SID, KEY_SID, "wrong", SERVICE_SID, "Agency"), "refuses the API key"),
        (
            TwilioAccount("AC" + "9" * 32, KEY_SID, KEY_SECRET, SERVICE_SID, "Agency"),
            "belong to another account",
        ),
        (TwilioAccount(ACCOUNT_SID, KEY_SID, KEY_SECRET, "MG1", "Agency"), "no such messaging service"),
    ],
)
async def test_a_service_is_tried(twilio: TwilioServer, account: TwilioAccount, words: str | None) -> None:
    told = await try_service(account, base_url=twilio.base_url)
    assert told is None if words is None else told is not None and words in told.text and not told.is_away


async def test_a_service_is_tried_without_twilio() -> None:
    told = await try_service(ACCOUNT, base_url=f"http://127.0.0.1:{free_port()}")
    assert told == ServiceTrouble("Twilio can't be reached (connection refused)", is_away=True)


def test_processes_without_an_account_load_no_package_of_twilio() -> None:
    """Loading it takes half a second, and 20 MB."""
    code = "import sys, sending.providers.choice; print(sorted({'twilio', 'aiohttp', 'requests'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[3]
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "[]\n"

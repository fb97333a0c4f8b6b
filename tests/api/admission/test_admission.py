"""What one process makes of the database's decisions: whom it lets in, what it remembers, logs and counts."""

import asyncio
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from api import metrics
from api.admission import Admission
from api.admission_groups import AdmissionGroups, CallingCampaign, Decision, Question, Verdict
from api.errors import RequestRefused
from api.key_uses import Use
from campaigns.campaigns import Creator
from config.addresses import parse_address
from config.environment import Environment
from config.sending_sections import APISettings
from config.settings import Settings
from database.connections import Connection, Pool
from database.errors import ServiceUnreachable
from keys.api_key_form import new_key, parse_key
from rules.templates import Template

CAMPAIGN = "campaign_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
CREATOR, MAKER = Creator("user_1", "a@clinic.gov.sg"), Creator("user_2", "b@clinic.gov.sg")
AT = datetime(2026, 10, 10, 4, tzinfo=UTC)
CALLING = CallingCampaign(CAMPAIGN, Template("Clinic", {}), False, False, AT, CREATOR)
KEY = new_key(Environment.TEST)


class Told:
    """An admission whose database answers as it is told, and what was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = Settings.model_construct(environment=Environment.TEST, api=APISettings())
        self.admission = Admission(cast(Pool, None), settings)
        self.admission.groups.clock.note(AT.timestamp(), asked_at=0, answered_at=0)
        self.answer: Decision | Exception = RuntimeError("nothing was told yet")
        self.asked: list[Question] = []
        self.used: list[tuple[str, str, Use]] = []
        monkeypatch.setattr(self.admission.groups, "decide", self._decide)
        monkeypatch.setattr(self.admission.uses, "count", lambda *use: self.used.append(use))

    async def _decide(self, question: Question) -> Decision:
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def refuse(self, verdict: Verdict, until: float = 0.0) -> None:
        self.answer = Decision(verdict, None, None, AT.timestamp(), until)

    async def refused(self, address: str = "192.0.2.7") -> RequestRefused:
        with pytest.raises(RequestRefused) as refused:
            await self.admission.admit(request(address))
        return refused.value


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def request(address: str | None = "192.0.2.7", campaign_id: str = CAMPAIGN) -> Request:
    state: dict[str, Any] = {
        "address": None if address is None else parse_address(address),
        "request_id": "request-1",
    }
    headers = [(b"authorization", f"Bearer {KEY}".encode())]
    return Request(
        {"type": "http", "headers": headers, "path_params": {"campaign_id": campaign_id}, "state": state}
    )


def show_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """To this module alone: the loop's timers go by the real clock."""
    monkeypatch.setattr("api.admission.time", SimpleNamespace(monotonic=lambda: seconds))


def count_of(result: str) -> float:
    return float(metrics.ADMISSIONS.labels(result)._value.get())


PRESENTED = parse_key(KEY, Environment.TEST)
assert PRESENTED is not None
PREFIX, DIGEST = PRESENTED.prefix, PRESENTED.digest


@pytest.mark.parametrize("maker", [None, MAKER])
async def test_an_admitted_call_is_told_whose_it_is(told: Told, maker: Creator | None) -> None:
    told.answer = Decision(Verdict.ADMITTED, CALLING, maker, AT.timestamp(), 0.0)
    before = count_of("admitted")
    admitted = await told.admission.admit(request())
    assert (admitted.campaign, admitted.key_prefix, admitted.address, admitted.at, admitted.maker) == (
        CALLING,
        PREFIX,
        "192.0.2.7",
        AT,
        maker,
    )
    assert (admitted.creator, admitted.maker_id) == ((MAKER, "user_2") if maker else (CREATOR, None))
    assert told.asked == [Question(PREFIX, DIGEST, CAMPAIGN, "192.0.2.7")]
    assert (told.used, count_of("admitted")) == ([(PREFIX, "192.0.2.7", Use.ADMITTED)], before + 1)


async def test_what_can_be_no_campaign_and_nobodys_address_are_asked_for_as_such(told: Told) -> None:
    told.refuse(Verdict.CAMPAIGN)
    with pytest.raises(RequestRefused):
        await told.admission.admit(request(None, "x"))
    assert told.asked == [Question(PREFIX, DIGEST, "", "::")]


@pytest.mark.parametrize("verdict", [Verdict.CAMPAIGN, Verdict.ADDRESS, Verdict.SUSPENDED])
async def test_why_a_right_key_is_refused_is_logged_once_a_minute_for_each_address(
    told: Told, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.refuse(verdict)
    now = time.monotonic()
    with capture_logs() as logs:
        for seconds, address in ((0, "192.0.2.7"), (59, "192.0.2.7"), (59, "192.0.2.8"), (61, "192.0.2.7")):
            show_time(monkeypatch, now + seconds)
            refused = await told.refused(address)
            assert (refused.status, refused.message, refused.headers) == (403, "", {})
    assert logs == [
        {
            "room": "api",
            "event": "call_forbidden",
            "log_level": "warning",
            "reason": verdict.value,
            "key_prefix": PREFIX,
            "source_address": address,
            "request_id": "request-1",
        }
        for address in ("192.0.2.7", "192.0.2.8", "192.0.2.7")
    ]


async def test_what_the_rate_refuses_is_refused_from_memory_until_its_time(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    told.refuse(Verdict.RATE, until=now + 2.5)
    asked, remembered = count_of("rate"), count_of("rate_remembered")
    for seconds, after in ((0.0, "3"), (0.5, "2"), (1.6, "1")):
        show_time(monkeypatch, now + seconds)
        refused = await told.refused()
        assert (refused.status, refused.headers) == (429, {"Retry-After": after})
    assert len(told.asked) == 1
    await told.refused("192.0.2.8")
    assert len(told.asked) == 2
    show_time(monkeypatch, now + 2.5)
    await told.refused()
    assert len(told.asked) == 3
    assert (count_of("rate"), count_of("rate_remembered")) == (asked + 3, remembered + 2)
    assert told.used == [
        (PREFIX, address, Use.LIMITED) for address in ("192.0.2.7",) * 3 + ("192.0.2.8", "192.0.2.7")
    ]


async def test_only_so_many_refusals_are_remembered(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.admission._MOST_REMEMBERED", 2)
    told.refuse(Verdict.RATE, until=time.monotonic() + 60)
    for last in (1, 2, 1, 2, 3, 1):
        await told.refused(f"192.0.2.{last}")
    # The third one made all be forgotten.
    assert [question.address[-1] for question in told.asked] == ["1", "2", "3", "1"]
    told.refuse(Verdict.ADDRESS)
    with capture_logs() as logs:
        for last in (4, 5, 4, 5, 6, 4):
            await told.refused(f"192.0.2.{last}")
    assert [line["source_address"][-1] for line in logs] == ["4", "5", "6", "4"]


async def test_without_a_database_nobody_is_admitted_and_it_is_counted(told: Told) -> None:
    told.answer = ServiceUnreachable("away")
    before = count_of("unavailable")
    with pytest.raises(ServiceUnreachable):
        await told.admission.admit(request())
    assert (count_of("unavailable"), told.used) == (before + 1, [])


async def test_a_key_that_nobody_has_is_401(told: Told) -> None:
    told.refuse(Verdict.KEY)
    refused = await told.refused()
    assert (refused.status, refused.headers) == (401, {"WWW-Authenticate": "Bearer"})
    assert told.used == [(PREFIX, "192.0.2.7", Use.UNAUTHORIZED)]


async def test_the_database_tells_whose_campaign_and_key_an_admitted_call_has(
    pool: Pool, connection: Connection, campaign_id: str, api_key: str
) -> None:
    key = parse_key(api_key, Environment.TEST)
    assert key is not None
    await connection.execute("insert into users (id, email) values ('user_2', 'b@clinic.gov.sg')")
    await connection.execute("update api_keys set creator_id = 'user_2' where prefix = $1", key.prefix)
    groups = AdmissionGroups(pool, APISettings())
    asking = asyncio.create_task(groups.run())
    question = Question(key.prefix, key.digest, campaign_id, "127.0.0.1")
    row = await connection.fetchrow(
        "select u.id, u.email, c.created_at from campaigns c join users u on u.id = c.creator_id where c.id = $1",
        campaign_id,
    )
    assert row is not None
    try:
        for nric in (False, True):
            await connection.execute("update campaigns set nric = $1", nric)
            decision = await groups.decide(question)
            assert (decision.verdict, decision.maker) == (Verdict.ADMITTED, MAKER)
            told = decision.campaign
            assert told is not None
            assert (told.id, told.nric, told.made_at) == (campaign_id, nric, row["created_at"])
            assert told.creator == Creator(row["id"], row["email"])
    finally:
        asking.cancel()

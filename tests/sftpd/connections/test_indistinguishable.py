"""An unknown campaign, a suspended one, a wrong key and a wrong address are refused with the same words, in the same way."""

from collections.abc import Mapping, Sequence
from functools import partial

import asyncssh
import pytest
from structlog.testing import capture_logs

from campaigns.campaigns import suspend_campaign
from database.connections import Pool
from sftpd.connections.login import AccessLookup
from tests.conftest import KeyPair
from tests.sftpd.fronts import OPS, Front, add_campaign, eventually

CASES = ("unknown campaign", "suspended campaign", "wrong key", "address not allowed")


@pytest.fixture
async def users(pool: Pool, ed25519_key: KeyPair, other_key: KeyPair) -> dict[str, str]:
    """A user name for each case; all log in with `ed25519_key`."""
    suspended = await add_campaign(pool, ed25519_key)
    async with pool.acquire() as connection, connection.transaction():
        await suspend_campaign(connection, suspended, actor=OPS)
    return {
        "unknown campaign": "campaign_00000000-0000-4000-8000-000000000000",
        "suspended campaign": suspended,
        "wrong key": await add_campaign(pool, other_key),
        "address not allowed": await add_campaign(pool, ed25519_key, sources=["192.0.2.0/24"]),
    }


@pytest.fixture
async def told(front: Front, users: dict[str, str], ed25519_key: KeyPair) -> dict[str, tuple[int, str]]:
    """The words of each refusal, without the name that the client itself puts before them."""
    words = {}
    for case in CASES:
        ended = await front.ssh(users[case], ed25519_key, "x", options=["-v"])
        lines = [
            line.replace(users[case], "USER")
            for line in ended.stderr.splitlines()
            if "Authentications" in line
            or "denied" in line
            or "disconnect" in line.lower()
            or "accepts key" in line
        ]
        words[case] = (ended.status, "\n".join(lines))
    return words


async def test_the_words_are_the_same(told: dict[str, tuple[int, str]]) -> None:
    assert len(set(told.values())) == 1, told
    status, words = told["wrong key"]
    assert status == 255
    assert "USER@127.0.0.1: Permission denied (publickey)." in words


def has_refusal(logs: Sequence[Mapping[str, object]]) -> bool:
    return any(line["event"] == "login_refused" for line in logs)


async def test_the_log_knows_better(front: Front, users: dict[str, str], ed25519_key: KeyPair) -> None:
    reasons = {}
    for case in CASES:
        with capture_logs() as logs:
            await front.ssh(users[case], ed25519_key, "x")
            await eventually(partial(has_refusal, logs))
        reasons[case] = next(line["reason"] for line in logs if line["event"] == "login_refused")
    assert list(reasons.values()) == ["unknown", "unknown", "key", "source"]


async def test_each_refusal_costs_one_question_to_the_database_and_a_malformed_name_none(
    users: dict[str, str], front: Front, ed25519_key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []
    ask = AccessLookup.fetch

    async def counted(self: AccessLookup, campaign_id: str) -> object:
        questions.append(campaign_id)
        return await ask(self, campaign_id)

    monkeypatch.setattr(AccessLookup, "fetch", counted)
    for case in CASES:
        await front.ssh(users[case], ed25519_key, "x")
        assert questions == [users[case]], case
        questions.clear()
    for malformed in ("ab", "a" * 65, "root@host", "campaign 1", "campaign_é", "../x"):
        await front.ssh(malformed, ed25519_key, "x")
    assert questions == []


async def test_only_public_keys_are_offered(front: Front, campaign: str) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await front.connect(campaign, None, password="secret", preferred_auth="password,keyboard-interactive")

"""An internal campaign's messages on their whole way: a sender process, Twilio over TLS, and an api process for its callbacks.

Twilio is a local server that behaves as data/twilio.md says. Each number of these batches has a fate of its own there.
"""

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from campaigns.campaigns import Channel
from campaigns.creation import NewTwilioAccount, create_campaign
from campaigns.fields import TwilioCredentials
from config.sending_sections import SecretsSettings
from config.settings import variable_of
from database.connections import Connection
from gateway.embedded.server_process import free_port
from rules.characters.unsupported import UnsupportedRule
from sending.pauses import resume_senders
from tests.conftest import ADMIN, CAMPAIGN_TEMPLATE
from tests.gateway.nodes import ROOT, wait_until
from tests.sending.providers.test_twilio_errors import FAILURES
from tests.sending.providers.test_twilio_tls import make_certificate
from tests.sending.sending_node import add_batch
from tests.sending.twilio_control import (
    ACCOUNT_SID,
    KEY_SECRET,
    KEY_SID,
    SERVICE_SID,
    TwilioServer,
    twilio_server,
)

# Two processes start, and sweeps run each second: seconds here, minutes on a machine with ten times its work.
pytestmark = pytest.mark.timeout(300)
CREDENTIALS = TwilioCredentials(ACCOUNT_SID, KEY_SID, KEY_SECRET, SERVICE_SID, "CLINIC")
# The code of Twilio's with which a creation is refused for good, and ours.
REFUSED = [
    (21211, "recipient_invalid"),
    (21610, "recipient_invalid"),
    (21612, "routing_error"),
    (21619, "content_invalid"),
]
# What goes wrong at a hand-over whose outcome isn't known; whether Twilio has the message all the same.
LOST: list[tuple[dict[str, object], bool]] = [
    ({"then": "error", "status": 500}, True),
    ({"then": "cut"}, True),
    ({"then": "unreadable"}, True),
    ({"then": "error", "status": 503}, False),
    ({"then": "cut"}, False),
]


def number(position: int) -> str:
    """A number of this test's own for each message."""
    return f"65{91230000 + position}"


class Fates:
    """What is to become of each number, and how the server brings it about."""

    def __init__(self, lost: Sequence[tuple[dict[str, object], bool]]) -> None:
        self.expected: dict[str, tuple[str, str | None]] = {}
        self.faults: list[dict[str, object]] = []
        self.endings: dict[str, list[object]] = {}
        for _ in range(5):
            self._add("success")
        for code, ours in FAILURES:
            self.endings[self._add("failure", ours)] = ["undelivered", code]
        for code, ours in REFUSED:
            recipient = self._add("failure", ours)
            self.faults.append({"then": "error", "status": 400, "code": code, "number": recipient})
        for fault, creates in lost:
            recipient = self._add("success") if creates else self._add("failure", "server_unknown_error")
            self.faults.append({**fault, "creates": creates, "number": recipient})

    def _add(self, status: str, error: str | None = None) -> str:
        recipient = number(len(self.expected))
        self.expected[recipient] = (status, error)
        return recipient


@pytest.fixture
def secrets_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def twilio(tmp_path: Path) -> Iterator[TwilioServer]:
    certificate, key = make_certificate(tmp_path)
    with twilio_server(certificate=certificate, key=key) as server:
        yield server


@pytest.fixture
def variables(
    gateway_variables: dict[str, str], tmp_path: Path, twilio: TwilioServer, secrets_key: str
) -> dict[str, str]:
    return {
        **gateway_variables,
        "SSL_CERT_FILE": str(tmp_path / "certificate.pem"),
        variable_of("environment"): "production",
        variable_of("secrets.key"): secrets_key,
        variable_of("sending.twilio.base_url"): twilio.base_url,
        variable_of("sending.internal.rate"): "100",
        variable_of("sending.sweep_every"): "1",
        variable_of("sending.twilio.poll_every"): "1",
    }


@contextmanager
def running(part: str, variables: dict[str, str], log: Path) -> Iterator[None]:
    """A part of the gateway, as a node's own service would start it."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "gateway", part],
            cwd=ROOT, env={**os.environ, **variables}, stdout=output, stderr=subprocess.STDOUT,
        ) as process,
    ):  # fmt: skip
        try:
            wait_until(lambda: b'"node_ready"' in log.read_bytes() or process.poll() is not None, part, 60)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            process.wait(60)


async def add_messages(connection: Connection, secrets_key: str, recipients: list[str]) -> None:
    """An internal campaign with its account, and a batch of a message for each of these."""
    secrets = SecretsSettings(key=SecretStr(secrets_key))
    async with connection.transaction():
        campaign = await create_campaign(
            connection, name="Staff", template=CAMPAIGN_TEMPLATE, notify_email="ops@clinic.gov.sg",
            channel=Channel.INTERNAL, twilio=NewTwilioAccount(CREDENTIALS, secrets), unsupported=UnsupportedRule(),
            actor=ADMIN,
        )  # fmt: skip
    batch_no = await add_batch(connection, campaign.id, len(recipients))
    await connection.execute(
        "update messages set recipient = ($2::text[])[row_number - 1] where batch_no = $1",
        batch_no,
        recipients,
    )


async def until_ended(connection: Connection, fates: Fates) -> None:
    """Wait until each message has its last status; each must be the one that was meant for it.

    A callback that tells that the account is suspended pauses its sender, if that has still something to send.
    """
    async with asyncio.timeout(200):
        while True:
            if await connection.fetchval(
                "select exists (select from senders where paused_because = 'account suspended')"
            ):
                async with connection.transaction():
                    await resume_senders(connection, None, actor=ADMIN)
            rows = await connection.fetch("select recipient, status, error_code from message_status")
            if all(row["status"] in ("success", "failure") for row in rows):
                break
            await asyncio.sleep(0.1)
    assert {row["recipient"]: (row["status"], row["error_code"]) for row in rows} == fates.expected


async def test_each_message_ends_as_twilio_calls_back(
    connection: Connection, variables: dict[str, str], secrets_key: str, twilio: TwilioServer, tmp_path: Path
) -> None:
    """With no look-up and no poll in time: a hand-over whose outcome isn't known is resolved by its callback as well."""
    fates = Fates([fault for fault in LOST if fault[1]])
    await add_messages(connection, secrets_key, list(fates.expected))
    twilio.behave(endings=fates.endings)
    twilio.fail(*fates.faults)
    port = free_port()
    variables |= {
        variable_of("api.processes"): "1",
        variable_of("api.port"): str(port),
        variable_of("sending.twilio.callback_base_url"): f"http://127.0.0.1:{port}",
        variable_of("sending.look_up_after"): "3600",
    }
    with (
        running("api", variables, tmp_path / "api.log"),
        running("sender", variables, tmp_path / "sender.log"),
    ):
        await until_ended(connection, fates)
    record = twilio.record()
    assert set(record["attempts"].values()) == {1}
    assert record["created"] == len(fates.expected) - len(REFUSED)


async def test_without_callbacks_each_message_is_looked_up_and_polled(
    connection: Connection, variables: dict[str, str], secrets_key: str, twilio: TwilioServer, tmp_path: Path
) -> None:
    """What Twilio never had is proved absent by the last look-up, and nothing is sent twice."""
    fates = Fates(LOST)
    await add_messages(connection, secrets_key, list(fates.expected))
    twilio.behave(endings=fates.endings)
    twilio.fail(*fates.faults)
    variables |= {
        variable_of("sending.look_up_after"): "1 2 4",
        variable_of("sending.twilio.poll_after"): "1",
    }
    with running("sender", variables, tmp_path / "sender.log"):
        await until_ended(connection, fates)
    record = twilio.record()
    assert set(record["numbers"].values()) == {1}
    never_created = len(REFUSED) + sum(not creates for _, creates in LOST)
    assert record["created"] == len(fates.expected) - never_created

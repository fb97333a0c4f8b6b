"""The alerts on sending ring when their causes are there: a provider that misbehaves, strangers, ops, a database that hangs."""

import asyncio
import base64
import contextlib
import http.client
import resource
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from campaigns.secret_keys import load_keys
from config.sending_sections import SecretsSettings
from config.settings import load_settings
from gateway.embedded.server_process import free_port
from gateway.processes.sender import BucketClaimMark
from messages.callback_urls import callback_url
from messages.news import AttemptKey
from processing.object_store import open_store
from tests.conftest import run_apart
from tests.gateway.nodes import Node, call, wait_until
from tests.gateway.ops.alert_rules import names_of_alerts, ringing
from tests.gateway.ops.test_monitoring import needs_promtool
from tests.sending.twilio_control import (
    ACCOUNT_SID,
    KEY_SECRET,
    KEY_SID,
    SERVICE_SID,
    TwilioServer,
    twilio_server,
)

KEY = base64.b64encode(bytes(32)).decode()
ROWS = 60


def alerts_of_sending() -> list[str]:
    """Those of SMPP follow them, the last ones of the file, and have a test of their own."""
    names = names_of_alerts()
    return names[names.index("SFTPGatewayOTPsWait") : names.index("SFTPGatewaySMPPUnbound")]


@dataclass
class Watched:
    """A node that sends through the local Twilio server, and what it told at the last look."""

    node: Node
    twilio: TwilioServer
    database_url: str
    variables: dict[str, str]
    folder: Path
    seen: str = ""
    rang: set[str] = field(default_factory=set)
    uploads: int = 0

    def look(self) -> set[str]:
        """The alerts on sending that ring for what has changed since the last look.

        Others may ring with them where this machine has ten times its work, such as one on a look that wasn't answered in time.
        """
        before, self.seen = self.seen, self.node.get("/metrics")[1]
        found = ringing(before, self.seen, self.folder) & set(alerts_of_sending())
        self.rang |= found
        return found

    def value(self, series: str) -> float:
        """What a series tells now, summed over the labels that aren't given."""
        name, _, labels = series.partition("{")
        lines = [
            line
            for line in self.node.get("/metrics")[1].splitlines()
            if line.split("{")[0].split(" ")[0] == name
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines if labels.rstrip("}") in line)

    def upload(self, rows: int = ROWS) -> None:
        """A batch of so many rows, of the same numbers each time."""
        self.uploads += 1
        path = self.folder / f"upload-{self.uploads}.csv"
        lines = [f"65{91000000 + row},english,Tan {self.uploads}\n" for row in range(rows)]
        path.write_text("recipient,language,name\n" + "".join(lines))
        assert self.node.upload(path) == 0

    def ask(self, statement: str, *arguments: object) -> Any:
        """Ask the database for one value."""

        async def fetch() -> Any:
            connection = await asyncpg.connect(self.database_url)
            try:
                return await connection.fetchval(statement, *arguments)
            finally:
                await connection.close()

        return run_apart(fetch())

    def until_value(self, series: str, least: float) -> None:
        wait_until(lambda: self.value(series) >= least, f"{series} >= {least}", 60)

    def until_ended(self) -> None:
        """Until nothing is under way."""
        ended = "select count(*) = $1::integer and sum(total_messages) = sum(success + failure) from batches"
        wait_until(lambda: self.ask(ended, self.uploads) is True, "all messages have ended", 60)

    def callback(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.node.ports["api_port"], timeout=30)
        with contextlib.closing(connection):
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", path, "MessageSid=SM1&MessageStatus=sent", form)
            return connection.getresponse().status

    def path_of(self, key: AttemptKey) -> str:
        async def read() -> tuple[bytes, ...]:
            connection = await asyncpg.connect(self.database_url)
            try:
                return (await load_keys(connection, SecretsSettings(key=SecretStr(KEY)))).callback_keys
            finally:
                await connection.close()

        return callback_url("http://x", key, run_apart(read())).removeprefix("http://x")


@pytest.fixture
def watched(
    start_node: Callable[..., Node], gateway_variables: dict[str, str], database_url: str, tmp_path: Path
) -> Iterator[Watched]:
    port = free_port()
    with twilio_server() as twilio:
        variables = {
            "ENVIRONMENT": "production",
            "API__PROCESSES": "1",
            "API__PORT": str(port),
            "SECRETS__KEY": KEY,
            "SENDING__PROCESSES": "1",
            "SENDING__PUBLIC__PROVIDER": "twilio",
            "SENDING__PUBLIC__RATE": "500",
            "SENDING__TWILIO__BASE_URL": twilio.base_url,
            "SENDING__TWILIO__CALLBACK_BASE_URL": f"http://127.0.0.1:{port}",
            "SENDING__TWILIO__ACCOUNT_SID": ACCOUNT_SID,
            "SENDING__TWILIO__KEY_SID": KEY_SID,
            "SENDING__TWILIO__KEY_SECRET": KEY_SECRET,
            "SENDING__TWILIO__SERVICE_SID": SERVICE_SID,
        }
        named = {f"SFTP_GATEWAY_{name}": value for name, value in variables.items()}
        node = start_node(**named)
        yield Watched(node, twilio, database_url, {**gateway_variables, **named}, tmp_path)


@contextlib.contextmanager
def locked(database_url: str) -> Iterator[None]:
    """Nobody can write attempts meanwhile, as in a database that hangs."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(database_url))
    try:
        loop.run_until_complete(connection.execute("begin; lock attempts in exclusive mode"))
        yield
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


@needs_promtool
@pytest.mark.timeout(400)
def test_each_alert_rings_when_its_cause_is_there_and_none_without(watched: Watched) -> None:
    twilio = watched.twilio
    wait_until(lambda: watched.node.get("/readyz")[0] == 200, "each dependency was seen")
    twilio.behave(endings={"6591000000": ["undelivered", 30003]})
    watched.upload()
    watched.until_ended()
    watched.look()
    watched.upload()
    watched.until_ended()
    # One in sixty that can't be reached is how it is.
    assert watched.look() == set()

    # It takes them and answers 500; its callbacks tell what became of them.
    twilio.fail({"then": "error", "status": 500, "creates": True})
    watched.upload()
    watched.until_value("sftp_gateway_outcomes_unknown_total", 11)
    twilio.fail()
    watched.until_ended()
    assert watched.look() == {"SFTPGatewayOutcomesUnknown"}

    # All of them fail, with a code that means the sender.
    twilio.behave(endings={str(6591000000 + row): ["undelivered", 30034] for row in range(ROWS)})
    watched.upload()
    watched.until_ended()
    assert watched.look() >= {"SFTPGatewayMessagesFail", "SFTPGatewayProviderAlarm"}
    twilio.behave(endings={})

    # It throttles, for longer than a few messages.
    watched.look()
    twilio.fail({"then": "error", "status": 429, "code": 20429})
    watched.upload()
    watched.until_value("sftp_gateway_hand_overs_throttled_total", 21)
    assert "SFTPGatewayProviderThrottles" in watched.look()
    twilio.fail()
    watched.until_ended()

    # It refuses our login, so that everything waits, a one-time password too.
    twilio.behave(secret="another")
    watched.upload()
    watched.until_value('sftp_gateway_senders_paused{until="resumed"}', 1)
    watched.ask("update campaigns set otp = true")
    watched.ask(
        "insert into batches (id, campaign_id, original_file_name, total_messages, kind, frame, created_at)"
        " select 'batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8', id, '', 1, 'single', '{}', now() - interval '2 min' from campaigns"
    )
    wait_until(lambda: watched.ask("select count(*) from due") > 0, "some are put back")
    watched.ask(
        "update batches set created_at = created_at - interval '1 hour' where waiting and kind = 'batch'"
    )
    watched.ask("update due set at = at - interval '1 hour'")
    watched.seen = watched.node.get("/metrics")[1]
    assert watched.look() >= {"SFTPGatewaySenderPaused", "SFTPGatewaySendingStands", "SFTPGatewayOTPsWait"}
    watched.ask("delete from batches where kind = 'single'")
    twilio.behave(secret=KEY_SECRET)
    call(watched.variables, "sending", "resume", "--all")
    watched.until_ended()

    # It takes its time, and PostgreSQL hangs before it has answered.
    watched.look()
    twilio.behave(answer_after=6.0)
    watched.upload()
    # After the throttling there is room for few at once.
    wait_until(lambda: watched.ask("select count(*) from attempts where status = 2") > 0, "some are claimed")
    with locked(watched.database_url):
        watched.until_value("sftp_gateway_outcomes_kept", 1)
        path = watched.path_of(AttemptKey(1, 2, 1))
        assert watched.callback(path) == 503
        assert watched.look() >= {
            "SFTPGatewayOutcomesNotRecorded", "SFTPGatewayCallbacksRefused", "SFTPGatewayProviderSlow",
        }  # fmt: skip
    twilio.behave(answer_after=0.0)
    watched.until_ended()
    watched.look()

    # Callbacks with a wrong token, and with the right one for an attempt that nobody made.
    for _ in range(101):
        assert watched.callback("/callbacks/twilio/1-2-1/AAAAAAAAAAAAAAAAAAAAAA") == 404
    assert watched.callback(watched.path_of(AttemptKey(999, 2, 1))) == 204
    assert watched.look() == {"SFTPGatewayCallbacksForged", "SFTPGatewayReceiptsUnmatched"}

    with many_connections(watched.node.ports["api_port"], 1024 + 60):
        watched.until_value('sftp_gateway_api_connections_cut_total{cause="total"}', 51)
    assert watched.look() == {"SFTPGatewayConnectionsCut"}

    # The database is older than what the bucket knows; a sender that starts looks.
    run_apart(put_mark(watched.variables))
    watched.node.children("sender")[0].kill()
    watched.until_value("sftp_gateway_databases_restored_total", 1)
    assert watched.look() >= {"SFTPGatewayDatabaseRestored", "SFTPGatewaySenderPaused"}

    # A batch that could not begin in time, and so waits to be released.
    watched.ask(
        "insert into batches (id, campaign_id, original_file_name, total_messages, frame, held_since, held_because)"
        " select 'batch_1', id, '', 1, '{}', now(), 'stale' from campaigns"
    )
    watched.until_value('sftp_gateway_batches_held{because="stale"}', 1)
    assert "SFTPGatewayBatchesHeld" in watched.look()

    # An internal campaign without an account: a new one, as one that was public has a sender of that time.
    watched.ask(
        "insert into campaigns (id, name, header, notify_email, channel)"
        " values ('campaign_6b1f0c5e-0b0a-4c55-9d0e-3a1f6f0d2c11', 'Staff', 'Staff', 'staff@agency.example', 'internal')"
    )
    watched.ask(
        "insert into batches (id, campaign_id, original_file_name, total_messages, frame)"
        " select 'batch_2', id, '', 1, '{}' from campaigns where channel = 'internal'"
    )
    watched.until_value("sftp_gateway_batches_without_provider", 1)
    assert "SFTPGatewayNoProvider" in watched.look()
    assert watched.rang >= set(alerts_of_sending())


@contextlib.contextmanager
def many_connections(port: int, count: int) -> Iterator[None]:
    """So many connections on which nothing is said."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def put_mark(variables: dict[str, str]) -> None:
    """Write into the bucket that a claim was made in an hour from now."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        s3 = load_settings(None).s3
    async with open_store(s3) as store:
        await BucketClaimMark(store).write(datetime.now(UTC) + timedelta(hours=1))

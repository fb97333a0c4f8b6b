"""Each part under a database role of its own, with exactly the rights that its role has."""

import base64
import functools
import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import requests
from pydantic import SecretStr

from campaigns.secret_keys import load_keys, make_first_key
from config.sending_sections import SecretsSettings
from database.grants import DatabaseRole
from gateway.embedded.mail_server import Mailbox
from messages.callback_urls import callback_url
from messages.news import AttemptKey
from tests.conftest import run_apart
from tests.gateway.nodes import Node, wait_until
from tests.gateway.nodes import call as command

URL = "SFTP_GATEWAY_DATABASE__URL"


def is_ready(node: Node) -> bool:
    return node.away() == (200, [])


def assert_nothing_was_refused(*nodes: Node) -> None:
    for node in nodes:
        log = node.log.read_text()
        assert "InsufficientPrivilege" not in log
        assert "refuses this login" not in log
        assert not [
            line for line in log.splitlines() if '"level": "error"' in line or '"level":"error"' in line
        ]


def test_front_and_worker_do_their_work_with_the_rights_of_their_roles(
    url_of: Callable[[DatabaseRole], str], start_node: Callable[..., Node], mailbox: Mailbox,
    good_file: Path, tmp_path: Path,
) -> None:  # fmt: skip
    front = start_node(
        "sftpd", **{URL: url_of(DatabaseRole.FRONT), "SFTP_GATEWAY_SFTP__MAX_NOT_CSV_NOTIFICATIONS": "1"}
    )
    worker = start_node(
        "worker", **{URL: url_of(DatabaseRole.WORKER), "SFTP_GATEWAY_WORKER__SWEEP_INTERVAL": "0.5"}
    )
    bad = tmp_path / "bad.csv"
    bad.write_text("recipient,language,name\n+6599999999,english,Emily\n")
    text = tmp_path / "text.txt"
    text.write_text("no rows")
    assert front.upload(good_file) == 0
    mailbox.wait_for(1)
    # The same again is a duplicate, and told; a name that isn't .csv is refused by the front, and told by the worker.
    assert front.upload(good_file) == 0
    assert front.upload(bad) == 0
    assert front.upload(text) != 0
    mailbox.wait_for(4)
    with front.sftp() as client:
        client.communicate(
            f"ls -l\nput {bad} again.part\nrename again.part again.csv\nput -p {bad} kept.csv\n", timeout=60
        )
        assert client.returncode == 0
    mailbox.wait_for(6)
    for node in (front, worker):
        wait_until(functools.partial(is_ready, node), "ready")
        node.until_told("sftp_gateway_notifications_waiting 0.0")
    assert_nothing_was_refused(front, worker)


def test_a_sender_and_the_api_do_their_work_with_the_rights_of_their_roles(
    url_of: Callable[[DatabaseRole], str], start_node: Callable[..., Node], good_file: Path, database_url: str,
    gateway_variables: dict[str, str],
) -> None:  # fmt: skip
    secrets = {"SFTP_GATEWAY_SECRETS__KEY": base64.b64encode(bytes(32)).decode()}
    front = start_node("sftpd", **{URL: url_of(DatabaseRole.FRONT)})
    worker = start_node("worker", **{URL: url_of(DatabaseRole.WORKER)})
    api = start_node("api", **{URL: url_of(DatabaseRole.API), "SFTP_GATEWAY_API__PORT": "0", **secrets})
    sender = start_node(
        "sender",
        **{
            URL: url_of(DatabaseRole.SENDER),
            "SFTP_GATEWAY_SENDING__SWEEP_EVERY": "0.5",
            "SFTP_GATEWAY_SENDING__SIMULATOR__SECONDS": "0",
            **secrets,
        },
    )
    assert front.upload(good_file) == 0

    async def ask(statement: str) -> object:
        connection = await asyncpg.connect(database_url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    wait_until(lambda: run_apart(ask("select success = 2 from batches")) is True, "both are sent", 60)
    run_apart(ask("with a as (update attempts set status = 3) update batches set success = 0, sent = 2"))
    # A callback for one of them, signed with the first key that there is.
    path = run_apart(_callback_path(database_url, secrets["SFTP_GATEWAY_SECRETS__KEY"]))
    body = "MessageSid=SM1&MessageStatus=delivered"
    connection = http.client.HTTPConnection("127.0.0.1", api.ports["api_port"], timeout=20)

    def call() -> int:
        connection.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    # The API looks for new keys every few seconds.
    wait_until(lambda: call() == 204, "the callback is recorded")
    connection.close()
    assert run_apart(ask("select (success, sent) = (1, 1) from batches")) is True
    call_everything(api, gateway_variables, good_file)
    for node in (api, sender):
        wait_until(functools.partial(is_ready, node), "ready")
        assert "sftp_gateway_message_statuses_total" in node.get("/metrics")[1]
    assert_nothing_was_refused(front, worker, api, sender)


def call_everything(api: Node, variables: dict[str, str], file: Path) -> None:
    """Each of the seven calls, once the agency has a key."""
    command(variables, "campaign", "addresses", api.campaign, "--add", "127.0.0.1")
    command(variables, "campaign", "rate", api.campaign, "1000")
    key = json.loads(command(variables, "apikey", "add", api.campaign, "--json"))["key"]
    base = f"http://127.0.0.1:{api.ports['api_port']}/api/v2/campaigns/{api.campaign}"

    def call(method: str, path: str, **more: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
        answer = requests.request(method, base + path, headers=headers, timeout=60, **more)
        return answer.status_code, answer.json() if answer.content else None

    single = {"recipient": "6591234567", "language": "english", "values": {"name": "Emily"}}
    status, sent = call("POST", "/messages", json=single, headers={"Idempotency-Key": "1"})
    assert call("POST", "/messages", json=single, headers={"Idempotency-Key": "1"}) == (status, sent)
    message = f"/messages/{sent['id']}"
    wait_until(lambda: call("GET", message)[1]["latestStatus"] == "success", "the message is sent")
    assert call("POST", f"{message}/retry")[0] == 400
    unknown = {"recipient": "6511112222", "language": "english", "values": {"name": "Emily"}}
    failing = call("POST", "/messages", json=unknown)[1]["id"]
    wait_until(lambda: call("GET", f"/messages/{failing}")[1]["latestStatus"] == "failure", "it fails")
    assert call("POST", f"/messages/{failing}/retry")[0] == 201
    assert {item["id"] for item in call("GET", "/messages?limit=1000")[1]["data"]} >= {sent["id"], failing}
    with file.open("rb") as content:
        status, accepted = call("POST", "/batch/messages", files={"file": ("good.csv", content, "text/csv")})
    assert (status, accepted["isValid"]) == (201, True)
    batch = f"/batch/{accepted['batchId']}"
    status, page = call("GET", f"{batch}/messages?limit=10")
    assert (status, len(page["data"])) == (200, 2)
    wait_until(
        lambda: all(
            item["latestStatus"] == "success" for item in call("GET", f"{batch}/messages?limit=10")[1]["data"]
        ),
        "the batch is sent",
    )
    assert call("POST", f"{batch}/retry") == (201, None)
    bad = "recipient,language,name\n+6599999999,english,Emily\n"
    status, rejected = call("POST", "/batch/messages", files={"file": ("bad.csv", bad, "text/csv")})
    assert (status, rejected["errors"][0]["code"]) == (400, "recipient_has_plus")


async def _callback_path(database_url: str, key: str) -> str:
    """The path by which Twilio would tell of the first attempt."""
    settings = SecretsSettings(key=SecretStr(key))
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await make_first_key(connection, settings)
        keys = (await load_keys(connection, settings)).callback_keys
        row = await connection.fetchrow("select batch_no, row_number, attempt from attempts limit 1")
        assert row is not None
    finally:
        await connection.close()
    return callback_url("http://x", AttemptKey(*row), keys).removeprefix("http://x")

"""The console as a part of a node: alone with its role's rights, beside the others, over a reload and a stop."""

import re
import signal
import socket
from collections.abc import Callable
from contextlib import closing

import requests

from config.console_section import ConsoleSettings
from config.settings import Settings
from console.login.sessions import COOKIE, begin_session
from console.pages import ROUTES
from database.connections import connect
from database.grants import DatabaseRole
from tests.conftest import run_apart
from tests.console.served import make_user
from tests.console.uploads.made import add_upload
from tests.gateway.nodes import Node, call, wait_until
from tests.messages.builders import make_batch

SECRET = "a-secret-of-tests-that-nobody-else-has"
CONSOLE = {"SFTP_GATEWAY_CONSOLE__SECRET": SECRET, "SFTP_GATEWAY_CONSOLE__PORT": "0"}


async def log_in(settings: Settings) -> str:
    """A session of one of ops."""
    connection = await connect(settings.database)
    try:
        user = await make_user(connection, "ops@gov.sg", is_ops=True)
        return await begin_session(
            connection, user.id, source_address=None, browser="", settings=ConsoleSettings()
        )
    finally:
        await connection.close()


async def make_things(settings: Settings, campaign_id: str) -> dict[str, str]:
    """What paths name."""
    connection = await connect(settings.database)
    try:
        batch = await make_batch(connection, campaign_id)
        failed = await add_upload(connection, campaign_id, status="failed", object_key="originals/a")
        return {"campaign_id": campaign_id, "batch_id": batch.id, "upload_id": failed}
    finally:
        await connection.close()


def ask(node: Node, path: str, session: str) -> requests.Response:
    """The page, for whoever has that session."""
    return requests.get(
        f"http://127.0.0.1:{node.ports['console_port']}{path}",
        headers={"Cookie": f"{COOKIE}={session}"}, timeout=20, allow_redirects=False,
    )  # fmt: skip


def test_a_console_alone_serves_its_pages_with_the_rights_of_its_role(
    settings: Settings, url_of: Callable[[DatabaseRole], str], start_node: Callable[..., Node], provisioned: str
) -> None:  # fmt: skip
    node = start_node("console", **CONSOLE, SFTP_GATEWAY_DATABASE__URL=url_of(DatabaseRole.CONSOLE))
    assert node.events("node_ready")[0]["parts"] == ["console"]
    session = run_apart(log_in(settings))
    known = run_apart(make_things(settings, provisioned))
    for route in ROUTES:
        named = set(re.findall(r"\{(\w+)\}", route.path))
        if "GET" not in route.methods or route.is_stream or not named <= known.keys():
            continue
        shown = ask(node, route.path.format(**known), session)
        # Pages for members are refused here, one that wants a fresh code may lead to it, and a failed upload is not released.
        assert shown.status_code in {200, 204, 303, 403, 404, 409}, (route.path, shown.status_code)
        assert route.name != "home" or "ops@gov.sg" in shown.text
    retried = requests.post(
        f"http://127.0.0.1:{node.ports['console_port']}/uploads/{known['upload_id']}/retry", data={"form_id": "f" * 20},
        headers={"Cookie": f"{COOKIE}={session}", "Sec-Fetch-Site": "same-origin"}, timeout=20, allow_redirects=False,
    )  # fmt: skip
    assert retried.status_code == 303
    wait_until(lambda: node.away() == (200, []), "ready, once each dependency was looked at")
    wait_until(
        lambda: 'sftp_gateway_console_page_seconds_count{page="home"}' in node.get("/metrics")[1], "counted"
    )
    log = node.log.read_text()
    assert "InsufficientPrivilege" not in log
    assert '"level":"error"' not in log.replace(" ", "")
    assert SECRET not in log
    node.children("console")[0].kill()
    node.until_told('sftp_gateway_process_restarts_total{part="console"} 1.0')
    wait_until(lambda: ask(node, "/", session).status_code == 200, "replaced")


def test_a_node_with_a_console_serves_over_a_reload_and_stops_with_it(
    settings: Settings, start_node: Callable[..., Node]
) -> None:
    node = start_node(SFTP_GATEWAY_CONSOLE__PROCESSES="1", **CONSOLE)
    assert node.events("node_ready")[0]["parts"] == ["console", "worker", "front"]
    session = run_apart(log_in(settings))
    assert ask(node, "/", session).status_code == 200
    [first] = node.children("console")
    # A browser that keeps its connection doesn't hold up the reload, nor the stop.
    with closing(socket.create_connection(("127.0.0.1", node.ports["console_port"]))):
        node.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(node.events("console_ready")) == 2, "a new process")
        wait_until(lambda: not first.is_running(), "the old one has gone")
        assert ask(node, "/", session).status_code == 200
        node.process.terminate()
        assert node.process.wait(40) == 0
    assert len(node.events("console_stopped")) == 2


def test_no_console_starts_without_its_secret(gateway_variables: dict[str, str], provisioned: str) -> None:
    errors = call({**gateway_variables, "SFTP_GATEWAY_CONSOLE__PORT": "0"}, "console", status=2)
    assert "SFTP_GATEWAY_CONSOLE__SECRET" in errors

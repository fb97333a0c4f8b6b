"""`check` tries what only the sending core needs: a provider for each channel in use, and somebody who takes callbacks."""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from config.settings import variable_of
from tests.sending.twilio_control import twilio_server

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call

CALLBACKS = variable_of("sending.twilio.callback_base_url")


@contextmanager
def web_server(path: str, status: int) -> Iterator[str]:
    """A server that answers `status` to GET of `path`, and 404 to others; its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == path else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def line_of(admin: "Call", name: str) -> dict[str, Any] | None:
    """What `check` says of one thing."""
    document = admin("check", "--json").document
    return next((found for found in document["checks"] if found["name"] == name), None)


@pytest.fixture
def sending(admin: "Call", monkeypatch: pytest.MonkeyPatch) -> None:
    """This node has a sender."""
    monkeypatch.setenv(variable_of("sending.processes"), "1")


def make_campaign(admin: "Call", *words: str) -> None:
    answer = admin(
        "campaign", "create", "--name", "Staff", "--notify", "ops@clinic.gov.sg", "--template", "english=Dear {{name}}",
        *words, stdin=b"hushhushhushhush",
    )  # fmt: skip
    assert answer.status == 0, answer.err


def account(number: str) -> tuple[str, ...]:
    return (
        "--channel", "internal", "--account", "AC" + number * 32, "--key", "SK" + number * 32, "--service",
        "MG" + number * 32, "--sender", "CLINIC", "--secret-file", "-", "--no-try",
    )  # fmt: skip


def test_without_an_address_nobody_asks_for_callbacks(admin: "Call", sending: None) -> None:
    assert line_of(admin, "callbacks") is None


def test_callbacks_are_taken_by_this_node(
    admin: "Call", sending: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CALLBACKS, "http://127.0.0.1:9")
    monkeypatch.setenv(variable_of("api.processes"), "1")
    line = line_of(admin, "callbacks")
    assert line is not None
    assert line["ok"]


@pytest.mark.parametrize(("path", "status", "is_well"), [
    pytest.param("/sms/api/v2/health", 200, True, id="an api answers"),
    pytest.param("/sms/api/v2/health", 503, False, id="no backend"),
    pytest.param("/other", 200, False, id="something else answers"),
])  # fmt: skip
def test_callbacks_are_taken_by_another_node(
    admin: "Call", monkeypatch: pytest.MonkeyPatch, path: str, status: int, is_well: bool
) -> None:
    with web_server(path, status) as address:
        monkeypatch.setenv(CALLBACKS, f"{address}/sms/")
        line = line_of(admin, "callbacks")
    assert line is not None
    assert line["ok"] is is_well


def test_an_address_where_nobody_answers_is_refused(admin: "Call", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CALLBACKS, "http://127.0.0.1:9")
    answer = admin("check", "--json")
    assert answer.status == 2
    line = line_of(admin, "callbacks")
    assert line is not None
    assert not line["ok"]
    assert "no api process answers under SFTP_GATEWAY_SENDING__TWILIO__CALLBACK_BASE_URL" in line["detail"]


def test_channels_that_nobody_uses_have_no_line(admin: "Call", sending: None) -> None:
    assert line_of(admin, "public channel") is None
    assert line_of(admin, "internal channel") is None


def test_the_public_channel_without_a_provider_is_a_warning(
    admin: "Call", campaign_id: str, sending: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert line_of(admin, "public channel") == {
        "name": "public channel", "ok": True, "warning": False, "detail": "sent by simulator",
    }  # fmt: skip
    monkeypatch.setenv(variable_of("environment"), "production")
    line = line_of(admin, "public channel")
    assert line is not None
    assert (line["ok"], line["warning"]) == (True, True)
    assert "SFTP_GATEWAY_SENDING__PUBLIC__PROVIDER" in line["detail"]
    assert "\nwarn    public channel" in admin("check").out
    admin("campaign", "suspend", campaign_id)
    assert line_of(admin, "public channel") is None


def test_a_public_account_that_is_not_whole_is_named(
    admin: "Call", campaign_id: str, sending: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable_of("sending.public.provider"), "twilio")
    monkeypatch.setenv(variable_of("sending.twilio.account_sid"), "AC" + "0" * 32)
    line = line_of(admin, "public channel")
    assert line is not None
    assert not line["ok"]
    assert "SFTP_GATEWAY_SENDING__TWILIO__ACCOUNT_SID" in line["detail"]


@pytest.mark.parametrize(
    ("environment", "part", "warned"),
    [
        ("production", None, True),
        ("production", "sender", True),
        ("production", "front", False),
        ("test", None, False),
    ],
)
def test_a_simulator_in_production_is_a_warning_as_it_charges(
    admin: "Call", monkeypatch: pytest.MonkeyPatch, environment: str, part: str | None, warned: bool
) -> None:
    monkeypatch.setenv(variable_of("environment"), environment)
    monkeypatch.setenv(variable_of("sending.public.provider"), "simulator")
    answer = admin("check", "--json", *(["--part", part] if part else []))
    lines = [line for line in answer.document["checks"] if line["name"] == "billing"]
    assert [(line["ok"], line["warning"]) for line in lines] == [(True, True)] * warned


def test_internal_campaigns_without_an_account_are_a_warning_that_names_three(
    admin: "Call", sending: None
) -> None:
    for number in range(5):
        make_campaign(admin, "--channel", "internal", "--id", f"staff-{number}")
    line = line_of(admin, "internal channel")
    assert line is not None
    assert (line["ok"], line["warning"]) == (True, True)
    assert line["detail"] == "messages wait for `campaign twilio` of staff-4, staff-3, staff-2, 2 more"


def test_a_wrong_key_and_an_unreadable_secret_are_named(
    admin: "Call", sending: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = variable_of("secrets.key")
    monkeypatch.setenv(key, base64.b64encode(os.urandom(32)).decode())
    make_campaign(admin, "--id", "staff-1", *account("1"))
    monkeypatch.delenv(key)
    line = line_of(admin, "secrets")
    assert line is not None
    assert (line["ok"], "SFTP_GATEWAY_SECRETS__KEY is not set" in line["detail"]) == (False, True)
    monkeypatch.setenv(key, base64.b64encode(os.urandom(32)).decode())
    line = line_of(admin, "secrets")
    assert line is not None
    assert "SFTP_GATEWAY_SECRETS__KEY is not the key" in line["detail"]
    assert admin("secrets", "rotate", "--old-key-lost", "--yes").status == 0
    line = line_of(admin, "internal channel")
    assert line is not None
    assert not line["ok"]
    assert line["detail"].startswith("the Twilio API secret of campaign staff-1 can't be read")


def test_a_public_channel_whose_callbacks_must_be_signed_needs_a_key(
    admin: "Call", campaign_id: str, sending: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable_of("sending.public.provider"), "twilio")
    assert line_of(admin, "secrets") is None
    monkeypatch.setenv(CALLBACKS, "http://127.0.0.1:9")
    line = line_of(admin, "secrets")
    assert line is not None
    assert (line["ok"], "SFTP_GATEWAY_SECRETS__KEY is not set" in line["detail"]) == (False, True)
    monkeypatch.setenv(variable_of("secrets.key"), base64.b64encode(os.urandom(32)).decode())
    assert line_of(admin, "secrets") is None


def test_each_messaging_service_in_use_is_looked_up(
    admin: "Call", campaign_id: str, sending: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable_of("secrets.key"), base64.b64encode(os.urandom(32)).decode())
    make_campaign(admin, "--id", "staff-1", *account("0"))
    with twilio_server() as twilio:
        twilio.behave(secret="hushhushhushhush")
        monkeypatch.setenv(variable_of("sending.twilio.base_url"), twilio.base_url)
        knows = line_of(admin, "internal channel")
        assert knows is not None
        assert knows["detail"] == "sent by twilio, which knows each campaign's messaging service"
        make_campaign(admin, "--id", "staff-2", *account("1"))
        wrong = line_of(admin, "internal channel")
        assert wrong is not None
        assert not wrong["ok"]
        assert wrong["detail"].startswith("campaign staff-2: Twilio refuses the API key")
        monkeypatch.setenv(variable_of("sending.public.provider"), "twilio")
        for name, value in {"account_sid": "AC", "key_sid": "SK", "service_sid": "MG"}.items():
            monkeypatch.setenv(variable_of(f"sending.twilio.{name}"), value + "0" * 32)
        monkeypatch.setenv(variable_of("sending.twilio.key_secret"), "hushhushhushhush")
        public = line_of(admin, "public channel")
        assert public is not None
        assert public["detail"] == "sent by twilio, which knows the messaging service"
        assert "hush" not in admin("check").out
    away = line_of(admin, "internal channel")
    assert away is not None
    assert "Twilio can't be reached" in away["detail"]

"""Settings that would send secrets or personal data in plain text, or let links die early, are found, and stop a node."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings, load_settings
from gateway.ops.exposure import find_exposures
from tests.gateway.nodes import Node, call, wait_until

Variables = dict[str, str]


@pytest.fixture
def settings_with(gateway_variables: Variables, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """The settings with changed variables."""

    def read(**changes: str) -> Settings:
        for name, value in gateway_variables.items():
            monkeypatch.setenv(name, value)
        for name, value in changes.items():
            monkeypatch.setenv(f"SFTP_GATEWAY_{name}", value)
        return load_settings(None)

    return read


FAR = "postgresql://u:p@db.agency.example:5432/x"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({}, None, id="all on loopback"),
        pytest.param({"S3__ENDPOINT_URL": "http://s3.example"}, "S3__ENDPOINT_URL", id="plain bucket"),
        pytest.param({"S3__ENDPOINT_URL": "https://s3.example"}, None, id="secured bucket"),
        pytest.param({"S3__ENDPOINT_URL": "http://s3.example", "S3__ALLOW_PLAINTEXT": "true"}, None, id="allowed bucket"),
        pytest.param({"S3__LINK_ENDPOINT_URL": "http://s3.example"}, "S3__LINK_ENDPOINT_URL", id="plain links"),
        pytest.param({"S3__PUBLIC_BASE_URL": "http://files.example"}, "S3__PUBLIC_BASE_URL", id="plain public links"),
        pytest.param({"DATABASE__URL": FAR}, "DATABASE__URL", id="plain database"),
        pytest.param({"DATABASE__URL": f"{FAR}?sslmode=require"}, "DATABASE__URL", id="unverified database"),
        pytest.param({"DATABASE__URL": f"{FAR}?sslmode=verify-full"}, None, id="verified database"),
        pytest.param({"DATABASE__URL": "postgresql://u:p@127.0.0.1,db.example/x"}, "DATABASE__URL", id="one of two far"),
        pytest.param({"DATABASE__URL": "postgresql:///x?host=db.example"}, "DATABASE__URL", id="host in the query"),
        pytest.param({"DATABASE__URL": "postgresql://u:p@[::1]:5432/x"}, None, id="IPv6 loopback"),
        pytest.param({"DATABASE__URL": FAR, "DATABASE__ALLOW_PLAINTEXT": "true"}, None, id="allowed database"),
        pytest.param({"SMTP__HOST": "mail.example", "SMTP__SECURITY": "none"}, "SMTP__SECURITY", id="plain mail"),
        pytest.param({"SMTP__HOST": "m.io", "SMTP__SECURITY": "none", "SMTP__ALLOW_PLAINTEXT": "1"}, None, id="allowed mail"),
        pytest.param({"SMTP__HOST": "mail.example"}, None, id="mail demands TLS by itself"),
        pytest.param({"S3__SESSION_TOKEN": "t"}, "ALLOW_TEMPORARY_CREDENTIALS", id="session token"),
        pytest.param({"S3__ACCESS_KEY_ID": "ASIAEXAMPLEEXAMPLE00"}, "ALLOW_TEMPORARY_CREDENTIALS", id="temporary key"),
        pytest.param({"S3__SESSION_TOKEN": "t", "S3__ALLOW_TEMPORARY_CREDENTIALS": "1"}, None, id="allowed temporary"),
        pytest.param({"API__HOST": "0.0.0.0"}, "API__TLS_CERTIFICATE", id="plain callbacks"),
        pytest.param({"API__HOST": "::1"}, None, id="callbacks on loopback"),
        pytest.param({"API__HOST": "::", "API__TLS_CERTIFICATE": "/c", "API__TLS_KEY": "/k"}, None, id="callbacks by TLS"),
        pytest.param({"API__HOST": "::", "API__TRUSTED_PROXIES": "192.0.2.7"}, None, id="callbacks through a TLS front"),
        pytest.param({"CONSOLE__HOST": "0.0.0.0"}, "CONSOLE__TLS_CERTIFICATE", id="plain console"),
        pytest.param({"CONSOLE__HOST": "::", "CONSOLE__TLS_CERTIFICATE": "/c", "CONSOLE__TLS_KEY": "/k"}, None, id="by TLS"),
        pytest.param({"CONSOLE__HOST": "::", "CONSOLE__TRUSTED_PROXIES": "192.0.2.7"}, None, id="console by a front"),
    ],
)  # fmt: skip
def test_exposures_are_found(
    settings_with: Callable[..., Settings], changes: Variables, found: str | None
) -> None:
    lines = list(find_exposures(settings_with(**changes)))
    if found is None:
        assert lines == []
    else:
        assert len(lines) == 1
        assert f"SFTP_GATEWAY_{found}" in lines[0] or found in lines[0]
        assert re.search(r"SFTP_GATEWAY_\w+__(ALLOW_\w+|TRUSTED_PROXIES) allows", lines[0])


@pytest.mark.parametrize(
    "variable", ["SENDING__TWILIO__BASE_URL", "SENDING__TWILIO__CALLBACK_BASE_URL", "CONSOLE__URL"]
)
def test_an_address_in_clear_is_on_loopback_alone(
    settings_with: Callable[..., Settings], variable: str
) -> None:
    for near in (
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://localhost",
        "https://sms.agency.example",
    ):
        assert list(find_exposures(settings_with(**{variable: near}))) == []
    (line,) = find_exposures(settings_with(**{variable: "http://sms.agency.example"}))
    assert line == f"SFTP_GATEWAY_{variable} is plain http:// beyond loopback: use https://"


@pytest.mark.parametrize("command", ["run", "sftpd", "worker"])
def test_no_node_starts_with_an_exposure(gateway_variables: Variables, command: str) -> None:
    exposed = {**gateway_variables, "SFTP_GATEWAY_S3__SESSION_TOKEN": "hush-hush"}
    errors = call(exposed, command, status=2)
    assert len(errors.splitlines()) == 1
    assert "SFTP_GATEWAY_S3__ALLOW_TEMPORARY_CREDENTIALS allows them" in errors
    assert "hush" not in errors


def test_a_reload_into_an_exposure_changes_nothing(
    start_node: Callable[..., Node], tmp_path: Path, good_file: Path
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text("")
    node = start_node("run", "--config", str(config))
    config.write_text("[s3]\nsession_token = 'hush-hush'\n")
    node.process.send_signal(signal.SIGHUP)
    wait_until(lambda: bool(node.events("reload_refused")), "reload_refused")
    cause = str(node.events("reload_refused")[0]["reason"])
    assert "SFTP_GATEWAY_S3__ALLOW_TEMPORARY_CREDENTIALS" in cause
    assert "hush" not in cause
    assert node.upload(good_file) == 0

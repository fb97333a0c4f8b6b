"""The demo's gateway: `sftp-gateway run` as a child process, with its settings in a file."""

import contextlib
import http.client
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from config.settings import PREFIX
from gateway.embedded.server_process import ServerProcess
from gateway.processes.child_handle import python_environment

CONFIG_NAME = "gateway.toml"
LOG_NAME = "gateway.log"


def write_config(folder: Path, variables: Mapping[str, str]) -> Path:
    """The settings given as environment variables, as a TOML file, mode 0600."""
    sections: dict[str, dict[str, str]] = {}
    top: dict[str, str] = {}
    for variable, value in variables.items():
        section, _, name = variable.removeprefix(PREFIX).lower().rpartition("__")
        (sections.setdefault(section, {}) if section else top)[name] = value
    lines = [f"{name} = {_toml(value)}" for name, value in top.items()]
    for section, values in sections.items():
        lines += ["", f"[{section}]", *(f"{name} = {_toml(value)}" for name, value in values.items())]
    path = folder / CONFIG_NAME
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


@contextlib.contextmanager
def without_settings() -> Iterator[None]:
    """Take the gateway's variables out of this process's environment meanwhile: the demo's file alone has its settings."""
    hidden = {name: value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextlib.contextmanager
def running_node(config: Path, ops_port: int) -> Iterator[ServerProcess]:
    """Start the process tree and wait until it is ready; at the end drain it. Raises EmbeddedError with its last words."""
    with without_settings():
        environment = python_environment(os.environ)
    node = ServerProcess(
        "gateway",
        [sys.executable, "-P", "-m", "gateway", "--config", config, "run"],
        log=config.with_name(LOG_NAME),
        environment=environment,
    )
    try:
        node.wait_until_ready(lambda: _is_ready(ops_port), timeout=60)
        yield node
    finally:
        node.stop(timeout=60)


def _is_ready(ops_port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", ops_port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _toml(value: str) -> str:
    return value if value.isdecimal() else json.dumps(value, ensure_ascii=False)

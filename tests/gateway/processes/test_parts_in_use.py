"""Which parts a node runs: those that the settings switch on, and a part alone whatever they say."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings
from gateway.processes.parts import API, FRONT, PARTS, WORKER, Part, parts_in_use
from tests.gateway.nodes import Node, wait_until


@pytest.mark.parametrize(
    ("parts", "processes", "expected"),
    [
        pytest.param([API, WORKER, FRONT], 0, [WORKER, FRONT], id="of several, one that is off is left out"),
        pytest.param([API, WORKER, FRONT], 2, [API, WORKER, FRONT], id="of several, all that are on"),
        pytest.param([API], 0, [API], id="alone, though off"),
    ],
)
def test_a_node_runs_what_is_switched_on(
    settings: Settings, parts: list[Part], processes: int, expected: list[Part]
) -> None:
    api = settings.api.model_copy(update={"processes": processes})
    assert parts_in_use(parts, settings.model_copy(update={"api": api})) == expected


def test_a_part_that_uploads_need_is_no_other_than_worker_and_front() -> None:
    assert {part for part in PARTS if part.uploads_need_it} == {WORKER, FRONT}


def test_a_reload_that_would_switch_a_part_on_is_refused(
    start_node: Callable[..., Node], tmp_path: Path
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text("")
    node = start_node("run", "--config", str(config))
    assert node.events("node_ready")[0]["parts"] == ["worker", "front"]
    config.write_text("[api]\nprocesses = 1\n")
    node.process.send_signal(signal.SIGHUP)
    wait_until(lambda: bool(node.events("reload_refused")), "reload_refused")
    assert "api would be switched on or off" in str(node.events("reload_refused")[0]["reason"])


def test_the_api_alone_has_a_process_and_is_ready_without_one(start_node: Callable[..., Node]) -> None:
    node = start_node("api", SFTP_GATEWAY_API__PORT="0")
    assert node.events("node_ready")[0]["parts"] == ["api"]
    assert len(node.children("api")) == 1
    wait_until(lambda: node.away() == (200, []), "ready, once each dependency was looked at")
    node.children("api")[0].suspend()
    node.children("api")[0].kill()
    wait_until(lambda: node.away() == (200, ["api"]), "told, and ready all the same")

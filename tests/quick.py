"""`make quick`: only the tests that need no server, no browser and no client program, as a plugin of pytest.

A test says what it needs by its fixtures. A few folders and modules start whole stacks by themselves, and are named here. What is
missing from both fails, rather than make this slow by and by: no server's program can be started.
"""

import sys
from pathlib import Path
from typing import Final

import pytest

_FIXTURES: Final = frozenset(
    {"postgres", "own_postgres", "s3", "own_s3", "mailbox", "chromium", "host_keys_once"}
)
_STACKS: Final = (
    "benchmarks/test_capacity_measures.py",
    "chaos",
    "clients",
    "database/failover",
    "database/test_upgrade.py",
    "database/test_upgrade_sending.py",
    "gateway/demo",
    "gateway/embedded",
    "gateway/test_api_leaks.py",
    "gateway/test_nothing_leaks.py",
    "gateway/test_sending_leaks.py",
)
_PROGRAMS: Final = frozenset({"postgres", "initdb", "rclone", "chromium", "sshd"})
_HERE: Final = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left = [item for item in items if _needs_a_server(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if not _needs_a_server(item)]


def _needs_a_server(item: pytest.Item) -> bool:
    path = item.path.relative_to(_HERE)
    return not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ())) or any(
        path.is_relative_to(named) for named in _STACKS
    )


def _refuse_servers(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and Path(str(arguments[0])).name in _PROGRAMS:
        raise RuntimeError(f"`make quick` starts no {arguments[0]}: see tests/quick.py")


sys.addaudithook(_refuse_servers)

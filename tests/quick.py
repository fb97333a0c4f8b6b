"""`make quick`: only the tests that need no server, no browser and no client program, as a plugin of pytest.

A test says what it needs by its fixtures. A few folders and modules start whole stacks or processes by themselves, or try what
uploads of many megabytes cost; they are named here, and aren't even read. What is missing from both fails, rather than make this
slow by and by: no server's program can be started. What hypothesis makes up is tried with fewer examples than by `make test`.
"""

import sys
from pathlib import Path
from typing import Final

import hypothesis
import pytest

_FIXTURES: Final = frozenset(
    {"postgres", "own_postgres", "s3", "own_s3", "mailbox", "chromium", "host_keys_once"}
)
_LEFT_OUT: Final = frozenset(
    {
        # Whole stacks, and servers of other makers.
        "benchmarks/test_capacity_measures.py",
        "benchmarks/test_growth.py",
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
        "processing/stores",
        "sending/providers/smpp/test_aggregator_answers.py",
        "sending/providers/smpp/test_aggregator_links.py",
        "sending/providers/smpp/test_aggregator_receipts.py",
        # Processes of ours, of OpenSSH and of pytest.
        "test_steady.py",
        "keys/test_public_keys.py",
        "sftpd/session/test_fuzz_packets.py",
        "sftpd/session/test_whole_files.py",
        "sftpd/spool/test_spool.py",
        "processing/verdicts/test_process.py",
        # Uploads and reports of 30 MB.
        "processing/columns/test_report.py",
        "processing/reference/test_fuzz_bytes.py",
    }
)
_PROGRAMS: Final = frozenset({"postgres", "initdb", "rclone", "chromium", "sshd"})
# Of a hundred examples of hypothesis.
_EXAMPLES: Final = 25
_HERE: Final = Path(__file__).parent


def pytest_configure() -> None:
    hypothesis.settings.register_profile(
        "quick", parent=hypothesis.settings.get_profile("gateway"), max_examples=_EXAMPLES
    )
    hypothesis.settings.load_profile("quick")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return collection_path.as_posix().removeprefix(f"{_HERE.as_posix()}/") in _LEFT_OUT or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left: list[pytest.Item] = []
    kept: list[pytest.Item] = []
    for item in items:
        needs_none = _FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        (kept if needs_none else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def _refuse_servers(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and Path(str(arguments[0])).name in _PROGRAMS:
        raise RuntimeError(f"`make quick` starts no {arguments[0]}: see tests/quick.py")


sys.addaudithook(_refuse_servers)

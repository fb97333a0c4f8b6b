"""A plugin of pytest for the run that each mutant has: the fast tests first, and servers that outlive the run.

`python -m tests.mutation` starts PostgreSQL and names its folder in the environment. Without that variable the fixtures of
tests/conftest.py start servers as ever.
"""

import contextlib
import json
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

import pytest
from _pytest.fixtures import SubRequest

from gateway.embedded.postgres import PostgreSQLServer, _find_programs
from gateway.embedded.s3 import S3Server

FOLDER: Final = "GATEWAY_MUTATION_SERVERS"
TEMPLATE: Final = "gateway_template"


class RunningPostgreSQL(PostgreSQLServer):
    """A server that another process runs."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._programs = _find_programs()


def shared_postgres(folder: Path) -> PostgreSQLServer:
    """The server whose folder this is."""
    return RunningPostgreSQL(folder, int((folder / "port").read_text()))


# No test of the groups stores anything in S3: its fixture only has to lead somewhere.
_SHARED: Final[dict[str, Callable[[Path], object]]] = {
    "postgres": shared_postgres,
    "template_database": lambda folder: TEMPLATE,
    "s3": lambda folder: S3Server(folder / "s3", 9),
}


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: SubRequest) -> object | None:
    folder, make = os.environ.get(FOLDER), _SHARED.get(fixturedef.argname)
    if folder is None or make is None:
        return None
    value = make(Path(folder))
    fixturedef.cached_result = (value, fixturedef.cache_key(request), None)
    return value


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(args: list[str]) -> None:
    """Have whole functions run where single cases are asked for: pytest takes not every name of a case, such as one with `::`."""
    cases = {argument for argument in args if argument.startswith("tests/") and "[" in argument}
    others = [argument for argument in args if argument not in cases]
    args[:] = [*others, *sorted({case.partition("[")[0] for case in cases})]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fast tests first, by the times that mutmut measured without a mutant: most mutants are killed by one of them."""
    seconds: dict[str, float] = {}
    with contextlib.suppress(FileNotFoundError):
        seconds = json.loads(Path("mutmut-stats.json").read_text())["duration_by_test"]
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> Generator[None]:
    """Count what pytest finds at its very end, such as a socket that nobody closed, as a failed test.

    pytest raises it instead of returning an exit code, which mutmut would take for a run without a verdict.
    """
    try:
        yield
    except (ExceptionGroup, pytest.PytestUnraisableExceptionWarning):
        session = config.pluginmanager.get_plugin("session")
        if not isinstance(session, pytest.Session):
            raise
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

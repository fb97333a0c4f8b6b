"""Tries the mutants of the database's own functions: each is put into the template of the tests' databases, and the tests run."""

import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from gateway.embedded.postgres import PostgreSQLServer
from gateway.errors import EmbeddedError
from tests.mutation.groups import SQLGroup
from tests.mutation.plugin import FOLDER, TEMPLATE, shared_postgres
from tests.mutation.servers import open_servers
from tests.mutation.sql_mutants import SQLMutant, sql_mutants
from tests.mutation.work_folder import FOLDER as WORK
from tests.mutation.work_folder import SEED, Score

# Plugins of pytest that are loaded here already can't get its assertions any more, and need none.
_OPTIONS: Final = (
    "-x", "-q", "-p", "tests.mutation.plugin", "-p", "no:cacheprovider", "--timeout=60",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip


def try_functions(group: SQLGroup, only: Sequence[str]) -> Score:
    """Try those that `only` names, and else a sample; the score of those that are valid SQL."""
    with open_servers(True) as variables:
        os.environ.update(variables)
        server = shared_postgres(Path(variables[FOLDER]))
        definitions = {function: _definition(server, function) for function in group.functions}
        made = [mutant for function, text in definitions.items() for mutant in sql_mutants(function, text)]
        chosen = [mutant for mutant in made if mutant.name in only] or made
        if not only and group.sample < len(made):
            chosen = sorted(random.Random(SEED).sample(made, group.sample), key=lambda mutant: mutant.name)
        # Each run is forked from here, where the modules are loaded and no test has run.
        if pytest.main([*group.tests, "--collect-only", "-qq", *_OPTIONS]) or _run_tests(group):
            sys.exit(f"the tests of {group.name} fail without a mutant")
        codes: list[tuple[SQLMutant, int]] = []
        for mutant in chosen:
            try:
                server.run_sql(mutant.text, TEMPLATE)
            except EmbeddedError:
                continue
            codes.append((mutant, _run_tests(group)))
            server.run_sql(definitions[mutant.name.partition(":")[0]], TEMPLATE)
            print(f"{len(codes)} {mutant.name} {'survived' if not codes[-1][1] else 'killed'}", flush=True)
    survivors = [mutant for mutant, code in codes if code == 0]
    folder = WORK / group.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "survivors.txt").write_text(
        "".join(f"# {mutant.name}\n{mutant.where}\n{mutant.what}\n\n" for mutant in survivors),
        encoding="utf-8",
    )
    return Score(
        group=group.name,
        made=len(made),
        killed=sum(code == pytest.ExitCode.TESTS_FAILED for _, code in codes),
        timed_out=0,
        survived=tuple(mutant.name for mutant in survivors),
        untested=(),
        unclear=tuple(mutant.name for mutant, code in codes if code not in (0, pytest.ExitCode.TESTS_FAILED)),
    )


def _definition(server: PostgreSQLServer, function: str) -> str:
    return server.run_sql(f"select pg_get_functiondef('{function}'::regproc)", TEMPLATE)


def _run_tests(group: SQLGroup) -> int:
    """The exit code of pytest in a process of its own."""
    pid = os.fork()
    if pid == 0:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        os._exit(int(pytest.main([*group.tests, *_OPTIONS])))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

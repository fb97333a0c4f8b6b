"""The folder in which mutmut works on one group, and what it has found there."""

import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutation.groups import Group
from tests.mutation.servers import open_servers

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / ".mutation"
SEED: Final = 17
# What mutmut copies beside the rooms: it copies `tests` by itself.
_BESIDE: Final = ("tools", "benchmarks", "docs")
# How mutmut's exit codes are counted here; a mutant that makes its tests endless is seen by them. No test at all notices nothing.
_KILLED: Final = frozenset({1, 3})
_TIMED_OUT: Final = frozenset({-24, 24, 36, 152})
_NO_TESTS: Final = frozenset({5, 33})
_CLEAR: Final = frozenset({0}) | _KILLED | _TIMED_OUT | _NO_TESTS


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the mutants of a group, each by its name."""

    group: str
    made: int
    killed: int
    timed_out: int
    survived: tuple[str, ...]
    untested: tuple[str, ...]
    unclear: tuple[str, ...]

    @property
    def tried(self) -> int:
        return self.killed + self.timed_out + len(self.survived) + len(self.untested) + len(self.unclear)

    @property
    def percent(self) -> float:
        """Of those that were tried. A mutant that no test calls counts as one that survived, and so does a crash of the tests."""
        return 100 * (self.killed + self.timed_out) / self.tried


class WorkFolder:
    """One group's folder: links to the code, mutmut's settings, and its folder `mutants` with the mutated copy."""

    def __init__(self, group: Group) -> None:
        self.group: Final = group
        self.path: Final = FOLDER / group.name

    def prepare(self) -> None:
        """Make it anew."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        rooms = _rooms()
        for name in (*rooms, "tests", *_BESIDE):
            (self.path / name).symlink_to(ROOT / name)
        (self.path / "pyproject.toml").write_text(settings + self._settings(rooms), encoding="utf-8")

    def _settings(self, rooms: list[str]) -> str:
        # A forked process may not use the threads that Polars and asyncio had before: all are forked from one that ran no test.
        values = {
            "source_paths": rooms,
            "only_mutate": [str(module) for module in self._modules()],
            "also_copy": list(_BESIDE),
            "process_isolation": "forkserver",
            "timeout_multiplier": 4.0,
            "timeout_constant": self.group.allowance / 4.0,
            "pytest_add_cli_args": self._plugins(),
            "pytest_add_cli_args_test_selection": list(self.group.tests),
        }  # fmt: skip
        return "\n[tool.mutmut]\n" + "".join(
            f"{key} = {json.dumps(value)}\n" for key, value in values.items()
        )

    def _modules(self) -> list[Path]:
        found = (
            path for pattern in self.group.modules for path in ROOT.glob(pattern.replace("/*", "/**/*.py"))
        )
        return sorted(path.relative_to(ROOT) for path in found)

    def mutants(self) -> list[str]:
        """The names of all mutants there are."""
        return self._run("tests.mutation.mutants", "list", *map(str, self._modules())).split()

    def show(self, names: Sequence[str]) -> str:
        """These mutants, as differences."""
        return self._run("tests.mutation.mutants", "show", *names) if names else ""

    def try_mutants(self, made: Sequence[str], only: Sequence[str], processes: int) -> Score:
        """Try those that `only` names, and else a sample or all of them; the score of those."""
        names = list(only)
        if not only and self.group.sample is not None and self.group.sample < len(made):
            names = sorted(random.Random(SEED).sample(made, self.group.sample))
        with open_servers(self.group.servers) as variables:
            subprocess.run(
                [sys.executable, "-m", "mutmut", "run", "--max-children", str(processes), *names],
                cwd=self.path, env={**os.environ, **variables}, check=True,
            )  # fmt: skip
            tried = self.exit_codes()
            for name in self._surely_called_by_others(tried):
                tried[name] = self._try_again(name, variables)
        return self.score(len(made), tried)

    def exit_codes(self) -> dict[str, int]:
        """mutmut's exit code for each mutant that it has tried."""
        codes: dict[str, int | None] = {}
        for path in (self.path / "mutants").rglob("*.py.meta"):
            codes.update(json.loads(path.read_text())["exit_code_by_key"])
        return {name: code for name, code in codes.items() if code is not None}

    def _surely_called_by_others(self, tried: dict[str, int]) -> list[str]:
        """Those left whose function one test seems to call at most.

        What is called when its module is imported, or keeps its answers, is called before a test or in the first one alone; and
        each process of mutmut's has imported the modules before it has a mutant.
        """
        stats = json.loads((self.path / "mutants" / "mutmut-stats.json").read_text())
        tests = stats["tests_by_mangled_function_name"]
        left = [name for name, code in tried.items() if code == 0 or code in _NO_TESTS]
        return [name for name in left if len(tests.get(name.rpartition("__mutmut_")[0], ())) <= 1]

    def _try_again(self, mutant: str, variables: dict[str, str]) -> int:
        """The exit code of the tests that are named for the mutant's module, or of all, in a process that begins with it."""
        module = mutant.split(".x", 1)[0].rpartition(".")[2]
        named = [
            str(path.relative_to(self.path))
            for test in self.group.tests for path in (self.path / test).rglob(f"test_{module}.py")
        ]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", *self._plugins(), *(named or self.group.tests)],
            cwd=self.path / "mutants", env={**os.environ, **variables, "MUTANT_UNDER_TEST": mutant},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return done.returncode

    def _plugins(self) -> list[str]:
        quick = [] if self.group.servers else ["-p", "tests.quick"]
        return ["-p", "tests.mutation.plugin", "-p", "no:cacheprovider", *quick]

    def score(self, made: int, tried: dict[str, int]) -> Score:
        """The score of so many of those that were made."""
        return Score(
            group=self.group.name,
            made=made,
            killed=sum(code in _KILLED for code in tried.values()),
            timed_out=sum(code in _TIMED_OUT for code in tried.values()),
            survived=tuple(name for name, code in tried.items() if code == 0),
            untested=tuple(name for name, code in tried.items() if code in _NO_TESTS),
            unclear=tuple(name for name, code in tried.items() if code not in _CLEAR),
        )

    def _run(self, module: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.path, stdout=subprocess.PIPE, encoding="utf-8", check=True,
        )  # fmt: skip
        return done.stdout


def _rooms() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    rooms: list[str] = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return rooms

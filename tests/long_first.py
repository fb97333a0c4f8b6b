"""Deals the tests to the processes of a run so that none is left alone at the end with the long ones.

pytest-xdist gives each process an equal part of the list, in the list's order, and lets who has finished take from the ends of
others'. Half of the processes begin with long tests, the longest first. They wait a lot, for processes that start and for
services that come back, and the others' short ones use the processor meanwhile.
"""

import os
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

# Besides modules with a time-out of their own: they start processes, or a browser, in most of their tests.
_LONG: Final = ("console/browser", "gateway/demo", "gateway/processes", "gateway/test_systemd.py")
_HERE: Final = Path(__file__).parent


def deal(items: list[pytest.Item]) -> None:
    """Order the items in place. All of a module stay together, as they share what they start."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes < 2:
        return
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    seconds = {path: _seconds_of(path, members) for path, members in modules.items()}
    long = sorted((path for path in modules if seconds[path]), key=lambda path: -seconds[path])
    short = list(chain.from_iterable(modules[path] for path in modules if not seconds[path]))
    begin_long = max(1, processes // 2)
    ordered: list[pytest.Item] = []
    for number in range(processes):
        # As many as pytest-xdist will give to this process.
        many = (len(items) - len(ordered)) // (processes - number)
        own = (
            [item for path in long[number::begin_long] for item in modules[path]]
            if number < begin_long
            else []
        )
        rest = max(0, many - len(own))
        ordered += own + short[:rest]
        del short[:rest]
    items[:] = ordered + short


def _seconds_of(path: Path, members: list[pytest.Item]) -> float:
    """The longest time-out of a module that has its own; a second for others that are long; else 0."""
    own = [marker.args[0] for item in members if (marker := item.get_closest_marker("timeout"))]
    named = path.is_relative_to(_HERE) and path.relative_to(_HERE).as_posix().startswith(_LONG)
    return float(max(own, default=1 if named else 0))

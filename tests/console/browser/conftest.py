"""The browser that the tests of this folder drive; without one they are skipped, saying so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.browser.chromium import PROGRAM, chromium_process


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of this run's Chromium."""
    if PROGRAM is None:
        pytest.skip("chromium is not installed")
    folder: Path = tmp_path_factory.mktemp("chromium")
    with chromium_process(folder) as address:
        yield address

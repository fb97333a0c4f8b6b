"""What is installed is chosen beforehand: every requirement has one version and hashes, and the pages install by them."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKED = sorted((ROOT / "requirements").glob("*.txt"))
PAGES = [ROOT / "Makefile", *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]


def pinned(path: Path) -> dict[str, str]:
    """Each requirement's name and version. A line that pins none fails."""
    found = {}
    for block in re.split(r"\n(?=\S)", path.read_text()):
        head, *rest = block.split("\n")
        match = re.match(r"([a-z0-9-]+)(?:\[[a-z0-9,]+\])?==([\w.!+]+)(?: ; .*)? \\$", head)
        assert match is not None, head
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", "\n".join(rest)), head
        found[match[1]] = match[2]
    return found


@pytest.mark.parametrize("path", LOCKED, ids=lambda path: path.stem)
def test_every_requirement_has_one_version_and_its_hashes(path: Path) -> None:
    assert pinned(path)


def test_what_builds_the_wheel_is_pinned_as_it_is_for_the_tests() -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    build, development = (pinned(ROOT / "requirements" / f"{name}.txt") for name in ("build", "development"))
    assert set(required) <= set(build)
    assert build.items() <= development.items()
    assert "uv" in pinned(ROOT / "requirements" / "lock.txt")


def installing_lines(path: Path) -> list[str]:
    text = path.read_text().replace("\\\n", " ")
    return re.findall(r"^.*\bpip (?:install|wheel)\b.*$", text, re.MULTILINE)


def test_lines_that_install_are_found_where_they_are() -> None:
    assert {path.name for path in PAGES if installing_lines(path)} >= {"Makefile", "ops-runbook.md"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_nothing_is_installed_without_hashes_or_built_in_isolation(path: Path) -> None:
    for line in installing_lines(path):
        is_built = "--no-deps" in line and "--no-build-isolation" in line
        assert "--require-hashes" in line or is_built, line

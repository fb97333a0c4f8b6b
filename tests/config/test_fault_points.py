"""Fault points: each one that is named is reached by the program, and the page on reliability tells what happens there."""

import re
from pathlib import Path

from config.fault_points import POINTS

ROOT = Path(__file__).parents[2]


def test_the_program_reaches_the_named_points_and_no_others() -> None:
    programs = [
        path.read_text(encoding="utf-8")
        for room in ("sftpd", "api", "processing", "sending", "notifications", "billing")
        for path in (ROOT / room).rglob("*.py")
    ]
    reached = {point for text in programs for point in re.findall(r'\breach\("([^"]+)"\)', text)}
    assert reached == set(POINTS)


def test_the_page_on_reliability_walks_through_the_named_points() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\| [^|]*`([a-z]+\.[a-z_]+)` \|", page, flags=re.MULTILINE)
    # Some are on two ways: an upload's and a batch send's.
    assert set(steps) == set(POINTS)

"""The pages written by the code: they are what the code says now, and leave nothing out."""

from functools import cache
from html import unescape
from pathlib import Path

import pytest

from config.settings import setting_names, variable_of
from rules.codes import FindingCode
from tests.gateway.nodes import ROOT
from tools.docs_reference import PAGES, write_pages
from tools.reason_examples import example_of


@cache
def lines_of(name: str) -> list[str]:
    return PAGES[name]().splitlines()


@pytest.mark.parametrize("name", list(PAGES))
def test_the_page_in_docs_is_what_the_code_says(name: str, tmp_path: Path) -> None:
    write_pages(tmp_path)
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == (tmp_path / name).read_text(encoding="utf-8"), "run `make docs`"


@pytest.mark.parametrize("name", list(setting_names()))
def test_every_setting_has_one_row_and_a_description(name: str) -> None:
    (row,) = [line for line in lines_of("settings.md") if f"| `{variable_of(name)}` |" in line]
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert len(cells) == 4
    assert all(cells)


@pytest.mark.parametrize("code", FindingCode)
def test_every_reason_has_a_row_with_the_rules_own_words(code: FindingCode) -> None:
    (row,) = [line for line in lines_of("reasons.md") if line.startswith(f"| `{code}` |")]
    assert unescape(row).endswith(f"| {example_of(code).text} |")

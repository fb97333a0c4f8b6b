"""docs/architecture.md tells where each fact stands. Its claims are looked up in the code here."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "root_packages"
]
INSTALLED: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
    "targets"
]["wheel"]["packages"]
# `update … set` is told from `on conflict … do update set` and from `for update` by the name that must follow.
WRITES = re.compile(
    r"\b(?:insert\s+into|update|delete\s+from|truncate(?:\s+table)?|copy)\s+(?:only\s+)?\"?(\w+)\"?",
    re.IGNORECASE,
)
# Tables that are written by COPY through asyncpg, whose call names the table in Python.
COPIES = re.compile(r"copy_to_table\(\s*\"(\w+)\"")


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def created_tables() -> set[str]:
    sources = [*(ROOT / "database").rglob("*.sql")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    return set(re.findall(r"^create (?:unlogged )?table (?:if not exists )?(\w+)", text, re.MULTILINE))


def documented_writers() -> dict[str, set[str]]:
    """Each table of the page, with the modules that it names as writers, without their suffix."""
    writers: dict[str, set[str]] = {}
    for first, last in re.findall(r"^\| (`.*?) \| .*? \| (.*?) \|$", section("Tables"), re.MULTILINE):
        modules = {path.rpartition(".")[0] for path in re.findall(r"`([\w/]+\.(?:py|sql))`", last)}
        for table in re.findall(r"`(\w+)`", first):
            writers[table] = modules
    return writers


def writers_in_the_code() -> dict[str, set[str]]:
    """Each table, with the modules whose SQL changes it, without their suffix; migrations change them all."""
    found: dict[str, set[str]] = {}
    for room in INSTALLED:
        for path in (ROOT / room).rglob("*"):
            if path.suffix not in (".sql", ".py") or "migrations" in path.parts:
                continue
            text = path.read_text(encoding="utf-8")
            pattern = WRITES if path.suffix == ".sql" else COPIES
            code = re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE) if path.suffix == ".sql" else text
            for table in pattern.findall(code):
                found.setdefault(table, set()).add(str(path.relative_to(ROOT).with_suffix("")))
    return found


def test_each_path_of_the_page_exists() -> None:
    names = set(re.findall(rf"`((?:{'|'.join(ROOMS)}|tests|docs)/[\w/.]*)`", PAGE))
    assert len(names) > 40
    assert [name for name in sorted(names) if not (ROOT / name).exists()] == []


def test_each_module_that_the_page_names_without_its_folder_exists() -> None:
    modules = {path.name for room in (*ROOMS, "tests") for path in (ROOT / room).rglob("*.py")}
    assert [name for name in re.findall(r"\b([a-z_]+\.py)\b", PAGE) if name not in modules] == []


def test_each_room_has_its_row_in_the_order_of_the_layers() -> None:
    rows = re.findall(r"^\| `(\w+)/` \|", section("Rooms, top down"), re.MULTILINE)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [
        contract["layers"] for contract in contracts if contract["name"].startswith("Imports run one way")
    ]
    in_order = [room for layer in layers for room in layer.replace(":", "|").replace(" ", "").split("|")]
    assert sorted(rows) == sorted(in_order) == sorted(ROOMS)
    assert [room for room in rows if room != "tools"] == [room for room in in_order if room != "tools"]


def test_each_table_of_the_schema_has_its_row() -> None:
    assert created_tables() <= set(documented_writers())


@pytest.mark.parametrize("table", sorted(created_tables()))
def test_a_table_is_written_by_the_modules_that_the_page_names_and_by_no_others(table: str) -> None:
    assert writers_in_the_code().get(table, set()) == documented_writers()[table]


def test_statements_are_run_by_the_module_that_stands_beside_their_file_alone() -> None:
    """The names of the files above say who writes a table only if no other module takes their statements."""
    takers = {
        str(path.relative_to(ROOT))
        for room in INSTALLED
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"import\s+(?:\([^)]*|[^(\n]*)\bSQL\b|\w\.SQL\[", path.read_text(encoding="utf-8"))
    }
    # The runner's two modules share the schema's history.
    assert takers == {"database/schema.py"}


def test_each_part_has_its_row_and_the_page_names_the_roots() -> None:
    for root in ("gateway/processes/front.py", "gateway/processes/worker.py"):
        assert f"`{root}`" in section("Processes")

"""No statement reads a table that grows whole: the short form of `benchmarks.growth`."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.files import clean
from benchmarks.growth.filling import LARGE, Sizes
from benchmarks.growth.plans import Plan, faults_of, find_programs, name_of, read_plans
from benchmarks.growth.reading import look_at_plans
from benchmarks.growth.rig import open_place

# With so few rows an index hardly pays: it is used where there is one, and the one that fits. What has none would seem so dear
# that it were compiled, which takes long.
_SHORT = {"enable_seqscan": "off", "random_page_cost": "0.1", "jit": "off"}


@pytest.mark.timeout(300)
async def test_nothing_that_people_do_reads_a_large_table_whole(tmp_path: Path) -> None:
    if find_programs() is None:
        pytest.skip(
            "no PostgreSQL with auto_explain is installed here (Debian: apt-get install postgresql-15)"
        )
    file = tmp_path / "ten.csv"
    file.write_bytes(clean(10))
    async with open_place(Sizes(2_000, 200), print, **_SHORT) as place:
        assert await look_at_plans(place, file, 100, times=1) == {}


def _scan(
    kind: str, rows: float, removed: int = 0, *, loops: int = 1, table: str = "uploads"
) -> dict[str, Any]:
    return {
        "Node Type": kind, "Relation Name": table, "Actual Rows": rows, "Actual Loops": loops, "Rows Removed by Filter": removed,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("root", "fault"),
    [
        pytest.param(_scan("Index Scan", 50), None, id="a page by an index"),
        pytest.param(_scan("Seq Scan", 1, 5000), "reads uploads whole: 5,001 rows", id="a whole table"),
        pytest.param(
            _scan("Seq Scan", 0, table="attempts_to_8000000"), None, id="a partition that is empty yet"
        ),
        pytest.param(
            _scan("Seq Scan", 900, table="attempts_to_8000000"),
            "reads attempts whole: 900 rows",
            id="a partition",
        ),
        pytest.param(
            _scan("Seq Scan", 90, table="attempts_to_8000000"), None, id="a partition that has just begun"
        ),
        pytest.param(_scan("Seq Scan", 5000, table="senders"), None, id="a table that stays small"),
        pytest.param(
            _scan("Index Scan", 1, 5000),
            "reads 5,001 rows of large tables and returns 1",
            id="an index that doesn't fit",
        ),
        pytest.param(
            {
                "Node Type": "Aggregate",
                "Actual Rows": 1,
                "Actual Loops": 1,
                "Plans": [_scan("Index Only Scan", 3, loops=2000)],
            },
            "reads 6,000 rows of large tables and returns 1",
            id="a count of many",
        ),
        pytest.param(_scan("Index Scan", 3000, 3000), None, id="many rows that are wanted"),
        pytest.param(
            {**_scan("Index Scan", 1), "Shared Hit Blocks": 30_000},
            "touches 30,000 pages for 1 rows",
            id="an index read whole",
        ),
    ],
)
def test_a_plan_is_at_fault_where_it_reads_much_more_than_it_returns(
    root: dict[str, Any], fault: str | None
) -> None:
    found = list(faults_of(Plan("", "", 0.0, root), frozenset(LARGE)))
    assert found[:1] == ([fault] if fault else [])


def test_plans_are_found_in_the_log_with_who_asked_and_the_statement_that_it_was(tmp_path: Path) -> None:
    log = tmp_path / "log"
    statement = (
        Path("audit/events.sql")
        .read_text()
        .partition("-- name: fetch_events_of_upload\n")[2]
        .partition("\n\n")[0]
    )
    document = json.dumps({"Query Text": statement, "Plan": _scan("Index Scan", 2)}, indent=1)
    head = "2026-11-28 11:00:00.000 UTC [7] growth=sftp-gateway worker LOG:  "
    log.write_text(
        f"{head}checkpoint starting\n{head}duration: 1.500 ms  plan:\n"
        + "".join(f"\t{line}\n" for line in document.splitlines())
        + f"{head}checkpoint complete\n"
    )
    assert list(read_plans(log)) == [
        Plan(
            "sftp-gateway worker", "audit/events.sql: fetch_events_of_upload", 0.0015, _scan("Index Scan", 2)
        )
    ]
    assert name_of("select\n  1") == "select 1"

"""The table in `docs/clients.md`, between its two markers: written by `python -m tests.clients`, read by the tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.clients.matrix import Row

PAGE: Final = Path(__file__).parents[2] / "docs" / "clients.md"
_BEGIN: Final = "<!-- matrix: written by `python -m tests.clients` -->"
_END: Final = "<!-- end of matrix -->"
_HEAD: Final = (
    "client", "version", "upload", "temp-name flow", "resume", "aborted, then sent again", "our refusal",
    "status if not stored", "to know",
)  # fmt: skip


def write_rows(rows: Sequence[Row]) -> None:
    """Put these rows in; those of clients that were not run stay."""
    fresh = {row.client: _line(_cells(row)) for row in rows}
    kept = {cells[0]: _line(cells) for cells in documented_rows().values()}
    lines = {**kept, **fresh}
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    table = "\n".join((_line(_HEAD), "|" + "---|" * len(_HEAD), *lines.values()))
    PAGE.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}")


def documented_rows() -> dict[str, tuple[str, ...]]:
    """The cells of each row by its client."""
    table = PAGE.read_text().partition(_BEGIN)[2].partition(_END)[0]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.split("\n") if line]
    return {cells[0]: cells for cells in rows[2:]}


def documented_verdicts(client: str) -> tuple[str, ...]:
    """A row without the version. Raises KeyError where the client is not in the table."""
    cells = documented_rows()[client]
    return (cells[0], *cells[2:])


def _cells(row: Row) -> tuple[str, ...]:
    return (row.client, row.version, *row.verdicts[1:])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

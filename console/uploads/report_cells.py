"""A report's rows as a page shows them: each fault in its cell, characters made visible; for ops, without who is meant."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from console.rendering import masked_number
from console.uploads.report_rows import BadRow, Head
from processing.columns.results import MORE
from processing.columns.told_reasons import ToldReason
from rules.characters.code_points import CONTROLS, INVISIBLE, LINE_SEPARATORS, WHITE_SPACE
from rules.characters.gsm7 import is_gsm7
from rules.templates import Language
from rules.texts import REASONS

# What is shown of a cell, and of a row.
_MOST_CHARACTERS: Final = 160
_MOST_COLUMNS: Final = 40
_MOST_REASON: Final = 400
_NAMED: Final = CONTROLS | INVISIBLE | LINE_SEPARATORS | frozenset(WHITE_SPACE) - {" "}
_HIDDEN: Final = "•••"
# Of a name or an NRIC that stands where a number should, nothing is told.
_LIKE_A_NUMBER: Final = re.compile(r"[0-9+ ().eE-]+", re.ASCII)
_MORE: Final = "The report has no room for all that is wrong with this row: mend what the others tell, and upload the file again"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a cell. `is_name`: it stands for a character that can't be seen, or tells which one the one before it is."""

    text: str
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A cell, with the reasons why it is wrong."""

    parts: tuple[Part, ...]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row with faults, with those that no cell has."""

    number: int
    cells: tuple[ShownCell, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownTable:
    """Rows of one page under the names of their columns. `left_out`: how many columns without faults aren't shown."""

    columns: tuple[str, ...]
    rows: tuple[ShownRow, ...]
    left_out: int

    @property
    def has_row_reasons(self) -> bool:
        """Whether something is wrong with a row as a whole."""
        return any(row.reasons for row in self.rows)


def shown_table(head: Head, rows: Sequence[BadRow], *, is_masked: bool) -> ShownTable:
    """The rows as a page shows them. `is_masked`: to somebody who may not see whom messages are for, nor what they say."""
    names = head.columns
    width = max([len(names), *(len(row.cells) for row in rows)])
    wrong = {names.index(reason.column) for row in rows for reason in row.reasons if reason.column in names}
    columns: Sequence[int] = range(width)
    if width > _MOST_COLUMNS:
        first = [place for place in columns if place in wrong or place < 2]
        others = [place for place in columns if place not in first]
        columns = sorted([*first, *others][:_MOST_COLUMNS])
    shown = tuple(_shown_row(names, row, columns, is_masked=is_masked) for row in rows)
    return ShownTable(
        tuple(_title(names, place) for place in columns),
        shown,
        width - len(columns),
    )


def _title(names: Sequence[str], place: int) -> str:
    """A column's name. A row that is wider than the header row has more columns than that names."""
    name = names[place].strip() if place < len(names) else ""
    return name[:_MOST_CHARACTERS] or f"Column {place + 1}"


def _shown_row(names: Sequence[str], row: BadRow, columns: Sequence[int], *, is_masked: bool) -> ShownRow:
    cells = []
    for place in columns:
        name = names[place] if place < len(names) else None
        reasons = tuple(reason for reason in row.reasons if name is not None and reason.column == name)
        value = row.cells[place] if place < len(row.cells) else ""
        parts = _masked(value, name) if is_masked else tuple(_parts(value, is_wrong=bool(reasons)))
        cells.append(ShownCell(parts, tuple(_words(reason, is_masked=is_masked) for reason in reasons)))
    told = [reason for reason in row.reasons if reason.column not in names]
    return ShownRow(row.number, tuple(cells), tuple(_words(reason, is_masked=is_masked) for reason in told))


def _words(reason: ToldReason, *, is_masked: bool) -> str:
    """A reason in words, which hold a piece of what was written: whoever may not see that is told what the reason means."""
    if reason.code is None:
        if reason.text == MORE:
            return _MORE
        return _HIDDEN if is_masked else reason.text[:_MOST_REASON]
    return REASONS[reason.code].meaning if is_masked else reason.text[:_MOST_REASON]


def _masked(value: str, name: str | None) -> tuple[Part, ...]:
    if not value:
        return ()
    if name == "recipient" and _LIKE_A_NUMBER.fullmatch(value):
        return (Part(masked_number(value[:20])),)
    if name == "language" and value in set(Language):
        return (Part(value),)
    return (Part(_HIDDEN),)


def _parts(value: str, *, is_wrong: bool) -> Iterator[Part]:
    """A value with what can't be seen by its name: blanks at its ends, controls, and in a wrong cell marks that are no GSM's."""
    cut = value[:_MOST_CHARACTERS]
    begin = len(cut) - len(cut.lstrip())
    end = len(value.rstrip())
    plain = ""
    for place, character in enumerate(cut):
        at_an_end = place < begin or place >= end
        is_odd = is_wrong and not character.isascii() and not character.isalnum() and not is_gsm7(character)
        if character in _NAMED or (character == " " and at_an_end):
            if plain:
                yield Part(plain)
            plain = ""
            yield Part("␠" if character == " " else f"U+{ord(character):04X}", is_name=True)
        elif is_odd:
            yield Part(plain + character)
            plain = ""
            yield Part(f"U+{ord(character):04X}", is_name=True)
        else:
            plain += character
    if len(value) > _MOST_CHARACTERS:
        plain += "…"
    if plain:
        yield Part(plain)

"""The files of this folder, read: migrations and their steps."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Final, LiteralString, cast

_FILE_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")
_OLDEST_PROGRAM: Final = re.compile(r"^-- oldest program: (\d+)$", re.MULTILINE)
_STEP: Final = re.compile(r"^-- step: (\w+)$", re.MULTILINE)


class StepKind(StrEnum):
    """How a step is carried out; the folder's docstring describes each kind."""

    TRANSACTION = "transaction"
    ALONE = "alone"
    PIECES = "pieces"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a migration."""

    kind: StepKind
    sql: LiteralString


@dataclass(frozen=True, slots=True)
class Migration:
    """A numbered change of the schema. `oldest_program`: the oldest program that may start once its first step is done."""

    number: int
    name: str
    oldest_program: int
    steps: tuple[Step, ...]

    @property
    def label(self) -> str:
        """What people call it: `0002_notification_ends`."""
        return f"{self.number:04}_{self.name}"


@cache
def read_migrations() -> tuple[Migration, ...]:
    """All migrations that this program knows, in order; their numbers count from 1 without gaps."""
    found = [
        parse_migration(int(match[1]), match[2], entry.read_text(encoding="utf-8"))
        for entry in resources.files("database.migrations").iterdir()
        if (match := _FILE_NAME.fullmatch(entry.name))
    ]
    return tuple(sorted(found, key=lambda migration: migration.number))


def known_number() -> int:
    """The last migration that this program knows, which is how the schema's history names this program."""
    return read_migrations()[-1].number


def parse_migration(number: int, name: str, text: str) -> Migration:
    """A migration from its file's text. Raises ValueError where the text has not the form that the folder's docstring gives."""
    head, *parts = _STEP.split(text)
    oldest = _OLDEST_PROGRAM.search(head)
    if oldest is None or not parts or not 1 <= int(oldest[1]) <= number:
        message = f"{number:04}_{name}.sql: it needs a line `-- oldest program: N`, then steps"
        raise ValueError(message)
    # The files are part of the program, as literal as its code.
    steps = tuple(
        Step(StepKind(kind), cast("LiteralString", sql.strip()))
        for kind, sql in zip(parts[::2], parts[1::2], strict=True)
    )
    return Migration(number, name, int(oldest[1]), steps)

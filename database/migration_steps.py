"""Carries out the steps of migrations on a database that others are using, and writes down how far each has come.

No step lets others queue behind it for long: it waits for a lock for a second, gives up, and tries again later. A step
that was interrupted, by a kill or a lost connection, is carried out again or, where it is a back-fill, gone on with.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, LiteralString, TypeVar, assert_never, cast

import asyncpg

from database.connections import Connection
from database.errors import ServiceUnreachable
from database.migrations.files import Migration, Step, StepKind
from database.queries import NamedQueries

SQL: Final = NamedQueries("database", "schema_history.sql")
T = TypeVar("T")
Tell = Callable[[str], None]

# Others' statements queue behind one that waits for a lock, so it doesn't wait for longer than this.
LOCK_TIMEOUT: Final = "1s"
_STATEMENT_TIMEOUT: Final = "5min"
# A build of an index waits until older transactions have ended, but nobody queues behind it meanwhile.
_BUILD_LOCK_TIMEOUT: Final = "1h"
_INDEX: Final = re.compile(r"create (?:unique )?index concurrently (?P<name>\w+)")
# Seconds between two tries, doubling, and between two lines about a back-fill.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_TELL_INTERVAL: Final = 5.0
_BUSY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


@dataclass(frozen=True, slots=True)
class Pace:
    """`patience`: seconds for which one step or piece is tried again; `piece_rows`: how many rows a back-fill takes at once."""

    patience: float = 300.0
    piece_rows: int = 1000


@dataclass(frozen=True, slots=True)
class StepRunner:
    """Carries out steps on one connection, which holds the lock of all migrations. `tell` is given lines for a person."""

    connection: Connection
    pace: Pace
    tell: Tell

    async def run(self, migration: Migration, steps_done: int, position: str) -> None:
        """Do what is left of a migration after so many steps.

        `position` is where the back-fill under way stands, empty where none has begun. Raises ServiceUnreachable where others
        keep a table locked for longer than `pace.patience`.
        """
        if steps_done == 0 and migration.steps[0].kind is not StepKind.TRANSACTION:
            # A program that is too old must not start from here on, before the step has changed anything.
            await self._record(migration, 0)
        for number, step in enumerate(migration.steps[steps_done:], start=steps_done + 1):
            where = f"{migration.label}, step {number} of {len(migration.steps)}"
            match step.kind:
                case StepKind.TRANSACTION:
                    await self._run_together(where, migration, number, step)
                case StepKind.ALONE:
                    await self._run_alone(where, step)
                    await self._record(migration, number)
                case StepKind.PIECES:
                    await self._run_in_pieces(where, migration, step, position)
                    await self._record(migration, number)
                case _ as never:
                    assert_never(never)
            position = ""

    async def patiently(self, where: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Carry out `attempt`, again after a pause where others hold its locks or a deadlock ended it.

        Raises ServiceUnreachable where that goes on for longer than `pace.patience`, or where `attempt` was cancelled.
        """
        began, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            try:
                return await attempt()
            except _BUSY as error:
                if time.monotonic() - began + pause > self.pace.patience:
                    message = (
                        f"{where}: others have held locks on its tables for {self.pace.patience:.0f} s: look for old "
                        "transactions in pg_stat_activity, then run `sftp-gateway migrate` again"
                    )
                    raise ServiceUnreachable(message) from None
                self.tell(f"{where}: others hold a lock ({type(error).__name__}); tries again in {pause:g} s")
            except asyncpg.QueryCanceledError:
                message = (
                    f"{where}: it was cancelled, by somebody or since it took longer than {_STATEMENT_TIMEOUT}; "
                    "run `sftp-gateway migrate` again to go on from here"
                )
                raise ServiceUnreachable(message) from None
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _run_together(self, where: str, migration: Migration, number: int, step: Step) -> None:
        async def attempt() -> None:
            async with self.connection.transaction():
                await self.connection.execute(SQL["limit_statements"], LOCK_TIMEOUT, _STATEMENT_TIMEOUT)
                await self.connection.execute(step.sql)
                await self._record(migration, number)

        await self.patiently(where, attempt)

    async def _run_alone(self, where: str, step: Step) -> None:
        """An index that is whole already isn't built again; what is left of an interrupted build is dropped before."""

        async def attempt() -> None:
            await self.connection.execute(SQL["limit_build"], _BUILD_LOCK_TIMEOUT)
            if index := _INDEX.search(step.sql):
                # It stands in a file of ours, as a plain word.
                name = cast("LiteralString", index["name"])
                is_whole = await self.connection.fetchval(SQL["find_index"], name)
                if is_whole:
                    return
                if is_whole is False:
                    self.tell(f"{where}: drops {name}, which an interrupted build left, and builds it again")
                    await self.connection.execute("drop index concurrently if exists " + name)
            await self.connection.execute(step.sql)

        await self.patiently(where, attempt)

    async def _run_in_pieces(self, where: str, migration: Migration, step: Step, position: str) -> None:
        async def next_piece() -> asyncpg.Record | None:
            async with self.connection.transaction():
                await self.connection.execute(SQL["limit_statements"], LOCK_TIMEOUT, _STATEMENT_TIMEOUT)
                piece = await self.connection.fetchrow(step.sql, position, self.pace.piece_rows)
                if piece is None or piece["position"] is None:
                    return None
                await self.connection.execute(SQL["record_position"], migration.number, piece["position"])
                return piece

        if position:
            self.tell(f"{where}: goes on with the back-fill behind {position}")
        rows, told = 0, time.monotonic()
        while piece := await self.patiently(where, next_piece):
            position = piece["position"]
            rows += piece["rows"]
            if time.monotonic() - told > _TELL_INTERVAL:
                told = time.monotonic()
                self.tell(f"{where}: back-fill, {rows:,} rows done")

    async def _record(self, migration: Migration, steps_done: int) -> None:
        await self.connection.execute(
            SQL["record_step"],
            migration.number,
            migration.name,
            migration.oldest_program,
            steps_done,
            steps_done == len(migration.steps),
        )

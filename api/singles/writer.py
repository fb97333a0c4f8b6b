"""Single sends are committed in groups, and answered only then.

Where it isn't known whether a statement was committed, since its connection broke off, the same rows are written again until that
is known: a row that is there already is not written twice. Whoever waits is told nothing meanwhile, because anything but 201 says
that nothing was accepted.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import asyncpg

from api import metrics
from api.groups import Groups
from api.idempotency import KeyedCall
from api.singles.checks import CheckedText
from api.singles.forms import answer_of
from config.errors import ConfigError
from config.fault_points import reach
from config.logs import get_logger
from database.connections import UNREACHABLE, Connection, Pool, database_troubles
from messages.singles import (
    KeyedAnswer,
    SingleRow,
    announce_singles,
    create_singles,
    find_created,
    new_single_id,
)

logger = get_logger("api")

# Groups under way at once. A second one gathers and is sent while the first is being flushed to disk.
WRITERS: Final = 2
_MOST_IN_GROUP: Final = 200
_MOST_WAITING: Final = 4000
# Seconds for which a send waits until a group takes it up, and for which a group waits for a connection.
_PATIENCE: Final = 5.0
_CONNECTION_SECONDS: Final = 4.0
# Seconds between two looks at a database that went away in the middle of a commit: at first, and at most.
_FIRST_REST: Final = 0.1
_LONGEST_REST: Final = 2.0
# Seconds between two announcements.
_ANNOUNCE_EVERY: Final = 0.01


class _Unclear(Exception):  # noqa: N818 - a fact about a statement
    """Whether the statement was committed isn't known."""


@dataclass(slots=True, eq=False)
class SingleSend:
    """A send that waits for its commit. `middle` is the part of its answer that doesn't depend on time; no log has it."""

    campaign_id: str
    recipient: str = field(repr=False)
    text: CheckedText = field(repr=False)
    middle: bytes = field(repr=False)
    keyed: KeyedCall | None = field(repr=False)
    # The user who made it; None: the campaign's creator.
    creator_id: str | None = None
    # It keeps its id, once it has one, so that it can't be written twice.
    batch_id: str = ""
    # A statement that had it may have been committed.
    is_unclear: bool = False

    def answer(self, at: datetime) -> bytes:
        """The answer to it, as one that was made at this time."""
        return answer_of(self.batch_id, at, self.middle, self.text.form)

    def row(self, at: datetime) -> SingleRow:
        """What is stored of it."""
        text, call = self.text, self.keyed
        keyed = KeyedAnswer(call.key, call.fingerprint, self.answer(at)) if call else None
        return SingleRow(
            batch_id=self.batch_id,
            campaign_id=self.campaign_id,
            frame=text.frame,
            recipient=self.recipient,
            language=text.language.value,
            values=text.values,
            segments=text.segments,
            encoding=text.encoding,
            keyed=keyed,
            creator_id=self.creator_id,
        )


class SingleWriter:
    """Writes single sends. `now` is the database's clock. `run` it in a task."""

    def __init__(self, pool: Pool, now: Callable[[], datetime]) -> None:
        self._pool: Final = pool
        self._now: Final = now
        self._groups: Final = Groups[SingleSend, bytes | None](
            self._write, most_in_group=_MOST_IN_GROUP, most_waiting=_MOST_WAITING, patience=_PATIENCE
        )
        self._written: Final = asyncio.Event()

    async def write(self, send: SingleSend) -> bytes | None:
        """The answer, once the send is committed; None where its idempotency key was taken before, and nothing is written.

        Raises ConfigError where the database is away: nothing is accepted.
        """
        return await self._groups.add(send)

    async def run(self) -> None:
        """Write and announce, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(self._groups.run())
            tasks.create_task(self._announce())

    async def _write(self, sends: Sequence[SingleSend]) -> list[bytes | None]:
        metrics.SINGLE_GROUPS.observe(len(sends))
        rest = 0.0
        while True:
            try:
                return await self._write_once(sends)
            except _Unclear:
                logger.warning("singles_unclear", count=len(sends))
                for send in sends:
                    send.is_unclear = True
            except ConfigError:
                if not any(send.is_unclear for send in sends):
                    raise
            rest = min(max(_FIRST_REST, 2 * rest), _LONGEST_REST)
            await asyncio.sleep(rest)

    async def _write_once(self, sends: Sequence[SingleSend]) -> list[bytes | None]:
        with database_troubles():
            async with self._pool.acquire(timeout=_CONNECTION_SECONDS) as connection:
                # Taken here, so that nothing stands between it and the statement.
                now = self._now()
                at = now.replace(microsecond=now.microsecond // 1000 * 1000)
                for send in sends:
                    send.batch_id = send.batch_id or new_single_id(at)
                rows = [send.row(at) for send in sends]
                reach("api.grouped")
                made = await _create(connection, rows, at)
                reach("api.committed")
                self._written.set()
                return await self._answers(connection, sends, rows, made, at)

    async def _answers(
        self,
        connection: Connection,
        sends: Sequence[SingleSend],
        rows: Sequence[SingleRow],
        made: set[str],
        at: datetime,
    ) -> list[bytes | None]:
        earlier: dict[str, datetime] = {}
        unmade = [send for send in sends if send.batch_id not in made]
        if any(send.is_unclear for send in unmade):
            earlier = await find_created(connection, [send.batch_id for send in unmade])
        answers: list[bytes | None] = []
        for send, row in zip(sends, rows, strict=True):
            if send.batch_id in made:
                answers.append(row.keyed.answer if row.keyed else send.answer(at))
            elif send.batch_id in earlier:
                answers.append(send.answer(earlier[send.batch_id]))
            else:
                assert send.keyed is not None  # noqa: S101 - only a key that is taken keeps a row out
                answers.append(None)
        return answers

    async def _announce(self) -> None:
        """Tell the senders after the commit, at most once for each group. They look each second besides."""
        while True:
            await self._written.wait()
            self._written.clear()
            try:
                with database_troubles():
                    async with self._pool.acquire(timeout=_CONNECTION_SECONDS) as connection:
                        await announce_singles(connection)
            except ConfigError as error:
                logger.warning("singles_unannounced", reason=str(error))
            await asyncio.sleep(_ANNOUNCE_EVERY)


async def _create(connection: Connection, rows: Sequence[SingleRow], at: datetime) -> set[str]:
    """Write them. Raises _Unclear, or what the server itself gave as the reason for having written nothing."""
    try:
        return await create_singles(connection, rows, created_at=at)
    except asyncpg.DataError:
        # Said by the library itself before anything is sent, or by the server.
        raise
    except asyncpg.PostgresConnectionError:
        # Also what a pooler says of a server that it lost.
        raise _Unclear from None
    except asyncpg.PostgresError as error:
        # What is worse than an error ends the session, and may come after the commit.
        if error.as_dict().get("severity_en") == "ERROR":
            raise
        raise _Unclear from None
    except UNREACHABLE:
        raise _Unclear from None

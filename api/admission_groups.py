"""Asks the database which calls it admits: one statement for all that gathered while the one before was under way.

So a busy process asks seldom, and a quiet one at once. Nothing of the answers is kept but what never changes, a campaign's
template and who made a key: a key that is deleted, or a campaign that is suspended, is known in the next statement everywhere.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

import asyncpg

from api import metrics
from api.groups import Groups
from campaigns.campaigns import Creator
from config.errors import ConfigError
from config.logs import get_logger
from config.sending_sections import APISettings
from database.clock import DatabaseClock
from database.connections import Connection, Pool, database_troubles
from database.errors import ServiceUnreachable
from database.queries import NamedQueries
from rules.templates import Language, Template

SQL: Final = NamedQueries("api", "admission.sql")

logger = get_logger("api")

_MOST_IN_GROUP: Final = 500
# So many may wait: whoever comes later is told to come again.
MOST_WAITING: Final = 4000
# Seconds for a group's answer, and before it for a call's turn, after which its callers are told to come again.
_PATIENCE: Final = 4.0


class Verdict(StrEnum):
    """What the database says of a call. Its caller learns less: CAMPAIGN, ADDRESS and SUSPENDED are 403 alike."""

    ADMITTED = "admitted"
    KEY = "key"
    CAMPAIGN = "campaign"
    ADDRESS = "address"
    SUSPENDED = "suspended"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class CallingCampaign:
    """What the API needs to know of a campaign. All but `nric` never changes. `made_at` is aware UTC."""

    id: str
    template: Template
    is_otp: bool
    nric: bool
    made_at: datetime
    creator: Creator


class Question(NamedTuple):
    """What is asked of a call: its key's public prefix and SHA-256, the campaign of its path, and the address it comes from."""

    prefix: str
    digest: bytes
    path: str
    address: str


class Decision(NamedTuple):
    """The answer. `at` is the database's time, in seconds since 1970; `until`, by this process's clock, when there is room.

    `maker`: the user who made the key, if one of the console did.
    """

    verdict: Verdict
    campaign: CallingCampaign | None
    maker: Creator | None
    at: float
    until: float


class AdmissionGroups:
    """What waits to be asked, and who asks: run `run` in one task. Two would halve the groups, and cost more than they bring."""

    def __init__(self, pool: Pool, settings: APISettings) -> None:
        self._pool: Final = pool
        self._rate: Final = settings.rate
        self._campaigns: Final[dict[tuple[str, bool], CallingCampaign]] = {}
        self._makers: Final[dict[str, Creator | None]] = {}
        self._groups: Final = Groups[Question, Decision](
            self._ask, most_in_group=_MOST_IN_GROUP, most_waiting=MOST_WAITING, patience=_PATIENCE
        )
        self.clock: Final = DatabaseClock()

    async def decide(self, question: Question) -> Decision:
        """Wait for the answer. Raises ConfigError where the database is away, or more wait than it can serve."""
        return await self._groups.add(question)

    async def run(self) -> None:
        """Ask for group after group, until cancelled."""
        await self._groups.run()

    async def _ask(self, questions: Sequence[Question]) -> list[Decision]:
        metrics.ADMISSION_GROUPS.observe(len(questions))
        try:
            with database_troubles():
                async with asyncio.timeout(_PATIENCE), self._pool.acquire() as connection:
                    return await self._decide(connection, questions)
        except ConfigError:
            raise
        except Exception:
            logger.exception("admission_failed", count=len(questions))
            raise ServiceUnreachable("the database doesn't decide who may call") from None

    async def _decide(self, connection: Connection, questions: Sequence[Question]) -> list[Decision]:
        prefixes, digests, paths, addresses = (list(column) for column in zip(*questions, strict=True))
        asked_at = time.monotonic()
        rows = await connection.fetch(
            SQL["admit_calls"], prefixes, digests, paths, addresses, self._rate, secrets.token_bytes(16)
        )
        self.clock.note(rows[-1]["at"], asked_at=asked_at, answered_at=time.monotonic())
        await self._learn_campaigns(connection, rows)
        await self._learn_makers(
            connection,
            {prefixes[row["place"] - 1] for row in rows if row["verdict"] == Verdict.ADMITTED},
        )
        decisions = {
            row["place"]: self._decision_of(row, prefixes[row["place"] - 1], asked_at) for row in rows
        }
        return [decisions[place] for place in range(1, len(questions) + 1)]

    def _decision_of(self, row: asyncpg.Record, prefix: str, asked_at: float) -> Decision:
        # Its time was no sooner than the question: nobody is refused from memory for longer than the row says, however slow the
        # answer was.
        until = None if row["until"] is None else asked_at + row["until"] - row["at"]
        return Decision(
            verdict=Verdict(row["verdict"]),
            campaign=self._campaigns.get((row["campaign_id"], row["nric"])),
            maker=self._makers.get(prefix),
            at=row["at"],
            until=until or 0.0,
        )

    async def _learn_campaigns(self, connection: Connection, rows: Sequence[asyncpg.Record]) -> None:
        """Fetch what isn't known yet of those that were let in."""
        unknown = {
            row["campaign_id"]
            for row in rows
            if row["verdict"] == Verdict.ADMITTED and (row["campaign_id"], row["nric"]) not in self._campaigns
        }
        if not unknown:
            return
        for row in await connection.fetch(SQL["fetch_campaigns"], list(unknown)):
            bodies = dict(zip(map(Language, row["languages"]), row["bodies"], strict=True))
            for nric in (False, True):
                self._campaigns[row["id"], nric] = CallingCampaign(
                    id=row["id"],
                    template=Template(row["header"], bodies),
                    is_otp=row["otp"],
                    nric=nric,
                    made_at=row["created_at"],
                    creator=Creator(row["creator_id"], row["creator_email"]),
                )

    async def _learn_makers(self, connection: Connection, prefixes: Set[str]) -> None:
        """Fetch who made those keys that isn't known yet."""
        unknown = prefixes - self._makers.keys()
        if not unknown:
            return
        rows = await connection.fetch(SQL["fetch_makers"], list(unknown))
        makers = {row["prefix"]: Creator(row["id"], row["email"]) for row in rows}
        self._makers.update({prefix: makers.get(prefix) for prefix in unknown})

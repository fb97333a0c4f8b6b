"""Single sends: each is a batch of one row (8-api.md §1), written many at once with the answers under their idempotency keys.

All in one statement, so one transaction: a message is there with its key, or neither is.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from audit.events import Actor, AuditEvent, record_event
from database.connections import Connection, wait_for_standby
from database.queries import NamedQueries
from messages.idempotency_keys import KEPT_FOR

SQL: Final = NamedQueries("messages", "singles.sql")
# In the frame of a batch, where a single send's values were not sent in the template's order: their names as sent.
_ORDER: Final = "order"


@dataclass(frozen=True, slots=True)
class KeyedAnswer:
    """What is kept under a single send's idempotency key."""

    key: str
    fingerprint: bytes
    answer: bytes


@dataclass(frozen=True, slots=True)
class SingleRow:
    """A single send as it is stored. `frame` and `values` are JSON; for `frame` and `creator_id` see `create_batch`."""

    batch_id: str
    campaign_id: str
    frame: str
    recipient: str
    language: str
    values: str
    segments: int
    encoding: str
    keyed: KeyedAnswer | None
    creator_id: str | None = None


def new_single_id(at: datetime) -> str:
    """The id of a single send's batch: a UUID of version 7 (RFC 9562) of this time."""
    random = secrets.token_bytes(10)
    bits = (
        round(at.timestamp() * 1000) << 80
        | 0x7 << 76
        | (random[0] & 0x0F) << 72
        | random[1] << 64
        | 0b10 << 62
        | (random[2] & 0x3F) << 56
        | int.from_bytes(random[3:], "big")
    )
    text = f"{bits:032x}"
    return f"batch_{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


async def create_singles(
    connection: Connection, singles: Sequence[SingleRow], *, created_at: datetime
) -> set[str]:
    """Write them in one statement of its own transaction; returns the ids of those that it wrote.

    The others' ids are there already, or their keys are. Nobody is told: see `announce_singles`. `created_at` is aware UTC, in
    whole milliseconds.
    """
    keyed = [single.keyed for single in singles]
    # Where none has a key, or a creator, the columns about it are left empty: as good as nulls, without the cost of elements.
    keyed = keyed if any(keyed) else []
    creators = [single.creator_id for single in singles]
    rows = await connection.fetch(
        SQL["create_singles"],
        [single.batch_id for single in singles],
        [single.campaign_id for single in singles],
        [single.frame for single in singles],
        [single.recipient for single in singles],
        [single.language for single in singles],
        [single.values for single in singles],
        [single.segments for single in singles],
        [single.encoding for single in singles],
        [one.key if one else None for one in keyed],
        [one.fingerprint if one else None for one in keyed],
        [one.answer if one else None for one in keyed],
        created_at,
        KEPT_FOR,
        creators if any(creators) else [],
    )
    return {row["id"] for row in rows}


async def create_single_of_user(
    connection: Connection, single: SingleRow, *, created_at: datetime, actor: Actor
) -> None:
    """Write a message that a user sends by a page, in the caller's transaction. Nobody is told: see `announce_singles`."""
    await connection.execute(
        SQL["create_single_of_user"],
        single.batch_id,
        single.campaign_id,
        single.frame,
        single.recipient,
        single.language,
        single.values,
        single.segments,
        single.encoding,
        created_at,
        single.creator_id,
    )
    await record_event(
        connection,
        AuditEvent.MESSAGE_SENT,
        campaign_id=single.campaign_id,
        actor=actor,
        details={"batch_id": single.batch_id, "segments": single.segments},
    )


async def find_created(connection: Connection, batch_ids: Collection[str]) -> dict[str, datetime]:
    """Which of these there are, to stay, and when they were made: an earlier COMMIT's, of which the caller had no answer."""
    rows = await connection.fetch(SQL["find_created"], list(batch_ids))
    if rows:
        await wait_for_standby(connection)
    return {row["id"]: row["created_at"] for row in rows}


async def announce_singles(connection: Connection) -> None:
    """Tell the senders that there is something to take up; they look each second besides."""
    await connection.execute(SQL["announce_singles"])


def frame_with_order(frame: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """A frame that tells as well in which order the values were sent, since the database keeps none."""
    return {**frame, _ORDER: list(names)}


def values_as_sent(
    values: Mapping[str, str], frame: Mapping[str, object] | None, parameters: Sequence[str]
) -> dict[str, str]:
    """A single send's values in the order in which they were sent: the template's, where its frame tells no other."""
    names = (frame or {}).get(_ORDER, parameters)
    assert isinstance(names, list | tuple)  # noqa: S101 - `frame_with_order` made it
    return {name: values[name] for name in names}

"""The table `api_keys`: the keys of the HTTP API. Of each its SHA-256 is stored; a deleted one keeps its row, and opens nothing.

Every change is made in the caller's transaction, together with its audit event. The caller holds the campaign's row locked, and
has seen that the campaign may have a key: use `campaigns.api_access`, which does both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from config.environment import Environment
from database.connections import Connection
from database.queries import NamedQueries
from keys.api_key_form import new_key, parse_key
from keys.errors import KeyNotFound, KeyRefused

SQL: Final = NamedQueries("keys", "api_keys.sql")

MOST_IN_FORCE: Final = 3


@dataclass(frozen=True, slots=True)
class APIKey:
    """A key as stored. In force until `deleted_at`. Times are aware UTC. `creator_id`: the user who made it by the console."""

    prefix: str
    name: str
    made_by: str | None
    made_at: datetime
    deleted_at: datetime | None
    creator_id: str | None


@dataclass(frozen=True, slots=True)
class NewAPIKey:
    """A key that was just made. Its text is nowhere else, and can't be had again."""

    text: str
    prefix: str

    def __repr__(self) -> str:
        return f"NewAPIKey(prefix={self.prefix!r})"


async def record_api_key(
    connection: Connection,
    campaign_id: str,
    *,
    environment: Environment,
    name: str,
    actor: Actor,
    creator_id: str | None = None,
) -> NewAPIKey:
    """Make a key and put it in force. Raises KeyRefused: as many are in force as there may be.

    What is sent by it, the user `creator_id` has made; without one, the campaign's creator.
    """
    if await count_in_force(connection, campaign_id) >= MOST_IN_FORCE:
        raise KeyRefused(
            f"campaign {campaign_id} has {MOST_IN_FORCE} API keys in force, and can have no more: delete one by "
            f"`sftp-gateway apikey delete {campaign_id} PREFIX`"
        )
    while True:
        text = new_key(environment)
        key = parse_key(text, environment)
        assert key is not None  # noqa: S101 - it was made a line before
        # Another may have these 8 characters already, once in 200 million million draws.
        if await connection.fetchval(
            SQL["insert_key"], key.prefix, campaign_id, key.digest, name, actor.name, creator_id
        ):
            break
    await record_event(
        connection,
        AuditEvent.API_KEY_ADDED,
        campaign_id=campaign_id,
        actor=actor,
        details={"prefix": key.prefix},
    )
    return NewAPIKey(text, key.prefix)


async def list_api_keys(connection: Connection, campaign_id: str) -> list[APIKey]:
    """The campaign's keys, deleted ones too, oldest first. An unknown campaign has none."""
    return [APIKey(**row) for row in await connection.fetch(SQL["list_keys"], campaign_id)]


async def is_in_force(connection: Connection, campaign_id: str, prefix: str) -> bool:
    """Whether the campaign's key of this public prefix is in force still."""
    return bool(await connection.fetchval(SQL["is_in_force"], campaign_id, prefix))


async def count_in_force(connection: Connection, campaign_id: str) -> int:
    """How many of the campaign's keys are in force."""
    return int(await connection.fetchval(SQL["count_in_force"], campaign_id))


async def count_api_keys(connection: Connection, campaign_ids: Sequence[str]) -> dict[str, int]:
    """How many keys are in force, by campaign; those of these campaigns that have none are left out."""
    rows = await connection.fetch(SQL["count_keys"], campaign_ids)
    return {row["campaign_id"]: row["keys"] for row in rows}


async def record_api_key_deleted(
    connection: Connection, campaign_id: str, prefix: str, *, actor: Actor
) -> None:
    """Take the key out of force: once this is committed, no call gets in by it. Raises KeyNotFound."""
    if await connection.fetchval(SQL["delete_key"], campaign_id, prefix) is None:
        raise KeyNotFound(
            f"campaign {campaign_id} has no API key {prefix} in force: see `sftp-gateway apikey list {campaign_id}`"
        )
    await record_event(
        connection,
        AuditEvent.API_KEY_DELETED,
        campaign_id=campaign_id,
        actor=actor,
        details={"prefix": prefix},
    )


async def record_all_api_keys_deleted(
    connection: Connection, campaign_id: str, *, cause: str, actor: Actor
) -> None:
    """Take all of the campaign's keys out of force. `cause` is a fixed text, written into each key's audit event."""
    for row in await connection.fetch(SQL["delete_all_keys"], campaign_id):
        details: EventDetails = {"prefix": row["prefix"], "reason": cause}
        await record_event(
            connection, AuditEvent.API_KEY_DELETED, campaign_id=campaign_id, actor=actor, details=details
        )

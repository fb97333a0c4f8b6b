"""The table `ssh_keys`: the public keys of campaigns. A revoked key keeps its row, and loses access at once.

Every change is made in the caller's transaction, together with its audit event. The caller holds the campaign's row locked,
so that no key is added to a campaign that is being deleted: use `campaigns.campaigns`, which does both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from database.connections import Connection
from database.queries import NamedQueries
from keys.errors import KeyNotFound
from keys.public_keys import PublicKey

SQL: Final = NamedQueries("keys", "ssh_keys.sql")


@dataclass(frozen=True, slots=True)
class SSHKey:
    """A campaign's key as stored. `fingerprint` is `SHA256:…`; in force until `revoked_at`. Times are aware UTC.

    Revoked and added again it is another one, with an `id` of its own.
    """

    id: int
    fingerprint: str
    algorithm: str
    label: str
    added_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class AddedKeys:
    """What `record_keys` did. `shared` maps a fingerprint to the other campaigns in which that key is in force.

    `revoked` has the fingerprints that were revoked for this campaign before and are in force again.
    """

    added: tuple[PublicKey, ...]
    present: tuple[PublicKey, ...]
    shared: Mapping[str, Sequence[str]]
    revoked: frozenset[str]


async def record_keys(
    connection: Connection,
    campaign_id: str,
    keys: Sequence[PublicKey],
    *,
    label: str | None = None,
    actor: Actor,
) -> AddedKeys:
    """Put keys in force; those that already are stay as they are. Without a label each gets its own comment as one."""
    added, present = [], []
    for key in keys:
        new = await connection.fetchval(
            SQL["insert_key"],
            campaign_id,
            key.fingerprint,
            key.algorithm,
            key.public_line,
            key.comment if label is None else label,
        )
        if new is None:
            present.append(key)
            continue
        added.append(key)
        details: EventDetails = {"fingerprint": key.fingerprint, "algorithm": key.algorithm}
        await record_event(
            connection, AuditEvent.KEY_ADDED, campaign_id=campaign_id, actor=actor, details=details
        )
    fingerprints = [key.fingerprint for key in keys]
    others = await connection.fetch(SQL["fetch_other_campaigns"], campaign_id, fingerprints)
    before = await connection.fetch(SQL["fetch_revoked"], campaign_id, [key.fingerprint for key in added])
    return AddedKeys(
        added=tuple(added),
        present=tuple(present),
        shared={row["fingerprint"]: row["campaigns"] for row in others},
        revoked=frozenset(row["fingerprint"] for row in before),
    )


async def fetch_label_of_upload(connection: Connection, campaign_id: str, upload_id: str | None) -> str:
    """The name of the key of SFTP or of the API with which an upload came; empty where there was none, or nobody has named it."""
    if upload_id is None:
        return ""
    return await connection.fetchval(SQL["fetch_label_of_upload"], campaign_id, upload_id) or ""


async def list_keys(connection: Connection, campaign_id: str) -> list[SSHKey]:
    """The campaign's keys, revoked ones too, oldest first. An unknown campaign has none."""
    return [
        SSHKey(
            id=row["id"],
            fingerprint=row["fingerprint"],
            algorithm=row["algorithm"],
            label=row["label"],
            added_at=row["added_at"],
            revoked_at=row["revoked_at"],
        )
        for row in await connection.fetch(SQL["list_keys"], campaign_id)
    ]


async def count_keys(connection: Connection, campaign_ids: Sequence[str]) -> dict[str, int]:
    """How many keys are in force, by campaign; those of these campaigns that have none are left out."""
    rows = await connection.fetch(SQL["count_keys"], campaign_ids)
    return {row["campaign_id"]: row["keys"] for row in rows}


async def record_key_revoked(
    connection: Connection, campaign_id: str, fingerprint: str, *, actor: Actor
) -> None:
    """Take the key out of force; its sessions end at once. Raises KeyNotFound."""
    if await connection.fetchval(SQL["revoke_key"], campaign_id, fingerprint) is None:
        raise KeyNotFound(
            f"campaign {campaign_id} has no key {fingerprint} in force: see `sftp-gateway key list {campaign_id}`"
        )
    details: EventDetails = {"fingerprint": fingerprint}
    await record_event(
        connection, AuditEvent.KEY_REVOKED, campaign_id=campaign_id, actor=actor, details=details
    )


async def record_all_keys_revoked(
    connection: Connection, campaign_id: str, *, cause: str, actor: Actor
) -> None:
    """Take all of the campaign's keys out of force. `cause` is a fixed text, written into each key's audit event."""
    for row in await connection.fetch(SQL["revoke_all_keys"], campaign_id):
        details: EventDetails = {"fingerprint": row["fingerprint"], "reason": cause}
        await record_event(
            connection, AuditEvent.KEY_REVOKED, campaign_id=campaign_id, actor=actor, details=details
        )

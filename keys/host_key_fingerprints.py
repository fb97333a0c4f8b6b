"""The table `host_key_fingerprints`: the host keys that all nodes must have. A retired one keeps its row.

Every change is made in the caller's transaction, together with its audit event.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from database.connections import Connection, affected
from database.queries import NamedQueries
from keys.errors import HostKeyError
from keys.host_keys import HostKey

SQL: Final = NamedQueries("keys", "host_key_fingerprints.sql")


@dataclass(frozen=True, slots=True)
class RecordedHostKey:
    """A host key in force. `fingerprint` is `SHA256:…`; `public_key` is algorithm and base64."""

    fingerprint: str
    algorithm: str
    public_key: str


async def list_host_keys(connection: Connection) -> list[RecordedHostKey]:
    """The host keys that all nodes show."""
    return [RecordedHostKey(**row) for row in await connection.fetch(SQL["list_in_force"])]


async def lock_fingerprints(connection: Connection) -> set[str]:
    """The fingerprints in force. Nobody else changes the table until the transaction ends."""
    await connection.execute(SQL["lock_all"])
    rows = await connection.fetch(SQL["fetch_all"])
    return {row["fingerprint"] for row in rows if row["retired_at"] is None}


async def record_fingerprints(connection: Connection, keys: Iterable[HostKey], *, actor: Actor) -> None:
    """Put these keys in force; those that were recorded before stay as they are."""
    for key in keys:
        added = await connection.execute(SQL["insert"], key.fingerprint, key.type.algorithm, key.public_line)
        if affected(added):
            details: EventDetails = {"fingerprint": key.fingerprint, "algorithm": key.type.algorithm}
            await record_event(connection, AuditEvent.HOST_KEY_ADDED, actor=actor, details=details)


async def record_fingerprints_retired(
    connection: Connection, fingerprints: Collection[str], *, actor: Actor
) -> None:
    """Take these out of force: from now on no node starts with their keys."""
    for row in await connection.fetch(SQL["retire"], sorted(fingerprints)):
        details: EventDetails = {"fingerprint": row["fingerprint"]}
        await record_event(connection, AuditEvent.HOST_KEY_RETIRED, actor=actor, details=details)


async def check_host_keys(connection: Connection, keys: Sequence[HostKey]) -> None:
    """Check that each of this node's keys is one that all nodes show. Raises HostKeyError, whose text names the cure."""
    recorded = {row["fingerprint"]: row["retired_at"] for row in await connection.fetch(SQL["fetch_all"])}
    if not any(retired_at is None for retired_at in recorded.values()):
        raise HostKeyError(
            "no host keys are recorded in the database: run `sftp-gateway hostkey generate` on this node"
        )
    for key in keys:
        if key.fingerprint not in recorded:
            raise HostKeyError(
                f"the {key.type} host key {key.fingerprint} is not the one that the other nodes show: "
                f"copy their host key folder to {key.path.parent}"
            )
        if recorded[key.fingerprint] is not None:
            raise HostKeyError(
                f"the {key.type} host key {key.fingerprint} was retired on another node: "
                "run `sftp-gateway hostkey retire` here too, or copy the other node's folder"
            )

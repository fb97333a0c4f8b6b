"""What people pause and resume: a sender, all of them, or one campaign. Each leaves its audit event.

A pause holds on all nodes from the next claim on: what is claimed already goes out, which takes a fraction of a second. It is
made in the caller's transaction.
"""

from typing import Final

from audit.events import Actor, AuditEvent, record_event
from campaigns.campaigns import fetch_known_campaign
from database.connections import Connection
from database.queries import NamedQueries
from sending.errors import RestoreNotConfirmed, SenderNotFound

SQL: Final = NamedQueries("sending", "pauses.sql")
ASKED_FOR: Final = "asked for"
# Why all senders of a restored database are paused (sending/upkeep/restored.py).
RESTORED: Final = "the database is older than the newest claim"


async def pause_senders(connection: Connection, name: str | None, *, actor: Actor) -> list[str]:
    """Let nothing leave by the sender of this name, or by any, until people resume it; the names. Raises SenderNotFound."""
    await _check_name(connection, name)
    rows = await connection.fetch(SQL["pause_senders"], name, ASKED_FOR)
    return await _record(connection, AuditEvent.SENDING_PAUSED, [row["name"] for row in rows], actor)


async def resume_senders(
    connection: Connection, name: str | None, *, actor: Actor, everything: bool = False
) -> list[str]:
    """Lift the pause of this sender, or of all; the names of those that were. Raises SenderNotFound.

    A restored database would send again what has left already, so that whoever lifts its pause must have said `everything`.
    Raises RestoreNotConfirmed otherwise.
    """
    await _check_name(connection, name)
    if not everything and await connection.fetchval(SQL["any_paused_because"], name, RESTORED):
        raise RestoreNotConfirmed(
            f"{RESTORED}: what has left since would be sent a second time. Do first what section 8 of the runbook says, and"
            " then say `sftp-gateway sending resume --all`"
        )
    rows = await connection.fetch(SQL["resume_senders"], name)
    return await _record(connection, AuditEvent.SENDING_RESUMED, [row["name"] for row in rows], actor)


async def is_paused_as_restored(connection: Connection) -> bool:
    """Whether a sender is paused since the database was found to be older than the bucket."""
    return bool(await connection.fetchval(SQL["any_paused_since_restore"], RESTORED))


async def pause_campaign(connection: Connection, campaign_id: str, *, actor: Actor) -> None:
    """Let nothing of a campaign leave until people resume it; its uploads are taken all the same.

    Raises CampaignNotFound, and SenderNotFound where its channel has no sender yet.
    """
    await fetch_known_campaign(connection, campaign_id)
    await connection.execute(SQL["complete_lanes"], campaign_id)
    if not await connection.fetch(SQL["pause_lanes"], campaign_id, ASKED_FOR):
        raise SenderNotFound(
            f"campaign {campaign_id} has no sender yet, so nothing of it leaves: to keep it out, suspend it"
        )
    await record_event(connection, AuditEvent.SENDING_PAUSED, campaign_id=campaign_id, actor=actor)


async def resume_campaign(connection: Connection, campaign_id: str, *, actor: Actor) -> bool:
    """Lift a campaign's pause. False where it wasn't paused. Raises CampaignNotFound."""
    await fetch_known_campaign(connection, campaign_id)
    if not await connection.fetch(SQL["resume_lanes"], campaign_id):
        return False
    await record_event(connection, AuditEvent.SENDING_RESUMED, campaign_id=campaign_id, actor=actor)
    return True


async def _check_name(connection: Connection, name: str | None) -> None:
    if name is not None and not await connection.fetchval(SQL["sender_exists"], name):
        raise SenderNotFound(f"there is no sender {name!r:.80}: see `sftp-gateway sending status`")


async def _record(connection: Connection, event: AuditEvent, names: list[str], actor: Actor) -> list[str]:
    if names:
        await record_event(connection, event, actor=actor, details={"senders": names})
    return sorted(names)

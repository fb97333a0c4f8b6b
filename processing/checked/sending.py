"""What the sender of a checked upload says: send it, or forget it. Each in the caller's transaction, under the upload's lock."""

from dataclasses import replace
from datetime import timedelta

from audit.events import Actor, AuditEvent, record_event
from database.connections import Connection
from processing.checked.uploads import is_active, lock_waiting, record_check, withdraw
from processing.errors import SendingRefused
from processing.verdict_queue import CHECKED_ENTRYPOINT, enqueue_verdict


async def ask_for_sending(
    connection: Connection, upload_id: str, life: timedelta, *, user_id: str, actor: Actor
) -> bool:
    """Let a worker judge the upload anew and, if it is still good, make its batch.

    False where somebody has said so before, or it has its outcome: its page tells which. Raises SendingRefused where it can't be
    sent; `life` is how long it was to wait for that.
    """
    waiting = await lock_waiting(connection, upload_id, life)
    if waiting is None:
        return False
    if waiting.check is None:
        raise SendingRefused("this file is still being checked")
    if waiting.check.asked_by is not None:
        return False
    if waiting.is_over or waiting.object_key is None:
        raise SendingRefused("this file has waited too long and is no longer kept: upload it again")
    if not await is_active(connection, waiting.campaign_id):
        raise SendingRefused("the campaign is suspended, so nothing was sent: ask ops why")
    await record_check(connection, upload_id, replace(waiting.check, asked_by=user_id, hindrance=None))
    await record_event(
        connection,
        AuditEvent.UPLOAD_SEND_ASKED,
        campaign_id=waiting.campaign_id,
        upload_id=upload_id,
        actor=actor,
        details={"messages": waiting.check.counts.messages, "segments": waiting.check.counts.segments},
    )
    await enqueue_verdict(connection, upload_id, waiting.campaign_id, entrypoint=CHECKED_ENTRYPOINT)
    return True


async def forget(connection: Connection, upload_id: str, *, actor: Actor) -> str | None:
    """Withdraw an upload that nobody wants to send. Returns its original's key, to be deleted after the commit.

    Raises SendingRefused where it is being sent, or has been decided or forgotten before.
    """
    waiting = await lock_waiting(connection, upload_id, timedelta(0))
    if waiting is None:
        raise SendingRefused("this file doesn't wait to be sent any more")
    if waiting.check is not None and waiting.check.asked_by is not None:
        raise SendingRefused("this file is being sent already: its batch can be stopped by ops")
    await withdraw(connection, upload_id, waiting, "forgotten", actor)
    return waiting.object_key

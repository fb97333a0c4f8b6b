"""What the sender of a checked upload says: send it, or forget it. Each in the caller's transaction, under the upload's lock."""

from dataclasses import replace
from datetime import timedelta

from audit.events import Actor, AuditEvent, record_event
from database.connections import Connection
from processing.checked.uploads import (
    find_same_content,
    is_active,
    lock_waiting,
    record_check,
    wait_for_same_content,
    withdraw,
)
from processing.errors import SameFileSent, SendingRefused
from processing.verdicts.queueing import CHECKED_ENTRYPOINT, enqueue_verdict


async def ask_for_sending(
    connection: Connection,
    upload_id: str,
    life: timedelta,
    *,
    user_id: str,
    actor: Actor,
    known_same: str = "",
) -> bool:
    """Let a worker judge the upload anew and, if it is still good, make its batch.

    `known_same`: the upload of the same bytes of which whoever asks was told that it was sent before. False where somebody has
    said so before, or it has its outcome: its page tells which. Raises SendingRefused where it can't be sent; SameFileSent where
    there is another upload to be told of. `life` is how long it was to wait for that.
    """
    await wait_for_same_content(connection, upload_id)
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
    same = await find_same_content(connection, waiting.campaign_id, upload_id, waiting.sha256)
    if same is not None and same.upload_id != known_same:
        raise SameFileSent("the same file was sent before")
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

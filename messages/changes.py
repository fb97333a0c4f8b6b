"""What people ask of messages and batches that are on their way: retry, stop, release. Each leaves its audit event.

Each call makes a transaction of its own on `connection`, runs it again after a deadlock, and has committed when it returns.
`campaign_id` is given where the caller may touch this campaign's alone; others' are not found then.
"""

from audit.events import Actor
from database.connections import Connection


async def retry_message(
    connection: Connection, message_id: str, *, max_retries: int, actor: Actor, campaign_id: str | None = None
) -> None:
    """Begin a new attempt of a message that has failed; its id stays (8-api.md §2.4). Of two calls at once one wins.

    Raises MessageNotFound, MessageNotRetryable, RetryLimitReached.
    """
    raise NotImplementedError


async def retry_batch(
    connection: Connection, batch_id: str, *, max_retries: int, actor: Actor, campaign_id: str | None = None
) -> int:
    """Begin a new attempt of each failed message of a batch, but for those at their limit (8-api.md §2.6); returns how many.

    Raises BatchNotFound, BatchNotRetryable (the batch's status is `messages_enqueuing_failed` then, if it was so because a
    message is `created`).
    """
    raise NotImplementedError


async def stop_batch(
    connection: Connection, batch_id: str, *, actor: Actor, campaign_id: str | None = None
) -> int:
    """End a batch for good: what has not left becomes `failure`, `server_error/stopped`; returns how many messages that are.

    What waits to go again or to be retried ends too. Raises BatchNotFound, BatchEnded.
    """
    raise NotImplementedError


async def release_batch(
    connection: Connection, batch_id: str, *, actor: Actor, campaign_id: str | None = None
) -> None:
    """Let a batch go that was held, as it was there before the upgrade or could not begin in time.

    Raises BatchNotFound, BatchNotHeld.
    """
    raise NotImplementedError

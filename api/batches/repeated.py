"""Batch sends with an Idempotency-Key: the key is reserved with the upload, and the upload's outcome is the answer.

So a repetition is answered also where the first one's process died: its answer is composed anew, byte for byte, from the outcome.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.responses import Response

from api.batches.answers import final_answer
from api.idempotency import IdempotencyKeys, KeyedCall, in_use, replayed, reused
from config.errors import ConfigError
from config.logs import get_logger
from database.connections import Connection, Pool, database_troubles
from messages.idempotency_keys import Replay, Reserved, Reused, UnderWay, finish, look_up, reserve
from processing.awaited.uploads import fetch_outcome

logger = get_logger("api")


class RepeatedBatches:
    """What was answered to batch sends. A process has one."""

    def __init__(self, pool: Pool, keys: IdempotencyKeys) -> None:
        self._pool: Final = pool
        self._keys: Final = keys

    @asynccontextmanager
    async def hold(self, call: KeyedCall) -> AsyncIterator[Response | None]:
        """While the call is under way; with the answer that was given before, if any. Raises DomainRefused (409, 422)."""
        with self._keys.hold(call):
            yield await self._find(call)

    async def _find(self, call: KeyedCall) -> Response | None:
        with database_troubles():
            async with self._pool.acquire() as connection:
                found = await look_up(
                    connection, campaign_id=call.campaign_id, key=call.key, fingerprint=call.fingerprint
                )
                match found:
                    case None:
                        return None
                    case UnderWay(upload_id) if upload_id is not None:
                        outcome = await fetch_outcome(connection, upload_id)
                        answer = None if outcome is None else final_answer(outcome)
                        return replayed(found if answer is None else Replay(*answer))
                    case _:
                        return replayed(found)

    async def reserve(self, connection: Connection, call: KeyedCall, upload_id: str) -> Exception | None:
        """Reserve the key in the transaction that takes the upload. Returns why it can't be taken."""
        claim = await reserve(
            connection,
            campaign_id=call.campaign_id,
            key=call.key,
            fingerprint=call.fingerprint,
            upload_id=upload_id,
        )
        match claim:
            case Reserved():
                return None
            case Reused():
                return reused()
            case UnderWay(holder) if holder == upload_id:
                # An earlier COMMIT, whose answer never came, was carried out.
                return None
            case UnderWay() | Replay():
                # Another process was a moment faster. A kept answer is told at the next try.
                return in_use()

    async def keep(self, call: KeyedCall, upload_id: str, status: int, answer: bytes) -> None:
        """Keep the answer. Where that fails it is composed again from the outcome."""
        try:
            with database_troubles():
                async with self._pool.acquire() as connection:
                    await finish(
                        connection,
                        campaign_id=call.campaign_id,
                        key=call.key,
                        upload_id=upload_id,
                        status=status,
                        answer=answer,
                    )
        except ConfigError as error:
            logger.warning("answer_not_kept", upload_id=upload_id, reason=str(error))

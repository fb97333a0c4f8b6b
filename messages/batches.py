"""The tables `batches` and `messages`: an accepted upload's rows, handed over to the sending core. All or nothing."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import BinaryIO, Final

from database.connections import Connection, affected
from database.queries import NamedQueries

SQL: Final = NamedQueries("messages", "batches.sql")
_COPY_SECONDS: Final = 300
# Bytes of COPY text that are read at once; of more the library has pieces read by a thread.
_READ_AT_ONCE: Final = 128 * 1024


async def create_batch(
    connection: Connection,
    *,
    batch_id: str,
    campaign_id: str,
    upload_id: str,
    file_name: str,
    frame: Mapping[str, object],
    messages: BinaryIO,
    columns: Sequence[str],
    total_messages: int,
    creator_id: str | None = None,
) -> None:
    """Write the batch and its messages in the caller's transaction, and announce it when that commits.

    `messages` holds PostgreSQL's COPY text, from its beginning; `columns` are its columns, in their order. The batch's number is
    the table's own default, left by the insert of the batch. `frame` is what stood around each body when the rows were
    validated: `{"before": text, "after": {language: text}}`; it is kept, so that what is sent is what was counted.
    `creator_id`: the user who made it; None: the campaign's creator.
    Raises ValueError when the number of rows copied is not `total_messages`; asyncpg's COPY errors hold rows, so the caller
    must not let them out.
    """
    await connection.execute(
        SQL["insert_batch"],
        batch_id,
        campaign_id,
        upload_id,
        file_name,
        total_messages,
        json.dumps(frame),
        creator_id,
    )
    status = await connection.copy_to_table(
        "messages", source=_copy_source(messages), columns=columns, format="text", timeout=_COPY_SECONDS
    )
    copied = affected(status)
    if copied != total_messages:
        message = f"{copied} messages copied of {total_messages}"
        raise ValueError(message)
    await connection.execute(SQL["hand_over"], batch_id)


def _copy_source(messages: BinaryIO) -> BinaryIO | AsyncIterator[bytes]:
    messages.seek(0)
    beginning = messages.read(_READ_AT_ONCE + 1)
    if len(beginning) <= _READ_AT_ONCE:
        return _single(beginning)
    messages.seek(0)
    return messages


async def _single(piece: bytes) -> AsyncIterator[bytes]:
    yield piece

"""A single message of an archive, fetched from its files."""

import asyncio

from database.connections import Connection
from messages.archived.ranges import find_archive
from messages.identifiers import parse_message_id
from messages.retrieval import Message, fetch_batch_of, fetch_creators, make_attempt, make_message
from processing.archives.archives import find_files
from processing.archives.archiving import fetch_file
from processing.archives.files import ATTEMPTS, MESSAGES, find_rows
from processing.object_store import ObjectStore


async def fetch_archived_message(
    connection: Connection, store: ObjectStore, identifier: str
) -> Message | None:
    """The archived message of that id; None where no archive has it. Raises ArchiveDamaged, StoreUnavailable."""
    key = parse_message_id(identifier)
    if key is None:
        return None
    batch = await fetch_batch_of(connection, key)
    archive = None if batch is None else await find_archive(connection, batch.number)
    if batch is None or archive is None:
        return None
    files = await find_files(connection, archive, (batch.number, key.row_number))
    creators = await fetch_creators(connection, [batch])
    place = (batch.number, key.row_number)
    found = {
        file.holds: await asyncio.to_thread(find_rows, await fetch_file(store, file), *place)
        for file in files
    }
    if not found.get(MESSAGES.table):
        return None
    attempts = [make_attempt(row) for row in found[ATTEMPTS.table]]
    return make_message(found[MESSAGES.table][0], batch, attempts, creators.get(batch.creator_id))

"""What a campaign sees of the uploads that it has sent: the database's answers to a listing, a STAT or a SETSTAT.

This is the border to PostgreSQL for the drop box: it sets the time-out, and makes the database's errors a refusal.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from weakref import WeakValueDictionary

from database.connections import Connection, Pool, database_troubles
from database.errors import ServiceUnreachable
from processing.uploads import (
    ListedUpload,
    fetch_listed_upload,
    fetch_listed_uploads,
    has_upload_since,
    record_modified_at,
    unlist_upload,
)
from sftpd.refusals import ListingUnavailable


class ReceivedUploads:
    """The uploads of the last 24 hours, of any campaign. One per process.

    Each method waits at most `timeout` seconds for the database, and then raises ListingUnavailable. A campaign has at
    most `at_a_time` questions before it, so that others find a connection.
    """

    def __init__(self, pool: Pool, *, timeout: float, at_a_time: int) -> None:
        self._pool = pool
        self._timeout = timeout
        self._at_a_time = at_a_time
        # By campaign, as long as one of its questions holds or awaits its turn.
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def fetch_newest(self, campaign_id: str, most: int) -> list[ListedUpload]:
        """The newest `most` uploads, of each name only the newest."""
        async with self._connection(campaign_id) as connection:
            return await fetch_listed_uploads(connection, campaign_id, most)

    async def fetch(self, campaign_id: str, name: str) -> ListedUpload | None:
        """The newest upload of that name, or None where the campaign sent none."""
        async with self._connection(campaign_id) as connection:
            return await fetch_listed_upload(connection, campaign_id, name)

    async def has_any_since(self, campaign_id: str, names: Sequence[str], since: datetime) -> bool:
        """Whether any node has taken in, or refused and told, an upload of one of these names since that time."""
        async with self._connection(campaign_id) as connection:
            return await has_upload_since(connection, campaign_id, names, since)

    async def unlist(self, campaign_id: str, name: str) -> None:
        """Take a name out of the listing. Its uploads go on as if nothing had happened."""
        async with self._connection(campaign_id) as connection:
            await unlist_upload(connection, campaign_id, name)

    async def record_modified_at(self, campaign_id: str, name: str, modified_at: datetime) -> None:
        """Show in the listing a modification time that the client set after its upload was taken in."""
        async with self._connection(campaign_id) as connection:
            await record_modified_at(connection, campaign_id, name, modified_at)

    @asynccontextmanager
    async def _connection(self, campaign_id: str) -> AsyncIterator[Connection]:
        turns = self._turns.setdefault(campaign_id, asyncio.Semaphore(self._at_a_time))
        try:
            # Waiting behind one's own questions is not the database's fault.
            async with turns:
                with database_troubles():
                    async with asyncio.timeout(self._timeout), self._pool.acquire() as connection:
                        yield connection
        except ServiceUnreachable:
            raise ListingUnavailable from None

"""The newest claim's time in the bucket: what the sending core compares its database with."""

import contextlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from processing.errors import ObjectMissing, StoreUnavailable
from processing.object_store import ObjectStore
from sending.upkeep.restored import NEWEST_CLAIM_KEY


class BucketClaimMark:
    """The `ClaimMark` of a gateway: an object that holds a time, such as 2026-11-25T01:30:12.417000+00:00."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def read(self) -> datetime | None:
        """See ClaimMark. An object that holds no time is a bucket that can't be relied on: OSError."""
        found = io.BytesIO()
        try:
            with _away():
                await self._store.fetch(NEWEST_CLAIM_KEY, found)
        except ObjectMissing:
            return None
        try:
            return datetime.fromisoformat(found.getvalue().decode("ascii").strip()).astimezone(UTC)
        except ValueError:
            raise OSError(f"the object {NEWEST_CLAIM_KEY} holds no time") from None

    async def write(self, at: datetime) -> None:
        """See ClaimMark."""
        with _away():
            source = io.BytesIO(at.isoformat().encode("ascii"))
            await self._store.put(NEWEST_CLAIM_KEY, source, download_name="newest-claim")


@contextlib.contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except StoreUnavailable as error:
        raise OSError(str(error)) from None

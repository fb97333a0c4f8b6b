"""A mark beside each upload's original says what became of it: `outcomes/<campaignId>/<uploadId>.json`, counts and ids only.

It is put before an outcome is committed, and so before an e-mail or a message can leave: of an upload without a mark nothing was
told or sent. One with a mark may have: the transaction after it can still have failed. The intake's own mark says that the
sender was told that nothing was taken.
"""

import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from processing.errors import ObjectMissing, StoreUnavailable
from processing.object_store import OUTCOMES, ObjectStore
from processing.uploads import Upload

_MOST_BYTES: Final = 4096


class Marked(StrEnum):
    """What a mark says of its upload."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FAILED = "failed"
    # Its sender, who waited for the outcome, was told that nothing is sent.
    WITHDRAWN = "withdrawn"
    # Its sender was told that it wasn't taken, and sends it again.
    NOT_TAKEN = "not_taken"


@dataclass(frozen=True, slots=True)
class Mark:
    """`facts` are columns of the upload's outcome. Made when there were so many outcomes, in the attempt of that number."""

    says: Marked
    at: datetime
    facts: dict[str, Any] = field(default_factory=dict)
    outcome: int = 0
    attempt: int = 0


def mark_key(campaign_id: str, upload_id: str) -> str:
    """Where an upload's mark lies."""
    return f"{OUTCOMES}/{campaign_id}/{upload_id}.json"


async def put_mark(store: ObjectStore, upload: Upload, says: Marked, **facts: object) -> None:
    """Mark an upload before it has its outcome. Raises StoreUnavailable: then it must not get it."""
    mark = Mark(says, datetime.now(UTC), facts, upload.outcome, upload.attempts)
    await _put(store, upload.campaign_id, upload.id, mark)


async def put_not_taken_mark(store: ObjectStore, campaign_id: str, upload_id: str) -> None:
    """Mark an original whose sender was told that it wasn't taken. Raises StoreUnavailable."""
    await _put(store, campaign_id, upload_id, Mark(Marked.NOT_TAKEN, datetime.now(UTC)))


async def _put(store: ObjectStore, campaign_id: str, upload_id: str, mark: Mark) -> None:
    document = {
        "says": mark.says.value,
        "at": mark.at.isoformat(),
        "facts": mark.facts,
        "outcome": mark.outcome,
        "attempt": mark.attempt,
    }
    content = io.BytesIO(json.dumps(document).encode())
    await store.put(mark_key(campaign_id, upload_id), content, download_name="outcome.json")


async def fetch_mark(store: ObjectStore, campaign_id: str, upload_id: str) -> Mark | None:
    """An upload's mark, or None where it has none. Raises StoreUnavailable, also where what lies there is no mark."""
    content = io.BytesIO()
    try:
        await store.fetch(mark_key(campaign_id, upload_id), content)
    except ObjectMissing:
        return None
    try:
        found = json.loads(content.getvalue()[:_MOST_BYTES])
        return Mark(
            Marked(found["says"]),
            datetime.fromisoformat(found["at"]),
            found["facts"],
            found["outcome"],
            found["attempt"],
        )
    except (ValueError, KeyError, TypeError):
        raise StoreUnavailable("what lies in place of an upload's mark is none") from None

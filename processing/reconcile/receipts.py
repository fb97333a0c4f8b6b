"""What an original's metadata tells of its upload: all that its row knew when it was received."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from audit.events import Actor
from processing.object_store import Description, StoredObject
from processing.uploads import Source

_VERSION: Final = "1"
_FILE_NAME: Final = "file-name"


class Taken(StrEnum):
    """Why the original was stored: to be judged, or kept of an upload that was refused as interrupted."""

    WHOLE = "whole"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Of one upload. Times are aware UTC; `creator_id`, `source_address` and `connection_id` as in its row."""

    upload_id: str
    campaign_id: str
    source: Source
    taken: Taken
    file_name: str
    received_at: datetime
    modified_at: datetime | None = None
    source_address: str | None = None
    connection_id: str | None = None
    creator_id: str | None = None


class ReceiptUnreadable(Exception):  # noqa: N818 - a fact, read as one
    """The original has a receipt of ours that can't be read here."""


def receipt_of(
    upload_id: str,
    campaign_id: str,
    source: Source,
    file_name: str,
    actor: Actor,
    received_at: datetime,
    *,
    taken: Taken = Taken.WHOLE,
    modified_at: datetime | None = None,
    creator_id: str | None = None,
) -> Receipt:
    """The receipt of an upload that came from `actor`."""
    return Receipt(
        upload_id, campaign_id, source, taken, file_name, received_at, modified_at, actor.source_address,
        actor.connection_id, creator_id,
    )  # fmt: skip


def describe(receipt: Receipt) -> Description:
    """The receipt as an object's metadata. The object's SHA-256 is added by the store."""
    facts = {
        "receipt": _VERSION,
        "upload-id": receipt.upload_id,
        "campaign-id": receipt.campaign_id,
        "source": receipt.source.value,
        "taken": receipt.taken.value,
        "received-at": receipt.received_at.isoformat(),
        "modified-at": receipt.modified_at and receipt.modified_at.isoformat(),
        "source-address": receipt.source_address,
        "connection-id": receipt.connection_id,
        "creator-id": receipt.creator_id,
    }
    return Description(
        {name: value for name, value in facts.items() if value}, {_FILE_NAME: receipt.file_name}
    )


def read_receipt(found: StoredObject) -> Receipt | None:
    """The receipt that an object has, or None where it has none of ours. Raises ReceiptUnreadable."""
    facts = found.description.open
    if facts.get("receipt") != _VERSION:
        return None
    name = found.description.private.get(_FILE_NAME)
    if name is None:
        raise ReceiptUnreadable
    try:
        return Receipt(
            upload_id=facts["upload-id"],
            campaign_id=facts["campaign-id"],
            source=Source(facts["source"]),
            taken=Taken(facts["taken"]),
            file_name=name,
            received_at=datetime.fromisoformat(facts["received-at"]),
            modified_at=_time(facts, "modified-at"),
            source_address=facts.get("source-address"),
            connection_id=facts.get("connection-id"),
            creator_id=facts.get("creator-id"),
        )
    except (KeyError, ValueError):
        raise ReceiptUnreadable from None


def _time(facts: Mapping[str, str], name: str) -> datetime | None:
    return datetime.fromisoformat(facts[name]) if name in facts else None

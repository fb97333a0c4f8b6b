"""Where a page of a bill's campaigns ended, as it stands in addresses."""

from datetime import datetime
from typing import NamedTuple


class Place(NamedTuple):
    """When a campaign was created, and its id."""

    created_at: datetime
    campaign_id: str


def place_text(place: Place) -> str:
    """The text of a place."""
    return f"{place.created_at.isoformat()} {place.campaign_id}"


def parse_place(text: str) -> Place | None:
    """The place that `text` is; None, which is the beginning, where no page has given it."""
    before, _, campaign_id = text.replace("\0", "").partition(" ")
    try:
        created_at = datetime.fromisoformat(before)
    except ValueError:
        return None
    # Beyond these years a time of another zone has none in UTC.
    if created_at.tzinfo is None or not 2000 <= created_at.year < 9000:
        return None
    return Place(created_at, campaign_id)

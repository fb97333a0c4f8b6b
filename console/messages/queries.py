"""What a page of messages is asked for by its address: search, filters, and from which place on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

from console.errors import PageRefused
from console.messages.cursors import parse_cursor
from console.messages.sight import Sight
from console.rendering import SINGAPORE
from messages.pages import Filters, Place, Scope, Towards, is_number
from messages.retrieval import Batch
from messages.statuses import ErrorCode, MessageStatus

MOST_SEARCHED: Final = 20
# What is asked for by each choice of a status: a word of the console's stands for all that it means.
STATUSES: Final = {
    "pending": frozenset({MessageStatus.CREATED, MessageStatus.ENQUEUED, MessageStatus.SENDING}),
    "created": frozenset({MessageStatus.CREATED}),
    "enqueued": frozenset({MessageStatus.ENQUEUED}),
    "sending": frozenset({MessageStatus.SENDING}),
    "sent": frozenset({MessageStatus.SENT, MessageStatus.SENT_TO_TELCO}),
    "sent_to_telco": frozenset({MessageStatus.SENT_TO_TELCO}),
    "success": frozenset({MessageStatus.SUCCESS}),
    "failure": frozenset({MessageStatus.FAILURE}),
}
STATUS_CHOICES: Final = (
    ("", "Any status"),
    ("pending", "pending"),
    ("created", "pending: created"),
    ("enqueued", "pending: enqueued"),
    ("sending", "pending: sending"),
    ("sent", "sent"),
    ("sent_to_telco", "sent: sent_to_telco"),
    ("success", "success"),
    ("failure", "failure"),
)
ERROR_CHOICES: Final = (("", "Any error"), *((code.value, code.value) for code in ErrorCode))
_FIELDS: Final = ("search", "status", "error", "from", "to", "creator")


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """A query as it was read. `given` are its fields as they stand in the form; `errors` what is wrong with them, by field."""

    scope: Scope
    given: Mapping[str, str] = field(repr=False)
    errors: Mapping[str, str]
    place: Place | None
    towards: Towards

    @property
    def is_newest(self) -> bool:
        """Whether it asks for the newest messages, whatever they are."""
        return not any(self.given.values()) and self.place is None


def parse_query(
    query: Mapping[str, str], sight: Sight, campaign_id: str, batch: Batch | None = None
) -> MessageQuery:
    """Read a query. Raises PageRefused (400), where the place is none."""
    given = {name: query.get(name, "").replace("\0", "").strip() for name in _FIELDS}
    if not sight.may_search:
        given["search"] = ""
    if batch is not None or not sight.sees_others:
        given["creator"] = ""
    errors: dict[str, str] = {}
    search = _parse_search(given["search"], errors)
    since, until = _parse_day(given, "from", errors), _parse_day(given, "to", errors)
    if since and until and since > until:
        errors["from"] = "The first day is after the last one"
    filters = Filters(
        statuses=_parse_status(given["status"], errors),
        error=_parse_error(given["error"], errors),
        since=since,
        until=until + timedelta(days=1) if until else None,
        creator_id=given["creator"] or (None if batch is not None else sight.only_of),
    )
    place, towards = parse_place(query)
    return MessageQuery(Scope(campaign_id, batch, search, filters), given, errors, place, towards)


def parse_place(query: Mapping[str, str]) -> tuple[Place | None, Towards]:
    """From where on, and which way. Raises PageRefused (400)."""
    for name, towards in (("after", Towards.OLDER), ("before", Towards.NEWER)):
        text = query.get(name)
        if text:
            place = parse_cursor(text)
            if place is None:
                raise PageRefused(400, "This address leads nowhere: open the page from its beginning.")
            return place, towards
    return None, Towards.OLDER


def _parse_search(text: str, errors: dict[str, str]) -> str | None:
    digits = text.removeprefix("+").replace(" ", "")
    if not digits:
        return None
    if not is_number(digits) or len(digits) > MOST_SEARCHED:
        errors["search"] = f"Search for digits of the number, {MOST_SEARCHED} at most, such as 9123"
        return None
    return digits


def _parse_day(given: Mapping[str, str], name: str, errors: dict[str, str]) -> datetime | None:
    """Where the day begins in Singapore."""
    if not given[name]:
        return None
    try:
        day = date.fromisoformat(given[name])
        if not 2000 <= day.year <= 2999:
            raise ValueError
    except ValueError:
        errors[name] = "Give a day as year, month and day, such as 2026-11-28"
        return None
    return datetime.combine(day, time(), SINGAPORE)


def _parse_status(text: str, errors: dict[str, str]) -> frozenset[MessageStatus] | None:
    if not text:
        return None
    found = STATUSES.get(text)
    if found is None:
        errors["status"] = "Choose one of the statuses"
    return found


def _parse_error(text: str, errors: dict[str, str]) -> ErrorCode | None:
    try:
        return ErrorCode(text) if text else None
    except ValueError:
        errors["error"] = "Choose one of the errors"
        return None

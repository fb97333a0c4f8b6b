"""What a log is asked for by the page's form, and how much of it its visitor may have."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final

from campaigns.campaigns import Campaign
from console.forms import Form
from console.messages.sight import Sight
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries
from messages.logs.rows import LogQuery
from messages.retrieval import Batch, fetch_batch
from messages.statuses import ErrorCode, MessageStatus
from processing.exports.exports import Export, LogRequest
from processing.exports.exports import Form as FileForm
from processing.exports.logs import query_of
from rules.billing.periods import Month, day_of

SQL: Final = NamedQueries("console", "logs/logs.sql")
STATUS_CHOICES: Final = tuple((status.word, status.word, "") for status in MessageStatus)
FORM_CHOICES: Final = (
    ("csv", "CSV", "Cells that begin with =, +, - or @ have an apostrophe in front, so that nothing takes them for formulas."),
    ("xlsx", "XLSX", "Such cells are texts as they are. Above 1,000,000 rows there are several sheets."),
)  # fmt: skip
# Longer than any billing period.
_MOST_DAYS: Final = 366
_DAY: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", re.ASCII)
_NO_DAY: Final = "Type a day, such as 2026-11-01."


@dataclass(frozen=True, slots=True)
class Asked:
    """A form as it was read. `given`: its fields; `errors`: what is wrong with them, by field; without any there is a request."""

    given: Mapping[str, str]
    statuses: Sequence[str]
    errors: Mapping[str, str] = field(default_factory=dict)
    request: LogRequest | None = None
    batch: Batch | None = None


def first_asked(batch: Batch | None, now: datetime) -> Asked:
    """What the form has at first: the month so far, or a batch since it was made."""
    today = day_of(now)
    first = day_of(batch.created_at) if batch else Month.of(today).first
    if (today - first).days >= _MOST_DAYS:
        today = date.fromordinal(first.toordinal() + _MOST_DAYS - 1)
    given = {
        "batch": batch.id if batch else "",
        "from": first.isoformat(),
        "to": today.isoformat(),
        "error": "",
        "form": "csv",
    }
    return Asked(given, ())


async def read_asked(connection: Connection, visit: Visit, sight: Sight, form: Form) -> Asked:
    """What the form asks for, as far as its visitor may have it."""
    given = {name: form.words(name) for name in ("batch", "from", "to", "error", "form")}
    statuses = [word for word, _, _ in STATUS_CHOICES if word in form.all("statuses")]
    asked = Asked(given, statuses)
    errors: dict[str, str] = {}
    first, last = _day_of(given["from"]), _day_of(given["to"])
    if first is None:
        errors["from"] = _NO_DAY
    if last is None:
        errors["to"] = _NO_DAY
    if first and last and last < first:
        errors["to"] = "The last day is before the first one."
    elif first and last and (last - first).days >= _MOST_DAYS:
        errors["to"] = f"Ask for {_MOST_DAYS} days at most."
    if given["error"] and given["error"] not in set(ErrorCode):
        errors["error"] = "Choose an error of the list."
    if given["form"] not in set(FileForm):
        errors["form"] = "Choose CSV or XLSX."
    batch = await fetch_batch(connection, given["batch"]) if given["batch"] else None
    if given["batch"] and not is_seen(batch, visit, sight):
        errors["batch"] = "There is no batch with this id in this campaign."
    if errors or first is None or last is None:
        return replace(asked, errors=errors)
    request = LogRequest(
        first,
        last,
        FileForm(given["form"]),
        frozenset(MessageStatus[word.upper()] for word in statuses) or frozenset(MessageStatus),
        frozenset({ErrorCode(given["error"])}) if given["error"] else None,
        batch.id if batch else None,
        only_of=sight.only_of,
        is_masked=is_masked(sight),
    )
    return replace(asked, request=request, batch=batch)


def is_seen(batch: Batch | None, visit: Visit, sight: Sight) -> bool:
    """Whether there is such a batch in the visit's campaign for whoever looks."""
    return batch is not None and batch.campaign_id == visit.campaign_id and sight.sees(batch)


def is_masked(sight: Sight) -> bool:
    """Whether numbers are masked, and values left out: for whoever sees others' messages without their contents."""
    return sight.sees_others and not sight.sees_all_contents


def may_have(export: Export, sight: Sight) -> bool:
    """Whether a file that somebody has asked for shows no more than that person may see now."""
    request = export.request
    return (
        export.user_id == sight.user_id
        and (request.only_of is not None or sight.sees_others)
        and (request.is_masked or not is_masked(sight))
    )


async def find_query(
    connection: Connection, visit: Visit, campaign: Campaign, request: LogRequest
) -> LogQuery | None:
    """What is to be read for it; None where its batch is not there any more."""
    return await query_of(connection, campaign, request, visit.settings.billing, visit.settings.environment)


async def count_expected(connection: Connection, query: LogQuery, batch: Batch | None) -> int:
    """About how many rows it has, whatever the statuses; nothing of what others have sent where it leaves that out."""
    if batch is not None:
        return batch.total_messages
    count: int = await connection.fetchval(
        SQL["count_expected"], query.campaign.id, query.first, query.last, query.begins_at, query.ends_at,
        query.only_of, query.campaign.creator.id,
    )  # fmt: skip
    return count


def _day_of(text: str) -> date | None:
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None

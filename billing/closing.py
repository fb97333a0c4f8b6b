"""Posting months: from then on nothing of them moves, and what each agency is charged stands in its report.

A month is posted in one transaction, which has the totals to itself: what outcomes were written before it is in the month, and
who writes one after it finds the month closed. It can be asked for twice, and by many at once.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from audit.details import EventDetails
from audit.events import NOBODY, Actor, AuditEvent, record_event
from billing.errors import BillingRefused
from billing.months import fetch_closed_before, lock_usage_alone, record_month
from billing.terms import charged_columns
from config.fault_points import reach
from config.logs import get_logger
from database.connections import Connection, Pool
from database.queries import NamedQueries
from rules.billing.outcomes import Terms
from rules.billing.periods import Month, day_of, dispute_by

SQL: Final = NamedQueries("billing", "closing.sql")
logger = get_logger("billing")
# Seconds. A month of very many campaigns takes longer than other statements may.
_POSTING_TIMEOUT: Final = 600


@dataclass(frozen=True, slots=True)
class PostedMonth:
    """A month that was posted just now, with so many reports."""

    month: Month
    reports: int


async def close_month(
    connection: Connection, terms: Terms, month: Month, *, now: datetime, actor: Actor
) -> list[PostedMonth]:
    """Post a month, after all before it that have usage and are not posted; returns those that weren't yet, in their order.

    Each has a transaction of its own. Raises BillingRefused: outside production, before charges start, before the month's day, or
    while totals of what an older release sent are still being counted.
    """
    _check_terms(terms, month)
    if now < month.posted_from:
        raise BillingRefused(
            f"{month} is posted from {day_of(month.posted_from)}, 00:00 in Singapore, on: until then it can change"
        )
    posted = []
    while (done := await _post_next(connection, terms, month, now=now, actor=actor)) is not None:
        reach("billing.committed")
        posted.append(done)
    return posted


async def close_due_months(pool: Pool, terms: Terms, *, now: datetime) -> None:
    """Post all months whose day has come; in production, where there are any."""
    month = Month.of(now).previous
    if now < month.posted_from:
        month = month.previous
    if not terms.is_production or month < Month.of(terms.starts):
        return
    async with pool.acquire() as connection:
        closed_before = await fetch_closed_before(connection)
        # Until those are counted there is nothing to be done, and nothing to be told either.
        if (closed_before is None or closed_before <= month.first) and not await _is_still_counting(
            connection
        ):
            for posted in await close_month(connection, terms, month, now=now, actor=NOBODY):
                logger.info("month_posted", month=str(posted.month), reports=posted.reports)


def _check_terms(terms: Terms, month: Month) -> None:
    if not terms.is_production:
        raise BillingRefused("nothing is charged here, so nothing is posted: that is for production alone")
    if month < Month.of(terms.starts):
        raise BillingRefused(f"{month} is not charged: charges start on {terms.starts}")


async def _is_still_counting(connection: Connection) -> bool:
    return bool(await connection.fetchval(SQL["is_still_counting"]))


async def _fetch_next(connection: Connection, terms: Terms, until: Month) -> Month | None:
    """The first month that is to be posted so that all are up to this one: it, or one before it that has usage."""
    closed_before = await fetch_closed_before(connection)
    month = Month.of(terms.starts)
    if closed_before is not None:
        month = max(month, Month.of(closed_before))
    while month < until and not await connection.fetchval(SQL["has_usage"], month.first, month.last):
        month = month.next
    return month if month <= until else None


async def _post_next(
    connection: Connection, terms: Terms, until: Month, *, now: datetime, actor: Actor
) -> PostedMonth | None:
    """Post the next month up to this one; None where there is none left."""
    if await _fetch_next(connection, terms, until) is None:
        return None
    async with connection.transaction(isolation="read_committed"):
        await lock_usage_alone(connection)
        reach("billing.locked")
        # Only now nothing comes in between: neither usage of an earlier month nor somebody else who posts.
        month = await _fetch_next(connection, terms, until)
        if month is None:
            return None
        if await _is_still_counting(connection):
            raise BillingRefused(
                "what was sent before the upgrade is still being counted, by `sftp-gateway migrate`: close the month after it"
            )
        reports = await _post(connection, terms, month, now=now, actor=actor)
        reach("billing.posted")
    return PostedMonth(month, reports)


async def _post(connection: Connection, terms: Terms, month: Month, *, now: datetime, actor: Actor) -> int:
    """Write a month and its reports; returns how many there are."""
    await record_month(connection, month, now)
    reports = await connection.fetchval(
        SQL["insert_reports"],
        month.first,
        # Nothing before charges start is on a bill.
        max(month.first, terms.starts),
        month.last,
        now,
        dispute_by(now),
        *charged_columns(terms),
        timeout=_POSTING_TIMEOUT,
    )
    details: EventDetails = {"month": str(month), "reports": reports}
    await record_event(connection, AuditEvent.BILLING_MONTH_POSTED, actor=actor, details=details)
    return int(reports)

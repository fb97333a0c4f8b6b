"""Corrections of reports that were posted: a new version each, with its reason. The versions before it stay as they are."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from billing.errors import BillingRefused, NotPosted
from billing.months import fetch_posted_at, lock_usage_alone
from billing.prices import fetch_prices
from database.connections import Connection
from database.queries import NamedQueries
from rules.billing.outcomes import FOREIGN, LOCAL
from rules.billing.periods import Month, day_of

SQL: Final = NamedQueries("billing", "corrections.sql")
_LONGEST_REASON: Final = 500
# More than all of Singapore sends in a month, and far from what sums can hold.
_MOST_SEGMENTS: Final = 10**9


@dataclass(frozen=True, slots=True)
class CorrectedReport:
    """The report that a correction has made. `mills`: what it changes."""

    agency_id: str
    version: int
    mills: int
    dispute_by: date


async def correct_month(
    connection: Connection,
    month: Month,
    campaign_id: str,
    segments: int,
    *,
    foreign: bool,
    reason: str,
    now: datetime,
    actor: Actor,
) -> CorrectedReport:
    """Charge so many segments more of a campaign, or fewer, in a month that was posted: at the price of its last day.

    Raises NotPosted; BillingRefused: no such campaign, one that is never charged, no reason, nothing to change, after the last
    day for disputes, or less than nothing left.
    """
    reason = " ".join(reason.split())
    if not reason or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise BillingRefused(f"a correction needs a reason of 1 to {_LONGEST_REASON} printable characters")
    if not segments or abs(segments) > _MOST_SEGMENTS:
        raise BillingRefused(f"a correction is of 1 to {_MOST_SEGMENTS:,} segments, more or fewer")
    destination = FOREIGN if foreign else LOCAL
    async with connection.transaction(isolation="read_committed"):
        await lock_usage_alone(connection)
        agency_id = await _fetch_payer(connection, campaign_id, month)
        latest = await connection.fetchrow(SQL["fetch_latest"], agency_id, month.first)
        if latest is None:
            if await fetch_posted_at(connection, month) is None:
                raise NotPosted(f"{month} is not posted yet: what it comes to can still change by itself")
            raise BillingRefused(
                f"the agency of {campaign_id} has no report of {month}: it sent nothing then"
            )
        if day_of(now) > latest["dispute_by"]:
            raise BillingRefused(f"{month} is final: it could be disputed until {latest['dispute_by']}")
        price = (await fetch_prices(connection)).on(month.last)
        mills_each = price.foreign_mills if foreign else price.local_mills
        charged = await connection.fetchrow(SQL["sum_charged"], latest["id"], campaign_id, destination)
        assert charged is not None  # noqa: S101 - sums always have a row
        if charged["segments"] + segments < 0 or charged["mills"] + segments * mills_each < 0:
            raise BillingRefused(
                f"{month} charges {campaign_id} for {charged['segments']:,} {destination} segments:"
                " no more than that can be taken back"
            )
        version = await connection.fetchval(
            SQL["insert_correction"],
            latest["id"],
            now,
            reason,
            destination,
            segments,
            mills_each,
            campaign_id,
        )
        details: EventDetails = {
            "agency_id": agency_id,
            "month": str(month),
            "version": version,
            "destination": destination,
            "segments": segments,
            "reason": reason,
        }
        await record_event(
            connection, AuditEvent.BILLING_CORRECTED, campaign_id=campaign_id, actor=actor, details=details
        )
    return CorrectedReport(agency_id, version, segments * mills_each, latest["dispute_by"])


async def _fetch_payer(connection: Connection, campaign_id: str, month: Month) -> str:
    row = await connection.fetchrow(SQL["fetch_campaign"], campaign_id, month.first)
    if row is None:
        raise BillingRefused(
            f"there is no campaign {campaign_id!r:.80}: see `sftp-gateway billing report`, which names them"
        )
    if row["channel"] != "public":
        raise BillingRefused(f"{campaign_id} is an internal campaign, which is never charged here")
    return str(row["payer"])

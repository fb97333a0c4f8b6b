"""Campaigns of agencies, and what they send, delivered at once."""

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime

from database.connections import Connection
from messages.attempts import record_news
from messages.news import Receipt
from messages.statuses import MessageStatus
from rules.billing.outcomes import Terms
from rules.billing.periods import Month, period_of
from tests.messages.builders import LOCAL, MadeBatch, make_batch

STARTS = date(2025, 7, 1)
TERMS = Terms(starts=STARTS, charge_own_expiry=False, is_production=True)
TEST = Terms(starts=STARTS, charge_own_expiry=False, is_production=False)
OCTOBER = Month(2026, 10)
IN_OCTOBER = datetime(2026, 10, 10, 4, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)
PERIOD = period_of(OCTOBER, STARTS)


async def delivered(
    connection: Connection, campaign_id: str, recipient: str = LOCAL, at: datetime = IN_OCTOBER, rows: int = 1
) -> MadeBatch:
    """A batch of a segment a row, all of it sent and delivered at that time."""
    batch = await make_batch(
        connection, campaign_id, [MessageStatus.SENDING] * rows, recipient=recipient, at=at
    )
    async with connection.transaction():
        await record_news(
            connection,
            [Receipt(batch.key(row), MessageStatus.SUCCESS, at=at) for row in range(2, 2 + rows)],
            now=at,
        )
    return batch


async def agency_of(connection: Connection, campaign_id: str) -> str:
    return str(await connection.fetchval("select agency_id from campaigns where id = $1", campaign_id))


async def make_agency(connection: Connection, name: str, domains: Sequence[str]) -> str:
    """An agency with these domains; returns its id."""
    agency_id = f"agency_{uuid.uuid4()}"
    await connection.execute("insert into agencies (id, name) values ($1, $2)", agency_id, name)
    await connection.execute(
        "insert into agency_domains (domain, agency_id) select unnest($2::text[]), $1", agency_id, domains
    )
    return agency_id


async def make_campaign(
    connection: Connection,
    agency_id: str,
    creator: str,
    name: str = "Reminders",
    *,
    channel: str = "public",
    campaign_id: str | None = None,
    at: datetime = IN_OCTOBER,
) -> str:
    """A campaign of a creator with that address; returns its id."""
    user_id = await connection.fetchval(
        "insert into users (id, email, agency_id) values ($1, $2, $3)"
        " on conflict (email) do update set email = excluded.email returning id",
        f"user_{uuid.uuid4()}",
        creator,
        agency_id,
    )
    made = campaign_id or f"c-{uuid.uuid4()}"
    await connection.execute(
        "insert into campaigns (id, name, channel, header, notify_email, created_at, agency_id, creator_id)"
        " values ($1, $2, $3, 'Clinic', 'ops@clinic.gov.sg', $4, $5, $6)",
        made,
        name,
        channel,
        at,
        agency_id,
        user_id,
    )
    await connection.execute(
        "insert into template_bodies (campaign_id, language, body, position) values ($1, 'english', 'Dear {{name}}', 0)",
        made,
    )
    return made

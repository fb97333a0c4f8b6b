"""What was posted with its month is charged in logs and delivery reports as it was then, whatever the settings say since."""

from dataclasses import replace
from datetime import timedelta

import pytest

from audit.events import NOBODY
from billing.closing import close_month
from campaigns.campaigns import Channel, fetch_known_campaign
from config.environment import Environment
from config.sections import BillingSettings
from database.connections import Connection, Pool
from messages.logs.charges import Charges
from messages.logs.rows import LogQuery
from messages.retrieval import fetch_batches, fetch_deliveries, read_deliveries
from messages.statuses import MessageStatus
from rules.billing.outcomes import Terms
from rules.billing.periods import Month
from tests.messages.builders import make_batch
from tests.messages.logs.test_rows import MIDNIGHT, NOVEMBER, OCTOBER, read


@pytest.mark.parametrize("posted_charges", [False, True])
async def test_what_was_posted_of_our_own_expiries_stays_whatever_the_settings_say_since(
    pool: Pool, connection: Connection, campaign_id: str, posted_charges: bool
) -> None:
    for at in (MIDNIGHT - timedelta(days=1), MIDNIGHT):
        await make_batch(connection, campaign_id, [MessageStatus.SENDING, MessageStatus.SUCCESS], at=at)
    await connection.execute(
        "update attempts set status = 6, error = 'message_expired', expired = true where row_number = 2"
    )
    terms = Terms(starts=OCTOBER, charge_own_expiry=posted_charges, is_production=True)
    await close_month(connection, terms, Month.of(OCTOBER), now=MIDNIGHT + timedelta(days=9), actor=NOBODY)
    campaign = await fetch_known_campaign(connection, campaign_id)
    words = {True: "yes", False: "no"}
    for charge_own_expiry in (False, True):
        billing = BillingSettings(charge_own_expiry=charge_own_expiry)
        charges = await Charges.fetch(connection, campaign, billing, Environment.PRODUCTION)
        rows = await read(pool, LogQuery(campaign, charges, OCTOBER, NOVEMBER))
        expected_words = [words[posted_charges], "yes", words[charge_own_expiry], "yes"]
        assert [row["charged"] for row in rows] == expected_words
        for row in await connection.fetch("select batch_no, created_at from batches"):
            batch = (await fetch_batches(connection, {row["batch_no"]}))[row["batch_no"]]
            is_charged_now = posted_charges if row["created_at"] < MIDNIGHT else charge_own_expiry
            pieces = await fetch_deliveries(connection, batch, charges, after=0)
            async with connection.transaction():
                whole = [
                    each async for each in read_deliveries(connection, batch, set(MessageStatus), charges)
                ]
            assert [each["charged"] for each in pieces] == [int(is_charged_now), 1]
            assert [each["charged"] for each in whole] == [int(is_charged_now), 1]
    for environment, channel in (
        (Environment.TEST, Channel.PUBLIC),
        (Environment.PRODUCTION, Channel.INTERNAL),
    ):
        other = replace(campaign, channel=channel)
        charges = await Charges.fetch(connection, other, BillingSettings(charge_own_expiry=True), environment)
        rows = await read(pool, LogQuery(campaign, charges, OCTOBER, NOVEMBER))
        assert {row["charged"] for row in rows} == {"no"}

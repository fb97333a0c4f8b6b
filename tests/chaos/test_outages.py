"""The short form of `python -m tests.chaos --only outages`: each service fails in a way or two, and the gateway recovers."""

import pytest

from gateway.embedded.mail_server import MailboxMode
from tests.chaos.outages import database, mail_server, object_store, scenarios, spool
from tests.chaos.testbed.invariants import clean_spools, inspect, quiet
from tests.chaos.testbed.proxy import ProxyMode
from tests.chaos.testbed.split_gateway import SplitGateway, open_split_gateway
from tests.chaos.testbed.testbed import open_testbed


async def _busy_at_intake(gateway: SplitGateway) -> str:
    return await object_store.bucket_fails_at_intake(gateway, [ProxyMode.BUSY])


async def _cut_at_verdict(gateway: SplitGateway) -> str:
    return await object_store.bucket_fails_at_verdict(
        gateway, [ProxyMode.FORBIDDING, ProxyMode.CUTTING_ANSWERS]
    )


async def _mail_refused_for_now(gateway: SplitGateway) -> str:
    return await mail_server.mail_server_fails_for_now(gateway, MailboxMode.REFUSING_FOR_NOW)


@pytest.mark.timeout(400)
async def test_the_gateway_recovers_by_itself_from_what_its_services_do() -> None:
    async with open_testbed() as testbed, open_split_gateway(testbed) as gateway:
        await scenarios.run_outages(
            gateway,
            [
                ("PostgreSQL restarted", database.database_restarts_under_load),
                ("PostgreSQL away for a moment", database.database_is_away_for_a_moment),
                ("S3 busy at CLOSE", _busy_at_intake),
                ("S3 cutting once at CLOSE", object_store.bucket_cuts_once_at_intake),
                ("S3 failing at the verdict", _cut_at_verdict),
                ("SMTP 4xx", _mail_refused_for_now),
                ("SMTP 5xx", mail_server.mail_server_refuses_for_good),
                ("spool full", spool.spool_is_full),
            ],
        )
        await spool.campaign_is_at_its_quota(testbed, gateway.clients)
        await gateway.worker.stop()
        await database.commits_are_unclear(testbed, gateway.clients, rounds=1)
        await quiet(testbed)
        await clean_spools(testbed)
        (await inspect(testbed, gateway.clients.ledger, mail=False)).check()

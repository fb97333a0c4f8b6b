"""Show 2 of one outcome per upload, in its short form: each service fails in a way or two, and everything recovers."""

import pytest

from gateway.embedded.mail_server import MailboxMode
from tests.chaos import outages
from tests.chaos.world.invariants import clean_spools, inspect, quiet
from tests.chaos.world.outage_world import World, open_world
from tests.chaos.world.proxy import ProxyMode
from tests.chaos.world.rig import open_rig


async def _busy_at_intake(world: World) -> str:
    return await outages.bucket_fails_at_intake(world, [ProxyMode.BUSY])


async def _cut_at_verdict(world: World) -> str:
    return await outages.bucket_fails_at_verdict(world, [ProxyMode.FORBIDDING, ProxyMode.CUTTING_ANSWERS])


async def _mail_refused_for_now(world: World) -> str:
    return await outages.mail_server_fails_for_now(world, MailboxMode.REFUSING_FOR_NOW)


@pytest.mark.timeout(400)
async def test_the_gateway_recovers_by_itself_from_what_its_services_do() -> None:
    async with open_rig() as rig, open_world(rig) as world:
        await outages.run_outages(
            world,
            [
                ("PostgreSQL restarted", outages.database_restarts_under_load),
                ("PostgreSQL away for a moment", outages.database_is_away_for_a_moment),
                ("S3 busy at CLOSE", _busy_at_intake),
                ("S3 cutting once at CLOSE", outages.bucket_cuts_once_at_intake),
                ("S3 failing at the verdict", _cut_at_verdict),
                ("SMTP 4xx", _mail_refused_for_now),
                ("SMTP 5xx", outages.mail_server_refuses_for_good),
                ("spool full", outages.spool_is_full),
            ],
        )
        await outages.campaign_is_at_its_quota(rig, world.clients)
        await world.worker.stop()
        await outages.commits_are_unclear(rig, world.clients, rounds=1)
        await quiet(rig)
        await clean_spools(rig)
        (await inspect(rig, world.clients.ledger, mail=False)).check()

"""No key can hurt its neighbours: each attack beside a canary of another campaign (2-gateway.md §1, "Limits")."""

import pytest

from database.connections import Pool
from tests.conftest import KeyPair
from tests.sftpd.fronts import add_campaign
from tests.sftpd.neighbours.attacks import ATTACKS
from tests.sftpd.neighbours.rig import attack, front_process

_SECONDS = 1.0
# Those that pile something up have longer to do it.
_SECONDS_OF_PILES = 2.0
_PILES = {
    "list_without_reading",
    "stat_without_reading",
    "stat_paths_of_33_kb",
    "leave_writes_unfinished",
    "send_crumbs_too_early",
    "open_channels",
}
# Uploads of the attacker's campaign in the last 24 hours, for attacks that list them.
_UPLOADS = {"list_much": 50_000, "list_without_reading": 1_000, "ask_much": 50_000}


async def add_uploads(pool: Pool, campaign_id: str, count: int) -> None:
    """Accepted uploads with long names."""
    await pool.execute(
        """
        insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at, finished_at, batch_id)
        select 'upload_' || n, $1, repeat('n', 200) || n || '.csv', 'accepted', 1000, md5(n::text), now(), now(),
               'batch_' || n
        from generate_series(1, $2) n
        """,
        campaign_id,
        count,
        timeout=120,
    )
    await pool.execute("analyze uploads", timeout=60)


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_costs_only_the_one_who_does_it(
    gateway_variables: dict[str, str],
    pool: Pool,
    campaign: str,
    ed25519_key: KeyPair,
    other_key: KeyPair,
    name: str,
) -> None:
    attacker = await add_campaign(pool, other_key)
    await add_uploads(pool, attacker, _UPLOADS.get(name, 0))
    async with front_process(gateway_variables) as front:
        outcome = await attack(
            front,
            name,
            attacker=(attacker, other_key),
            canary=(campaign, ed25519_key),
            seconds=_SECONDS_OF_PILES if name in _PILES else _SECONDS,
        )
    print(outcome)
    assert outcome.excesses() == []

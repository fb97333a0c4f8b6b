"""Every real client that is installed goes through every flow against a whole gateway, as `docs/clients.md` says."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.clients.driver import Client
from tests.clients.gateway_under_test import GatewayUnderTest, open_gateway
from tests.clients.matrix import CLIENTS, try_client, try_unstored
from tests.clients.table import documented_rows, documented_verdicts


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayUnderTest]:
    """One gateway for all clients, a campaign for each."""
    async with open_gateway(
        campaigns=len(CLIENTS), wide=True, keep_logs=tmp_path_factory.mktemp("logs")
    ) as opened:
        yield opened


def test_the_table_has_a_row_for_each_client_and_no_other() -> None:
    assert list(documented_rows()) == [client.name for client in CLIENTS]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("number", "client"),
    [
        pytest.param(number, client, id=client.name, marks=pytest.mark.client(client.name))
        for number, client in enumerate(CLIENTS)
    ],
)
async def test_a_client_does_what_the_table_says(
    gateway: GatewayUnderTest, number: int, client: Client
) -> None:
    if absent := client.missing():
        pytest.skip(absent)
    row = await try_client(gateway, client, gateway.testbed.campaigns[number])
    assert row.failures == []
    assert row.verdicts == documented_verdicts(client.name), "out of date: run `python -m tests.clients`"


def test_no_client_has_used_up_the_budget_of_a_session(gateway: GatewayUnderTest) -> None:
    """All of them have been through every flow of theirs by now, with their own defaults."""
    log = gateway.node.log.read_text()
    assert "login_accepted" in log
    assert "session_budget_reached" not in log


@pytest.mark.asyncio(loop_scope="module")
async def test_a_status_tells_of_an_upload_that_could_not_be_stored_as_far_as_the_table_says(
    gateway: GatewayUnderTest,
) -> None:
    installed = {
        campaign_id: client
        for client, campaign_id in zip(CLIENTS, gateway.testbed.campaigns, strict=True)
        if client.missing() is None
    }
    assert await try_unstored(gateway, installed) == []

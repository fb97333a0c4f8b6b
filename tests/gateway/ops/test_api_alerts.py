"""The alerts on the API's calls ring when many of an endpoint's calls fail or are slow, and are silent for a few."""

import asyncio
from pathlib import Path

import prometheus_client
import pytest
from pydantic import SecretStr

from api import metrics
from api.app import ENDPOINTS
from config.environment import Environment
from config.settings import Settings
from gateway.embedded.postgres import PostgreSQLServer
from keys.api_key_form import new_key
from tests.api.client import APIClient
from tests.api.served import serving
from tests.gateway.ops.alert_rules import ringing
from tests.gateway.ops.test_monitoring import needs_promtool
from web import metrics as web_metrics

pytestmark = needs_promtool
# What 99.9 % of an endpoint's calls must not take longer than, in seconds (8-api.md §5).
LIMITS = {"send_message": 0.5, "retrieve_message": 0.3, "send_batch": 15.0, "list_batch_messages": 5.0}


def told() -> str:
    """What this process tells of the API, as a node's `/metrics` does."""
    lines = prometheus_client.generate_latest().decode().splitlines()
    return "\n".join(line for line in lines if "sftp_gateway_api_" in line) + "\n"


def test_few_that_are_slow_or_fail_ring_nothing(tmp_path: Path) -> None:
    for endpoint in LIMITS:
        for status in ("200", "429"):
            web_metrics.REQUESTS.labels(endpoint, status)
    before = told()
    for endpoint, limit in LIMITS.items():
        for _ in range(300):
            metrics.CALL_SECONDS.labels(endpoint).observe(limit * 0.99)
        for _ in range(3):
            metrics.CALL_SECONDS.labels(endpoint).observe(limit * 1.01)
        web_metrics.REQUESTS.labels(endpoint, "200").inc(2000)
        web_metrics.REQUESTS.labels(endpoint, "429").inc(2000)
        web_metrics.REQUESTS.labels(endpoint, "503").inc(20)
    assert ringing(before, told(), tmp_path) == set()


@pytest.mark.parametrize("endpoint", LIMITS)
def test_an_endpoint_that_is_slower_than_promised_is_told(endpoint: str, tmp_path: Path) -> None:
    before = told()
    for _ in range(30):
        metrics.CALL_SECONDS.labels(endpoint).observe(LIMITS[endpoint] * 1.01)
    assert ringing(before, told(), tmp_path) == {"SFTPGatewayAPISlow"}


@pytest.mark.parametrize(("endpoint", "status"), [("send_message", "503"), ("list_messages", "500")])
def test_calls_that_are_answered_5xx_are_told(endpoint: str, status: str, tmp_path: Path) -> None:
    before = told()
    # Each endpoint is judged by itself: its errors aren't thinned out by another's calls.
    web_metrics.REQUESTS.labels("retrieve_message", "200").inc(100_000)
    web_metrics.REQUESTS.labels(endpoint, status).inc(20)
    assert ringing(before, told(), tmp_path) == {"SFTPGatewayAPIErrors"}


async def test_a_database_that_is_away_is_told(
    own_postgres: PostgreSQLServer, settings: Settings, tmp_path: Path
) -> None:
    url = SecretStr(own_postgres.socket_url("postgres"))
    database = settings.database.model_copy(update={"url": url})
    own_postgres.stop()
    async with serving(settings.model_copy(update={"database": database})) as port:
        client = APIClient(port, "campaign-1", new_key(Environment.TEST))
        before = told()
        answers = [await client.get("/messages?limit=1") for _ in range(8)]
    assert {answer.status for answer in answers} == {503}
    assert await asyncio.to_thread(ringing, before, told(), tmp_path) == {"SFTPGatewayAPIErrors"}


def test_all_series_are_there_before_the_first_call() -> None:
    text = told()
    for name, _, _ in ENDPOINTS:
        assert f'sftp_gateway_api_call_seconds_count{{endpoint="{name}"}}' in text
        for status in ("500", "503"):
            assert f'sftp_gateway_api_requests_total{{endpoint="{name}",status="{status}"}}' in text

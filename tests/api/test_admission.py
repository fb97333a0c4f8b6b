"""Who may call: key, campaign, address, status and rate."""

from tests.api.client import APIClient


async def test_a_call_with_a_key_gets_in(client: APIClient) -> None:
    answer = await client.get("/messages?limit=1")
    assert answer.status == 503, "nothing is behind it yet"

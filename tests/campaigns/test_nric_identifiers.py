"""What the test environment takes for an NRIC; no real one gets in, and none is repeated."""

import pytest

from campaigns.errors import CampaignRefused
from campaigns.nric_identifiers import add_nric_identifier
from config.environment import Environment
from database.connections import Connection
from tests.conftest import ADMIN


async def add(
    connection: Connection, identifier: str, number: str, environment: Environment = Environment.TEST
) -> None:
    async with connection.transaction():
        await add_nric_identifier(connection, identifier, number, environment=environment, actor=ADMIN)


async def test_an_identifier_stands_for_the_number_that_it_was_given_last(connection: Connection) -> None:
    for identifier, number in [
        ("patient-1", "6591234567"),
        ("S0000001A", "6581234567"),
        ("patient-1", "6598765432"),
    ]:
        await add(connection, identifier, number)
    rows = await connection.fetch("select identifier, number from nric_test_identifiers order by identifier")
    assert [tuple(row) for row in rows] == [("S0000001A", "6581234567"), ("patient-1", "6598765432")]
    told = await connection.fetch("select event, actor, details from audit_events")
    assert {tuple(row) for row in told} == {("nric_identifier_added", "admin", "{}")}


@pytest.mark.parametrize(
    ("identifier", "number", "says"),
    [
        ("S0000001I", "6591234567", "this is a real NRIC"),
        ("s0000001i", "6591234567", "this is a real NRIC"),
        ("ab", "6591234567", "3 to 32 characters"),
        ("a" * 33, "6591234567", "3 to 32 characters"),
        ("patient_1", "6591234567", "3 to 32 characters"),
        ("patient-١", "6591234567", "3 to 32 characters"),
        ("patient-1", "+6591234567", r"recipient_has_plus"),
        ("patient-1", "6571234567", r"no message can go to this number"),
        ("patient-1", "٦٥٩١٢٣٤٥٦٧", r"recipient_non_ascii_digits"),
    ],
)
async def test_what_it_may_not_be_is_refused_unrepeated(
    connection: Connection, identifier: str, number: str, says: str
) -> None:
    with pytest.raises(CampaignRefused, match=says) as refusal:
        await add(connection, identifier, number)
    assert identifier not in str(refusal.value)
    assert number not in str(refusal.value)
    assert await connection.fetchval("select count(*) from nric_test_identifiers") == 0


@pytest.mark.parametrize("environment", [Environment.PRODUCTION, Environment.LOADTEST])
async def test_only_the_test_environment_has_any(connection: Connection, environment: Environment) -> None:
    with pytest.raises(CampaignRefused, match="are for the test environment"):
        await add(connection, "patient-1", "6591234567", environment)

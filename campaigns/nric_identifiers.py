"""The table `nric_test_identifiers`: what the test environment takes for an NRIC, and the number that it stands for.

A person's NRIC is never stored, which is why a real one is refused here.
"""

from typing import Final

from audit.events import Actor, AuditEvent, record_event
from campaigns.errors import CampaignRefused
from config.environment import Environment
from database.connections import Connection
from database.queries import NamedQueries
from rules.nric import is_nric, is_test_identifier
from rules.recipients import check_recipient

SQL: Final = NamedQueries("campaigns", "nric_identifiers.sql")


async def add_nric_identifier(
    connection: Connection, identifier: str, number: str, *, environment: Environment, actor: Actor
) -> None:
    """Let an identifier stand for a number, or for another one than before, in the caller's transaction.

    Raises CampaignRefused, which repeats neither: not the test environment; a real NRIC; no identifier; a number that can't be a
    recipient.
    """
    if environment is not Environment.TEST:
        raise CampaignRefused(
            f"identifiers that stand for NRICs are for the test environment, and this is {environment}"
        )
    if is_nric(identifier.upper()):
        raise CampaignRefused(
            "this is a real NRIC, as its last letter shows, and none is stored: choose another identifier"
        )
    if not is_test_identifier(identifier):
        raise CampaignRefused("an identifier has 3 to 32 characters, only letters A-Z a-z, digits and '-'")
    if (refusal := check_recipient(number, environment)) is not None:
        raise CampaignRefused(
            f"no message can go to this number ({refusal}): write digits with the country code, such as 6591234567"
        )
    await connection.execute(SQL["put_identifier"], identifier, number)
    await record_event(connection, AuditEvent.NRIC_IDENTIFIER_ADDED, actor=actor)

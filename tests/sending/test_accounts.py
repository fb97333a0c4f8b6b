"""A sender's provider is opened by its account, and opened anew when the account or the keys of secrets change."""

import base64
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from campaigns.campaigns import Channel, delete_campaign
from campaigns.creation import NewTwilioAccount, create_campaign
from campaigns.fields import TwilioCredentials
from campaigns.twilio_accounts import fetch_account_of_service, rotate_secrets, set_twilio_account
from config.environment import Environment
from config.sending_sections import SecretsSettings, SendingSettings, TwilioSettings
from database.connections import Connection, Pool
from messages.news import Receipt
from messages.statuses import MessageStatus
from rules.characters.unsupported import UnsupportedRule
from sending.accounts import ProviderAccounts
from sending.providers.provider import Absent, OpenAttempt, Outgoing, Taken
from sending.senders import PUBLIC, SenderPlan, SenderState, fetch_senders, record_senders
from tests.conftest import ADMIN, CAMPAIGN_TEMPLATE
from tests.messages.builders import LOCAL, make_batch
from tests.sending.twilio_control import twilio_server

SERVICE = "MG" + "3" * 32
CREDENTIALS = TwilioCredentials("AC" + "1" * 32, "SK" + "2" * 32, "hush", SERVICE, "CLINIC")


@pytest.fixture
def secrets() -> SecretsSettings:
    """The settings with a key of this test's own."""
    return SecretsSettings(key=SecretStr(base64.b64encode(os.urandom(32)).decode()))


@pytest.fixture
async def internal_id(connection: Connection, secrets: SecretsSettings) -> str:
    """An internal campaign with its account, and senders for both channels."""
    async with connection.transaction():
        created = await create_campaign(
            connection, name="Staff", template=CAMPAIGN_TEMPLATE, notify_email="ops@clinic.gov.sg",
            channel=Channel.INTERNAL, twilio=NewTwilioAccount(CREDENTIALS, secrets), unsupported=UnsupportedRule(),
            actor=ADMIN,
        )  # fmt: skip
    await record_senders(
        connection, [SenderPlan(PUBLIC, "simulator", 100), SenderPlan(SERVICE, "twilio", 10)]
    )
    return created.id


async def states(connection: Connection) -> dict[str, SenderState]:
    return {state.name: state for state in await fetch_senders(connection)}


async def test_a_senders_state_tells_when_its_provider_must_be_opened_anew(
    connection: Connection, secrets: SecretsSettings, internal_id: str
) -> None:
    first = await states(connection)
    assert first[PUBLIC].secret_key_id is None

    async with connection.transaction():
        await rotate_secrets(connection, secrets, actor=ADMIN)
    rotated = await states(connection)
    assert rotated[SERVICE].secret_key_id != first[SERVICE].secret_key_id is not None
    assert rotated[SERVICE].account_set_at == first[SERVICE].account_set_at
    assert rotated[PUBLIC].secret_key_id is None

    await set_twilio_account(connection, secrets, internal_id, CREDENTIALS, actor=ADMIN)
    assert (await states(connection))[SERVICE].account_set_at != rotated[SERVICE].account_set_at


async def test_a_look_up_by_recipient_takes_no_message_of_another_attempt(
    pool: Pool, connection: Connection, secrets: SecretsSettings, internal_id: str
) -> None:
    """Two messages with one text to one recipient: Twilio has the first, and never got the second."""
    with twilio_server() as twilio:
        twilio.behave(callbacks=False, account=CREDENTIALS.account_sid, key=CREDENTIALS.key_sid)
        twilio.behave(secret=CREDENTIALS.secret, services=[SERVICE])
        settings = SendingSettings(twilio=TwilioSettings(base_url=twilio.base_url), look_up_after=[1])
        accounts = ProviderAccounts(pool, settings, secrets, Environment.PRODUCTION)
        provider = await accounts.open((await states(connection))[SERVICE])
        assert provider is not None
        now = datetime.now(UTC)
        batch = await make_batch(
            connection, internal_id, [MessageStatus.SENT] * 2, sender=SERVICE, provider="twilio", at=now
        )
        taken = await provider.hand_over(Outgoing(batch.key(2), LOCAL, "Dear Aisha", 1, "gsm7", is_otp=False))
        assert isinstance(taken, Taken)
        lost = OpenAttempt(batch.key(3), LOCAL, "Dear Aisha", "", now - timedelta(seconds=10))
        unheard_of = await provider.look_up([lost])
        await connection.execute(
            "update attempts set provider_id = $1 where row_number = 2", taken.provider_id
        )
        found = await provider.look_up([lost])
        await provider.close()
    # While nobody knows that the message is the first one's, it may be this one's.
    assert [type(news) for news in unheard_of] == [Receipt]
    assert found == [Absent(batch.key(3))]


async def test_of_campaigns_that_share_a_service_the_account_set_last_counts_unless_deleted(
    connection: Connection, secrets: SecretsSettings, internal_id: str
) -> None:
    first = await fetch_account_of_service(connection, SERVICE)
    async with connection.transaction():
        created = await create_campaign(
            connection, name="Nurses", template=CAMPAIGN_TEMPLATE, notify_email="ops@clinic.gov.sg",
            channel=Channel.INTERNAL, unsupported=UnsupportedRule(), actor=ADMIN,
            twilio=NewTwilioAccount(replace(CREDENTIALS, key_sid="SK" + "9" * 32), secrets),
        )  # fmt: skip
    second = await fetch_account_of_service(connection, SERVICE)
    assert first is not None
    assert second is not None
    assert (first.campaign_id, second.campaign_id) == (internal_id, created.id)
    assert (await states(connection))[SERVICE].account_set_at == second.set_at

    await delete_campaign(connection, created.id, actor=ADMIN)
    assert await fetch_account_of_service(connection, SERVICE) == first
    assert (await states(connection))[SERVICE].account_set_at == first.set_at

    await delete_campaign(connection, internal_id, actor=ADMIN)
    assert await fetch_account_of_service(connection, SERVICE) == second
    assert await fetch_account_of_service(connection, "MG" + "0" * 32) is None

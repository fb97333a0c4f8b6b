"""Which provider a channel has, by environment and settings."""

import pytest
from pydantic import SecretStr

from campaigns.campaigns import Channel
from config.environment import Environment
from config.sending_sections import PublicSendingSettings, SendingSettings, SMPPSettings, TwilioSettings
from sending.providers.choice import ProviderName, open_provider, provider_of, public_account
from sending.providers.provider import Surroundings
from tests.sending.providers.twilio_adapter import KnownIDsOfTest

TEST, PRODUCTION, LOADTEST = Environment.TEST, Environment.PRODUCTION, Environment.LOADTEST


@pytest.mark.parametrize(
    ("environment", "setting", "channel", "has_account", "expected"),
    [
        (TEST, None, "public", False, "simulator"),
        (TEST, "twilio", "public", False, "twilio"),
        (TEST, "none", "public", False, "none"),
        (TEST, None, "internal", True, "twilio"),
        (TEST, None, "internal", False, "none"),
        (PRODUCTION, None, "public", False, "none"),
        (PRODUCTION, "simulator", "public", False, "simulator"),
        (PRODUCTION, "twilio", "public", False, "twilio"),
        (TEST, "smpp", "public", False, "smpp"),
        (PRODUCTION, "smpp", "public", False, "smpp"),
        (PRODUCTION, "twilio", "internal", False, "none"),
        (PRODUCTION, None, "internal", True, "twilio"),
        (LOADTEST, "twilio", "public", False, "loadtest"),
        (LOADTEST, None, "internal", True, "loadtest"),
        (LOADTEST, None, "internal", False, "loadtest"),
    ],
)
def test_the_provider_of_a_channel(
    environment: Environment, setting: str | None, channel: str, has_account: bool, expected: str
) -> None:
    settings = SendingSettings(public=PublicSendingSettings.model_validate({"provider": setting}))
    provider = provider_of(settings, environment, Channel(channel), has_account=has_account)
    assert provider is ProviderName(expected)


def test_the_public_account_is_whole_or_missing() -> None:
    whole = TwilioSettings(account_sid="AC1", key_sid="SK1", key_secret=SecretStr("quiet"), service_sid="MG1")
    account = public_account(SendingSettings(twilio=whole))
    assert account is not None
    assert account.key_secret == "quiet"
    assert account.sender_name == "gov.sg"
    assert "quiet" not in repr(account)
    for value in ("account_sid", "key_sid", "key_secret", "service_sid"):
        partial = whole.model_copy(update={value: None})
        assert public_account(SendingSettings(twilio=partial)) is None


def test_smpp_is_not_opened_without_its_account() -> None:
    surroundings = Surroundings(
        SendingSettings(smpp=SMPPSettings(host="smpp.example")), Environment.PRODUCTION, KnownIDsOfTest()
    )
    with pytest.raises(ValueError, match=r"SMPP__SYSTEM_ID, SFTP_GATEWAY_SENDING__SMPP__PASSWORD$"):
        open_provider(ProviderName.SMPP, surroundings)

"""What the tests of Twilio's adapter have in common."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from config.environment import Environment
from config.sending_sections import SendingSettings, TwilioSettings
from messages.news import AttemptKey
from sending.providers.choice import ProviderName, open_provider
from sending.providers.provider import Outgoing, Provider, Surroundings
from sending.providers.twilio_account import TwilioAccount
from tests.sending.twilio_control import ACCOUNT_SID, KEY_SECRET, KEY_SID, SERVICE_SID

ACCOUNT = TwilioAccount(ACCOUNT_SID, KEY_SID, KEY_SECRET, SERVICE_SID, "Agency")
DATA_KEY = b"k" * 32
TEXT = "Agency\n\n---\n\nDear Aisha, 100% & more: 您好 🎉\n\n---\n\nAutomated."


@dataclass(slots=True)
class KnownIDsOfTest:
    """Stands for the ids in the table `attempts`."""

    ids: set[str] = field(default_factory=set)
    asked_since: list[datetime] = field(default_factory=list)

    async def __call__(self, asked: Collection[str], oldest: datetime) -> Collection[str]:
        self.asked_since.append(oldest)
        return self.ids & set(asked)


def open_test_provider(
    base_url: str,
    known_ids: KnownIDsOfTest | None = None,
    *,
    environment: Environment = Environment.PRODUCTION,
    account: TwilioAccount = ACCOUNT,
    callback_base_url: str | None = "https://sms.agency.gov.sg",
) -> Provider:
    """Twilio's adapter as the sender opens it."""
    twilio = TwilioSettings(base_url=base_url, callback_base_url=callback_base_url)
    settings = SendingSettings(twilio=twilio, look_up_after=[1, 60])
    surroundings = Surroundings(settings, environment, known_ids or KnownIDsOfTest(), [DATA_KEY])
    return open_provider(ProviderName.TWILIO, surroundings, account)


def outgoing(row_number: int = 2, recipient: str = "6591234567", *, is_otp: bool = False) -> Outgoing:
    """A message of batch 7."""
    return Outgoing(AttemptKey(7, row_number, 1), recipient, TEXT, 2, "ucs2", is_otp)

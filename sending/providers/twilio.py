"""Twilio as a provider (data/twilio.md)."""

from sending.providers.choice import Surroundings
from sending.providers.provider import Provider
from sending.providers.twilio_account import TwilioAccount


def open_twilio(account: TwilioAccount, surroundings: Surroundings) -> Provider:
    """The provider of one messaging service."""
    raise NotImplementedError(account.service_sid, surroundings.environment)


async def try_service(account: TwilioAccount, *, base_url: str | None = None) -> str | None:
    """Ask Twilio for the messaging service: None where it answers, else what is wrong, in words for whoever set the account up.

    Used by `campaign twilio` and by `check`. It raises nothing.
    """
    raise NotImplementedError(account.service_sid, base_url)

"""Which provider sends a channel's messages, and how one is opened. Adapters are imported only when they are needed."""

from enum import StrEnum

from campaigns.campaigns import Channel
from config.environment import Environment
from config.sending_sections import SendingSettings, SMPPSettings
from config.settings import variable_of
from sending.providers.loadtest import LoadTest
from sending.providers.provider import Provider, Surroundings
from sending.providers.simulated_numbers import SimulatedNumbers
from sending.providers.simulator import Simulator
from sending.providers.twilio_account import TwilioAccount


class ProviderName(StrEnum):
    """A provider's name in the settings, in the table `senders` and in metrics. `none`: the messages wait."""

    SIMULATOR = "simulator"
    LOADTEST = "loadtest"
    TWILIO = "twilio"
    SMPP = "smpp"
    NONE = "none"


def provider_of(
    settings: SendingSettings, environment: Environment, channel: Channel, *, has_account: bool
) -> ProviderName:
    """Who sends the messages of this channel. `has_account`: the internal campaign has its five values of Twilio."""
    if environment is Environment.LOADTEST:
        return ProviderName.LOADTEST
    if channel is Channel.INTERNAL:
        return ProviderName.TWILIO if has_account else ProviderName.NONE
    if settings.public.provider is not None:
        return ProviderName(settings.public.provider)
    return ProviderName.SIMULATOR if environment is Environment.TEST else ProviderName.NONE


def public_account(settings: SendingSettings) -> TwilioAccount | None:
    """The public channel's own account at Twilio, or None where a value of it is missing."""
    twilio = settings.twilio
    if not (twilio.account_sid and twilio.key_sid and twilio.key_secret and twilio.service_sid):
        return None
    return TwilioAccount(
        account_sid=twilio.account_sid,
        key_sid=twilio.key_sid,
        key_secret=twilio.key_secret.get_secret_value(),
        service_sid=twilio.service_sid,
        sender_name=settings.public.sender_id,
    )


def missing_of_smpp(smpp: SMPPSettings) -> list[str]:
    """The variables without which nobody can be bound to."""
    values = {"host": smpp.host, "system_id": smpp.system_id, "password": smpp.password}
    return [variable_of(f"sending.smpp.{name}") for name, value in values.items() if not value]


def load_twilio() -> None:
    """Load what Twilio's adapter needs, which takes half a second: call it in a thread before the first one is opened."""
    from sending.providers.twilio import prepare

    prepare()


def open_provider(
    name: ProviderName, surroundings: Surroundings, account: TwilioAccount | None = None
) -> Provider:
    """The provider of one sender, to be closed by the caller.

    Raises ValueError for `none`, for Twilio without an account, and for SMPP without host, system id or password.

    In the test environment the simulator answers for its seven numbers, whoever the provider is.
    """
    simulator = Simulator(surroundings.settings.simulator.seconds)
    if name is ProviderName.SIMULATOR:
        return simulator
    provider = _open_other(name, surroundings, account)
    if surroundings.environment is Environment.TEST:
        return SimulatedNumbers(provider, simulator)
    return provider


def _open_other(name: ProviderName, surroundings: Surroundings, account: TwilioAccount | None) -> Provider:
    if name is ProviderName.LOADTEST:
        return LoadTest()
    if name is ProviderName.SMPP:
        if missing := missing_of_smpp(surroundings.settings.smpp):
            message = f"the aggregator's account is not whole: {', '.join(missing)}"
            raise ValueError(message)
        from sending.providers.smpp.provider import SMPPProvider

        return SMPPProvider(surroundings)
    if name is ProviderName.TWILIO and account is not None:
        # Loading it takes half a second, which processes without an account at Twilio need not spend.
        from sending.providers.twilio import open_twilio

        return open_twilio(account, surroundings)
    message = f"there is no provider {name}, or it has no account"
    raise ValueError(message)

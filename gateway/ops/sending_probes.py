"""What `check` tries for the sending core: whether each channel in use has a provider that knows us, and who takes callbacks.

Nothing here is part of `/readyz`, since uploads are taken and judged whether or not messages leave.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from campaigns.campaigns import Channel, fetch_active_channels
from campaigns.errors import CampaignsError, SecretUnreadable
from campaigns.secret_keys import load_keys, master_key
from campaigns.twilio_accounts import fetch_twilio_accounts
from config.errors import ConfigError
from config.settings import Settings, variable_of
from database.connections import connect, database_troubles
from gateway.errors import ExitStatus
from gateway.ops.probes import Answer, ProbeFailed
from sending.providers.choice import ProviderName, missing_of_smpp, provider_of, public_account
from sending.providers.smpp.trial import try_bind
from sending.providers.twilio import ServiceTrouble, try_service
from sending.providers.twilio_account import TwilioAccount

HEALTH: Final = "/api/v2/health"
_PATIENCE: Final = 5.0
# So many campaigns are named; of the others it is said how many they are.
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class _InUse:
    """What active campaigns need: the public channel or not, and each internal campaign's account."""

    has_public: bool
    accounts: Sequence[tuple[str, TwilioAccount]]
    without_account: Sequence[str]
    unreadable: Sequence[str]


async def probe_callbacks(settings: Settings) -> str:
    """See that an `api` process takes callbacks: on this node by its settings, on another by asking the address itself."""
    if settings.api.processes > 0:
        return "this node's api processes take them"
    base = settings.sending.twilio.callback_base_url or ""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE)) as session,
            session.get(base.rstrip("/") + HEALTH) as answer,
        ):
            told = f"HTTP {answer.status}"
            if answer.status == 200:
                return "an api process answers under their address"
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        told = type(error).__name__
    raise ProbeFailed(
        f"no api process answers under {variable_of('sending.twilio.callback_base_url')} ({told}): start one, here by "
        f"{variable_of('api.processes')} or on another node, or leave the address empty, and providers are polled",
        ExitStatus.CONFIGURATION,
    )


async def probe_channels(settings: Settings) -> list[Answer]:
    """A line for each channel that active campaigns have. A channel without a provider is a warning: its messages wait."""
    try:
        in_use = await _fetch_in_use(settings)
    except CampaignsError as error:
        return [Answer("secrets", ExitStatus.CONFIGURATION, str(error))]
    except ConfigError:
        # The database has a line of its own, which says so.
        return []
    answers = []
    if in_use.has_public:
        answers.append(await _probe_public(settings))
    if in_use.accounts or in_use.without_account or in_use.unreadable:
        answers.append(await _probe_internal(settings, in_use))
    return answers


async def _fetch_in_use(settings: Settings) -> _InUse:
    connection = await connect(settings.database, command_timeout=settings.database.command_timeout)
    try:
        with database_troubles():
            has_public, internal = await fetch_active_channels(connection)
            stored = await fetch_twilio_accounts(connection, internal)
            signs = has_public and _is_called_back_for_public(settings)
            # SECRETS__KEY is asked for only where a secret is read or a callback signed.
            if signs:
                master_key(settings.secrets)
            is_needed = signs or bool(stored)
            keys = await load_keys(connection, settings.secrets) if is_needed else None
    finally:
        connection.terminate()
    accounts: list[tuple[str, TwilioAccount]] = []
    unreadable: list[str] = []
    for campaign_id in internal:
        account = stored.get(campaign_id)
        if account is None or keys is None:
            continue
        try:
            secret = account.read_secret(keys)
        except SecretUnreadable as error:
            unreadable.append(str(error))
            continue
        plain = TwilioAccount(
            account.account_sid, account.key_sid, secret, account.service_sid, account.sender_name
        )
        accounts.append((campaign_id, plain))
    return _InUse(
        has_public,
        accounts,
        [campaign_id for campaign_id in internal if campaign_id not in stored],
        unreadable,
    )


def _is_called_back_for_public(settings: Settings) -> bool:
    provider = provider_of(settings.sending, settings.environment, Channel.PUBLIC, has_account=False)
    return provider is ProviderName.TWILIO and settings.sending.twilio.callback_base_url is not None


async def _probe_public(settings: Settings) -> Answer:
    name = "public channel"
    provider = provider_of(settings.sending, settings.environment, Channel.PUBLIC, has_account=False)
    if provider is ProviderName.NONE:
        return Answer(
            name,
            ExitStatus.DONE,
            f"it has no provider, and its messages wait: set {variable_of('sending.public.provider')}",
            is_warning=True,
        )
    if provider is ProviderName.SMPP:
        return await _probe_smpp(name, settings)
    if provider is not ProviderName.TWILIO:
        return Answer(name, ExitStatus.DONE, f"sent by {provider}")
    account = public_account(settings.sending)
    if account is None:
        prefix = variable_of("sending.twilio")
        return Answer(
            name,
            ExitStatus.CONFIGURATION,
            f"its account at Twilio is not whole: set {prefix}__ACCOUNT_SID, …__KEY_SID, …__KEY_SECRET and …__SERVICE_SID",
        )
    trouble = await try_service(account, base_url=settings.sending.twilio.base_url)
    if trouble is not None:
        return Answer(name, _status_of(trouble), trouble.text)
    return Answer(name, ExitStatus.DONE, "sent by twilio, which knows the messaging service")


async def _probe_smpp(name: str, settings: Settings) -> Answer:
    """Bind to the aggregator, and unbind."""
    smpp = settings.sending.smpp
    if missing := missing_of_smpp(smpp):
        return Answer(
            name, ExitStatus.CONFIGURATION, f"the aggregator's account is not whole: set {', '.join(missing)}"
        )
    trouble = await try_bind(smpp)
    if trouble is not None:
        status = ExitStatus.UNREACHABLE if trouble.is_away else ExitStatus.CONFIGURATION
        return Answer(name, status, trouble.text)
    return Answer(name, ExitStatus.DONE, "sent by smpp, and the aggregator lets us bind")


async def _probe_internal(settings: Settings, in_use: _InUse) -> Answer:
    name = "internal channel"
    base_url = settings.sending.twilio.base_url
    found = await asyncio.gather(*(try_service(account, base_url=base_url) for _, account in in_use.accounts))
    troubles = [
        (campaign_id, trouble)
        for (campaign_id, _), trouble in zip(in_use.accounts, found, strict=True)
        if trouble is not None
    ]
    if in_use.unreadable or troubles:
        texts = [
            *in_use.unreadable,
            *(f"campaign {campaign_id}: {trouble.text}" for campaign_id, trouble in troubles),
        ]
        is_away = not in_use.unreadable and all(trouble.is_away for _, trouble in troubles)
        status = ExitStatus.UNREACHABLE if is_away else ExitStatus.CONFIGURATION
        return Answer(name, status, _some_of(texts, "; "))
    if in_use.without_account:
        return Answer(
            name,
            ExitStatus.DONE,
            f"messages wait for `campaign twilio` of {_some_of(in_use.without_account, ', ')}",
            is_warning=True,
        )
    return Answer(name, ExitStatus.DONE, "sent by twilio, which knows each campaign's messaging service")


def _status_of(trouble: ServiceTrouble) -> ExitStatus:
    return ExitStatus.UNREACHABLE if trouble.is_away else ExitStatus.CONFIGURATION


def _some_of(texts: Sequence[str], separator: str) -> str:
    more = [f"{len(texts) - _NAMED:,} more"] if len(texts) > _NAMED else []
    return separator.join([*texts[:_NAMED], *more])

"""Opens the provider of each sender: by the settings for the public channel, by its account for a messaging service."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from campaigns.errors import CampaignsError
from campaigns.fields import TwilioCredentials
from campaigns.secret_keys import load_keys, make_first_key
from campaigns.twilio_accounts import fetch_account_of_service
from config.environment import Environment
from config.logs import get_logger
from config.sending_sections import SecretsSettings, SendingSettings
from database.connections import Connection, Pool
from database.queries import NamedQueries
from messages.attempts import Recorded, in_transaction
from sending.metrics import count_recorded
from sending.parts import adopt_strays, match_receipts, stray_after
from sending.providers.choice import ProviderName, load_twilio, open_provider, public_account
from sending.providers.measuring import MeasuredProvider
from sending.providers.provider import OpenAttempt, Provider, Surroundings
from sending.providers.twilio_account import TwilioAccount
from sending.senders import PUBLIC, SenderState

if TYPE_CHECKING:
    from sending.providers.twilio import ServiceTrouble

# An attempt's row may be older than its message, as it may have been put back before, for at most 80 h.
_LONGEST_WAIT: Final = timedelta(days=4)
SQL: Final = NamedQueries("sending", "accounts.sql")
logger = get_logger("sending")


async def try_credentials(
    credentials: TwilioCredentials, settings: SendingSettings
) -> "ServiceTrouble | None":
    """Look the messaging service of an agency's account up at Twilio: None where it is this account's.

    It raises nothing, and takes ten seconds at most. Nothing is stored.
    """
    await asyncio.to_thread(load_twilio)
    from sending.providers.twilio import try_service

    account = TwilioAccount(
        account_sid=credentials.account_sid,
        key_sid=credentials.key_sid,
        key_secret=credentials.secret,
        service_sid=credentials.service_sid,
        sender_name=credentials.sender_name,
    )
    return await try_service(account, base_url=settings.twilio.base_url)


class ProviderAccounts:
    """Opens providers. What keeps one from being opened is told once for each sender, until that changes."""

    def __init__(
        self, pool: Pool, settings: SendingSettings, secrets: SecretsSettings, environment: Environment
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._secrets = secrets
        self._environment = environment
        self._told: dict[int, str] = {}

    async def open(self, sender: SenderState) -> Provider | None:
        """The provider of a sender, to be closed by the caller; None where it has none, or can't be opened now."""
        name = ProviderName(sender.provider)
        if name is ProviderName.NONE:
            return None
        try:
            provider = await self._open(name, sender)
        except (CampaignsError, ValueError) as error:
            if self._told.get(sender.id) != str(error):
                logger.error("provider_unavailable", sender=sender.name, reason=str(error))  # noqa: TRY400 - says it all
                self._told[sender.id] = str(error)
            return None
        self._told.pop(sender.id, None)
        return MeasuredProvider(provider, name.value)

    async def _open(self, name: ProviderName, sender: SenderState) -> Provider:
        callback_keys: tuple[bytes, ...] = ()
        account: TwilioAccount | None = None
        if name is ProviderName.TWILIO:
            # Meanwhile the other senders' messages must leave at their moments.
            await asyncio.to_thread(load_twilio)
            async with self._pool.acquire() as connection:
                callback_keys = await self._load_callback_keys(connection)
                if sender.name == PUBLIC:
                    account = public_account(self._settings)
                else:
                    account = await self._read_account(connection, sender.name)
        surroundings = Surroundings(
            settings=self._settings,
            environment=self._environment,
            known_ids=self._fetch_known_ids,
            adopt_strays=self._adopt_strays,
            callback_keys=callback_keys,
        )
        return open_provider(name, surroundings, account)

    async def _load_callback_keys(self, connection: Connection) -> tuple[bytes, ...]:
        """The keys that callbacks are signed with, the first made here where there is none yet; none where nobody calls back."""
        if self._settings.twilio.callback_base_url is None:
            return ()
        async with connection.transaction():
            await make_first_key(connection, self._secrets)
        return (await load_keys(connection, self._secrets)).callback_keys

    async def _read_account(self, connection: Connection, service_sid: str) -> TwilioAccount | None:
        found = await fetch_account_of_service(connection, service_sid)
        if found is None:
            return None
        return TwilioAccount(
            account_sid=found.account_sid,
            key_sid=found.key_sid,
            key_secret=found.read_secret(await load_keys(connection, self._secrets)),
            service_sid=found.service_sid,
            sender_name=found.sender_name,
        )

    async def _adopt_strays(self, attempts: Sequence[tuple[OpenAttempt, int]]) -> None:
        async def adopt() -> Recorded:
            adopted = await adopt_strays(connection, attempts, after=stray_after(self._settings))
            if not adopted:
                return Recorded()
            logger.info("receipts_adopted", receipts=len(adopted))
            return (await match_receipts(connection, adopted, now=datetime.now(UTC)))[0]

        async with self._pool.acquire() as connection:
            recorded = await in_transaction(connection, adopt)
        count_recorded(recorded)

    async def _fetch_known_ids(self, ids: Collection[str], oldest: datetime) -> set[str]:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(SQL["fetch_known_ids"], list(ids), oldest - _LONGEST_WAIT)
        return {row["provider_id"] for row in rows}

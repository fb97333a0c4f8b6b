"""The table `twilio_accounts`: the account at Twilio by which an internal campaign's messages leave, its API secret encrypted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import asyncpg

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from campaigns.campaigns import Channel, fetch_known_campaign, lock_live_campaign
from campaigns.errors import CampaignRefused, MessagingServiceTaken, SecretUnreadable
from campaigns.fields import TwilioCredentials
from campaigns.secret_keys import Keys, Sealed, delete_old_keys, load_keys, make_first_key, record_rotation
from config.sending_sections import SecretsSettings
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("campaigns", "twilio_accounts.sql")


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """An account as stored. `set_at` (aware UTC) changes whenever a value is set, so that whoever holds an account can tell."""

    campaign_id: str
    account_sid: str
    key_sid: str
    service_sid: str
    sender_name: str
    set_at: datetime
    sealed: Sealed = field(repr=False)

    def read_secret(self, keys: Keys) -> str:
        """The API key's secret. Raises SecretUnreadable, which says what to do."""
        try:
            return keys.decrypt(self.sealed, self.place)
        except SecretUnreadable:
            raise SecretUnreadable(
                f"the Twilio API secret of campaign {self.campaign_id} can't be read: set it anew with "
                f"`sftp-gateway campaign twilio {self.campaign_id} …`"
            ) from None

    @property
    def place(self) -> tuple[str, ...]:
        """What its secret is bound to."""
        return _place(self.campaign_id, self.account_sid, self.key_sid, self.service_sid, self.sender_name)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation of secrets did: how many secrets it encrypted anew, and the accounts whose secret it couldn't read."""

    encrypted: int
    unreadable: tuple[TwilioAccount, ...]


async def set_twilio_account(
    connection: Connection,
    settings: SecretsSettings,
    campaign_id: str,
    credentials: TwilioCredentials,
    *,
    actor: Actor,
) -> None:
    """Let this campaign's messages leave by this account from now on, in the caller's transaction.

    Raises CampaignNotFound, CampaignRefused (deleted, of the public channel, or the messaging service is another account's),
    SecretsKeyError.
    """
    await lock_live_campaign(connection, campaign_id)
    campaign = await fetch_known_campaign(connection, campaign_id)
    if campaign.channel is not Channel.INTERNAL:
        raise CampaignRefused(
            f"campaign {campaign_id} is public, and an account of its own is for --channel internal: create a new campaign"
        )
    other = await connection.fetchval(
        SQL["fetch_other_owner"], credentials.service_sid, credentials.account_sid, campaign_id
    )
    if other is not None:
        raise MessagingServiceTaken(
            f"the messaging service {credentials.service_sid} belongs to the account of campaign {other}, which is another one: "
            "compare --account and --service with what the agency sent"
        )
    await make_first_key(connection, settings)
    keys = await load_keys(connection, settings)
    sealed = keys.encrypt(
        credentials.secret,
        _place(
            campaign_id,
            credentials.account_sid,
            credentials.key_sid,
            credentials.service_sid,
            credentials.sender_name,
        ),
    )
    await connection.execute(
        SQL["set_account"],
        campaign_id,
        credentials.account_sid,
        credentials.key_sid,
        sealed.content,
        sealed.key_id,
        credentials.service_sid,
        credentials.sender_name,
    )
    await connection.execute(SQL["announce_account"])
    # The sender's name may be a number, and no phone number is audited.
    details: EventDetails = {
        "account_sid": credentials.account_sid,
        "key_sid": credentials.key_sid,
        "service_sid": credentials.service_sid,
    }
    await record_event(
        connection, AuditEvent.CAMPAIGN_TWILIO_CHANGED, campaign_id=campaign_id, actor=actor, details=details
    )


async def fetch_twilio_account(connection: Connection, campaign_id: str) -> TwilioAccount | None:
    """The campaign's account; None where it has none."""
    row = await connection.fetchrow(SQL["fetch_account"], campaign_id)
    return None if row is None else _account_of(row)


async def fetch_account_of_service(connection: Connection, service_sid: str) -> TwilioAccount | None:
    """The account that a messaging service is used with: where campaigns share it, the one set last.

    That of a deleted campaign, whose agency may have ended its API key, counts only where no other is left.
    """
    row = await connection.fetchrow(SQL["fetch_account_of_service"], service_sid)
    return None if row is None else _account_of(row)


async def fetch_twilio_accounts(
    connection: Connection, campaign_ids: Sequence[str] | None = None
) -> dict[str, TwilioAccount]:
    """The accounts of these campaigns, or all, deleted campaigns' too, by campaign."""
    rows = await connection.fetch(SQL["fetch_accounts"], campaign_ids)
    return {row["campaign_id"]: _account_of(row) for row in rows}


async def rotate_secrets(
    connection: Connection, settings: SecretsSettings, *, lost: bool = False, actor: Actor
) -> Rotation:
    """Make a new data key, and encrypt all secrets anew with it, in the caller's transaction. The keys of before are retired.

    A secret that can't be read stays as it is, and is named. Where `lost`, that may be all of them. Accounts of campaigns
    deleted more than 80 hours ago go, as nothing is sent or looked up with them any more. Raises SecretsKeyError: `SECRETS__KEY`
    isn't set, or (not where `lost`) doesn't unwrap the key in use.
    """
    before, after = await record_rotation(connection, settings, lost=lost)
    await connection.execute(SQL["delete_accounts_of_deleted"])
    unreadable: list[TwilioAccount] = []
    accounts = [_account_of(row) for row in await connection.fetch(SQL["lock_accounts"])]
    for account in accounts:
        try:
            secret = account.read_secret(before)
        except SecretUnreadable:
            unreadable.append(account)
            continue
        sealed = after.encrypt(secret, account.place)
        await connection.execute(SQL["set_secret"], account.campaign_id, sealed.content, sealed.key_id)
    await delete_old_keys(connection)
    rotation = Rotation(len(accounts) - len(unreadable), tuple(unreadable))
    details: EventDetails = {
        "encrypted": rotation.encrypted,
        "unreadable": len(unreadable),
        "old_key_lost": lost,
    }
    await record_event(connection, AuditEvent.SECRETS_ROTATED, actor=actor, details=details)
    return rotation


def _account_of(row: asyncpg.Record) -> TwilioAccount:
    return TwilioAccount(
        campaign_id=row["campaign_id"],
        account_sid=row["account_sid"],
        key_sid=row["key_sid"],
        service_sid=row["service_sid"],
        sender_name=row["sender_name"],
        set_at=row["set_at"],
        sealed=Sealed(row["secret_key_id"], row["secret"]),
    )


def _place(*values: str) -> tuple[str, ...]:
    """What a secret is bound to: its campaign, and the values that it is used with."""
    return ("twilio_accounts", *values)

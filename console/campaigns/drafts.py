"""The table `campaign_drafts`: campaigns that are being made, step by step. A draft is its user's, and goes after seven days.

The secret of an account at Twilio stands in it encrypted, bound to the draft and to the values beside it.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import asyncpg

from campaigns.campaigns import Channel
from campaigns.fields import TwilioCredentials
from campaigns.secret_keys import Sealed, load_keys, make_first_key
from config.identifiers import new_identifier
from config.sending_sections import SecretsSettings
from database.connections import Connection
from database.queries import NamedQueries
from rules.templates import Language

SQL: Final = NamedQueries("console", "campaigns/drafts.sql")


@dataclass(frozen=True, slots=True)
class DraftAccount:
    """An account at Twilio as it was typed. `sealed`: its secret; None: to be typed again. `is_tried`: Twilio knew it."""

    account_sid: str
    key_sid: str
    service_sid: str
    sender_name: str
    sealed: Sealed | None = field(repr=False)
    is_tried: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """A campaign that isn't one yet. What hasn't been said is None or empty; so are the id and the time (aware UTC) before
    it is stored.
    """

    name: str
    id: str = ""
    changed_at: datetime | None = None
    channel: Channel | None = None
    account: DraftAccount | None = None
    agency: str | None = None
    header: str | None = None
    bodies: Mapping[Language, str] = field(default_factory=dict)

    @property
    def has_channel(self) -> bool:
        """Whether the second step is done."""
        if self.channel is Channel.INTERNAL:
            return self.account is not None and self.account.sealed is not None
        return self.channel is Channel.PUBLIC


async def record_draft(connection: Connection, user_id: str, draft: Draft) -> str:
    """Begin a draft with what `draft` says; its id is new. Of many, the user's oldest go."""
    draft_id = new_identifier("draft")
    await connection.execute(SQL["delete_surplus"], user_id)
    await connection.execute(SQL["insert_draft"], draft_id, user_id, _document_of(draft))
    return draft_id


async def fetch_draft(connection: Connection, draft_id: str, user_id: str) -> Draft | None:
    """The user's draft of that id; None where the user has none."""
    row = await connection.fetchrow(SQL["fetch_draft"], draft_id, user_id)
    return None if row is None else _draft_of(row)


async def lock_draft(connection: Connection, draft_id: str, user_id: str) -> Draft | None:
    """The same, held until the transaction ends."""
    row = await connection.fetchrow(SQL["lock_draft"], draft_id, user_id)
    return None if row is None else _draft_of(row)


async def list_drafts(connection: Connection, user_id: str) -> list[Draft]:
    """The user's drafts, the one last changed first."""
    return [_draft_of(row) for row in await connection.fetch(SQL["list_drafts"], user_id)]


async def store_draft(connection: Connection, draft: Draft) -> None:
    """What the draft says now."""
    await connection.execute(SQL["store_document"], draft.id, _document_of(draft))


async def delete_draft(connection: Connection, draft_id: str, user_id: str) -> None:
    """Forget the user's draft."""
    await connection.execute(SQL["delete_draft"], draft_id, user_id)


async def delete_old_drafts(connection: Connection) -> None:
    """Forget drafts that nobody has changed for seven days."""
    await connection.execute(SQL["delete_old"])


async def with_account(
    connection: Connection,
    settings: SecretsSettings,
    draft: Draft,
    credentials: TwilioCredentials,
    *,
    is_tried: bool,
) -> Draft:
    """The draft with this account, its secret encrypted. Raises SecretsKeyError."""
    await make_first_key(connection, settings)
    keys = await load_keys(connection, settings)
    account = DraftAccount(
        credentials.account_sid,
        credentials.key_sid,
        credentials.service_sid,
        credentials.sender_name,
        None,
        is_tried,
    )
    sealed = keys.encrypt(credentials.secret, _place(draft, account))
    return replace(draft, account=replace(account, sealed=sealed))


async def read_credentials(
    connection: Connection, settings: SecretsSettings, draft: Draft
) -> TwilioCredentials | None:
    """The account of an internal draft with its secret; None where it has none. Raises SecretsKeyError, SecretUnreadable."""
    account = draft.account
    if account is None or account.sealed is None:
        return None
    keys = await load_keys(connection, settings)
    secret = keys.decrypt(account.sealed, _place(draft, account))
    return TwilioCredentials(
        account.account_sid, account.key_sid, secret, account.service_sid, account.sender_name
    )


def _place(draft: Draft, account: DraftAccount) -> tuple[str, ...]:
    return (
        "campaign_drafts", draft.id, account.account_sid, account.key_sid, account.service_sid, account.sender_name,
    )  # fmt: skip


def _document_of(draft: Draft) -> str:
    account: dict[str, object] | None = None
    if draft.account is not None:
        sealed = draft.account.sealed
        account = {
            "account_sid": draft.account.account_sid,
            "key_sid": draft.account.key_sid,
            "service_sid": draft.account.service_sid,
            "sender_name": draft.account.sender_name,
            "is_tried": draft.account.is_tried,
            "secret_key_id": None if sealed is None else sealed.key_id,
            "secret": None if sealed is None else base64.b64encode(sealed.content).decode(),
        }
    return json.dumps(
        {
            "name": draft.name,
            "channel": draft.channel,
            "account": account,
            "agency": draft.agency,
            "header": draft.header,
            "bodies": draft.bodies,
        }
    )


def _draft_of(row: asyncpg.Record) -> Draft:
    document: dict[str, Any] = json.loads(row["document"])
    bodies: dict[str, str] = document["bodies"]
    channel = document["channel"]
    return Draft(
        id=row["id"],
        name=document["name"],
        changed_at=row["changed_at"],
        channel=None if channel is None else Channel(channel),
        account=_account_of(document["account"]),
        agency=document["agency"],
        header=document["header"],
        bodies={language: bodies[language] for language in Language if language in bodies},
    )


def _account_of(document: dict[str, Any] | None) -> DraftAccount | None:
    if document is None:
        return None
    sealed = None
    if document["secret"] is not None:
        sealed = Sealed(document["secret_key_id"], base64.b64decode(document["secret"]))
    return DraftAccount(
        document["account_sid"],
        document["key_sid"],
        document["service_sid"],
        document["sender_name"],
        sealed,
        document["is_tried"],
    )

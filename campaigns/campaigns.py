"""The tables `campaigns` and `template_bodies`: who an agency is to this gateway, and what its messages say.

A campaign is created once; then it is suspended, resumed or deleted, but its template is never edited. Its SSH keys are added
and revoked here too, since its row must be locked meanwhile. Every change is made in the caller's transaction, together with
its audit event.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import asyncpg

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from campaigns.errors import CampaignNotFound, CampaignRefused
from campaigns.fields import Network, parse_notify_address
from config.addresses import Address
from database.connections import Connection
from database.queries import NamedQueries
from keys.api_keys import record_all_api_keys_deleted
from keys.public_keys import PublicKey
from keys.ssh_keys import AddedKeys, record_all_keys_revoked, record_key_revoked, record_keys
from rules.templates import Language, Template

SQL: Final = NamedQueries("campaigns", "campaigns.sql")
# Letters and digits of any script.
_WORD: Final = re.compile(r"[^\W_]+")
# So many campaigns are few enough to be looked up one by one.
_FEW: Final = 1_000


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """What a search looks for: words of names and a pattern of ids, or, where they are few, the campaigns that have it."""

    words: str | None = None
    beginning: str | None = None
    ids: Sequence[str] | None = None


class Channel(StrEnum):
    """How the messages leave: `public` with the sender ID gov.sg, `internal` to an agency's own staff."""

    PUBLIC = "public"
    INTERNAL = "internal"


class CampaignStatus(StrEnum):
    """Only an active campaign may come in. A deleted one stays visible to admins, and stays deleted."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class SuspensionReason(StrEnum):
    """Why ops shut a campaign out: a word of this list, since the audit trail keeps no text of anybody's own."""

    AGENCY = "agency"
    CONTENT = "content"
    COMPLAINTS = "complaints"
    SECURITY = "security"
    BILLING = "billing"
    OTHER = "other"


# From each status, those that it may change to; every other change is refused.
_MOVES: Final[Mapping[CampaignStatus, frozenset[CampaignStatus]]] = MappingProxyType(
    {
        CampaignStatus.ACTIVE: frozenset({CampaignStatus.SUSPENDED, CampaignStatus.DELETED}),
        CampaignStatus.SUSPENDED: frozenset({CampaignStatus.ACTIVE, CampaignStatus.DELETED}),
        CampaignStatus.DELETED: frozenset(),
    }
)
_EVENTS: Final[Mapping[CampaignStatus, AuditEvent]] = MappingProxyType(
    {
        CampaignStatus.ACTIVE: AuditEvent.CAMPAIGN_RESUMED,
        CampaignStatus.SUSPENDED: AuditEvent.CAMPAIGN_SUSPENDED,
        CampaignStatus.DELETED: AuditEvent.CAMPAIGN_DELETED,
    }
)


@dataclass(frozen=True, slots=True)
class Creator:
    """Whoever created a campaign: a user's id and address."""

    id: str
    email: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as stored. Without `allowed_sources` it may come from anywhere. Times are aware UTC.

    `is_otp`: its single sends are one-time passwords, and leave before all others. `api_addresses`: from where it may call
    the HTTP API; `api_rate`: how often a second, None as the settings say; `nric`: whether its calls may name recipients by NRIC.
    """

    id: str
    name: str
    channel: Channel
    template: Template
    notify_email: str
    status: CampaignStatus
    allowed_sources: tuple[Network, ...]
    is_otp: bool
    api_addresses: tuple[Address, ...]
    api_rate: int | None
    nric: bool
    created_at: datetime
    suspended_at: datetime | None
    deleted_at: datetime | None
    agency_id: str
    creator: Creator


async def record_campaign(
    connection: Connection,
    campaign_id: str,
    *,
    name: str,
    template: Template,
    notify_email: str,
    channel: Channel,
    allowed_sources: Collection[Network],
    is_otp: bool,
    agency_id: str,
    creator_id: str,
    actor: Actor,
) -> None:
    """Store a campaign whose fields `creation` has checked. Raises CampaignRefused: the id is taken, if by a deleted one."""
    try:
        async with connection.transaction():
            await connection.execute(
                SQL["insert_campaign"],
                campaign_id,
                name,
                channel.value,
                template.header,
                notify_email,
                list(allowed_sources),
                is_otp,
                agency_id,
                creator_id,
            )
    except asyncpg.UniqueViolationError:
        raise CampaignRefused(f"the campaignId {campaign_id} is taken: choose another --id") from None
    rows = [
        (campaign_id, language.value, body, position)
        for position, (language, body) in enumerate(template.bodies.items())
    ]
    await connection.executemany(SQL["insert_body"], rows)
    details: EventDetails = {
        "channel": channel.value,
        "languages": [language.value for language in template.bodies],
        "allowed_sources": [str(network) for network in allowed_sources],
        "otp": is_otp,
        "agency_id": agency_id,
        "creator_id": creator_id,
    }
    await record_event(
        connection, AuditEvent.CAMPAIGN_CREATED, campaign_id=campaign_id, actor=actor, details=details
    )


async def fetch_campaign(connection: Connection, campaign_id: str) -> Campaign | None:
    """The campaign with its template, whatever its status; None when there is none."""
    row = await connection.fetchrow(SQL["fetch_campaign"], campaign_id)
    return None if row is None else _campaign_of(row)


async def fetch_known_campaign(connection: Connection, campaign_id: str) -> Campaign:
    """`fetch_campaign` for an admin, who is told when there is none. Raises CampaignNotFound."""
    campaign = await fetch_campaign(connection, campaign_id)
    if campaign is None:
        raise CampaignNotFound(f"there is no campaign {campaign_id!r:.80}: see `sftp-gateway campaign list`")
    return campaign


async def list_campaigns(
    connection: Connection,
    *,
    agency_id: str | None = None,
    search: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> list[Campaign]:
    """Campaigns, deleted ones too, newest first, at most `limit`: an agency's, or those older than the campaign `after`.

    `search` finds names that have words beginning with each of its words, whatever their case, and ids that begin with it. Raises
    CampaignNotFound (`after`), CampaignRefused: the search has no word.
    """
    place = None if after is None else await fetch_known_campaign(connection, after)
    terms = SearchTerms() if search is None else await find_terms(connection, search)
    if terms is None:
        raise CampaignRefused("search for the beginning of a word of the name, or of the campaignId")
    rows = await connection.fetch(
        SQL["list_campaigns"],
        agency_id,
        terms.words,
        terms.beginning,
        place and place.created_at,
        place and place.id,
        limit,
        terms.ids,
    )
    return [_campaign_of(row) for row in rows]


async def find_terms(connection: Connection, search: str) -> SearchTerms | None:
    """What a list that is searched has to look for; None where the search has no word.

    The planner can't know how many names have a word that begins so, and so not whether to look through the newest campaigns, or
    to find those few that have one. So they are found first, up to so many. To be called outside of a transaction, which it would
    tell how to plan until its end.
    """
    terms = parse_terms(search)
    if terms is None:
        return None
    async with connection.transaction(readonly=True):
        await connection.execute(SQL["plan_by_words"])
        rows = await connection.fetch(SQL["search_campaigns"], terms.words, terms.beginning, _FEW + 1)
    ids = [row["id"] for row in rows]
    return terms if len(ids) > _FEW else SearchTerms(ids=ids)


def parse_terms(search: str) -> SearchTerms | None:
    """The same for a list of so few campaigns that each may be looked at."""
    words = _WORD.findall(search)
    if not words:
        return None
    beginning = search.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    return SearchTerms(" & ".join(f"'{word}':*" for word in words), beginning)


async def fetch_active_channels(connection: Connection) -> tuple[bool, list[str]]:
    """Whether an active campaign is public, and the ids of those that are internal."""
    row = await connection.fetchrow(SQL["fetch_active_channels"])
    assert row is not None  # noqa: S101 - it counts, so there is a row
    return row["has_public"], row["internal_ids"]


def _campaign_of(row: asyncpg.Record) -> Campaign:
    bodies = dict(zip(map(Language, row["languages"]), row["bodies"], strict=True))
    return Campaign(
        id=row["id"],
        name=row["name"],
        channel=Channel(row["channel"]),
        template=Template(row["header"], bodies),
        notify_email=row["notify_email"],
        status=CampaignStatus(row["status"]),
        allowed_sources=tuple(row["allowed_sources"]),
        is_otp=row["otp"],
        api_addresses=tuple(row["api_addresses"]),
        api_rate=row["api_rate"],
        nric=row["nric"],
        created_at=row["created_at"],
        suspended_at=row["suspended_at"],
        deleted_at=row["deleted_at"],
        agency_id=row["agency_id"],
        creator=Creator(row["creator_id"], row["creator_email"]),
    )


async def suspend_campaign(
    connection: Connection, campaign_id: str, *, reason: SuspensionReason | None = None, actor: Actor
) -> bool:
    """Shut the campaign out at once. False when it already was. Raises CampaignNotFound, CampaignRefused (a deleted one)."""
    details: EventDetails = {} if reason is None else {"reason": reason.value}
    return await _move(connection, campaign_id, CampaignStatus.SUSPENDED, actor, details)


async def fetch_suspension_reason(connection: Connection, campaign_id: str) -> SuspensionReason | None:
    """Why the campaign was suspended last; None where nobody said."""
    reason = await connection.fetchval(SQL["fetch_suspension_reason"], campaign_id)
    return None if reason is None else SuspensionReason(reason)


async def resume_campaign(connection: Connection, campaign_id: str, *, actor: Actor) -> bool:
    """Let it in again. False when it wasn't shut out. Raises CampaignNotFound, CampaignRefused (a deleted one)."""
    return await _move(connection, campaign_id, CampaignStatus.ACTIVE, actor)


async def delete_campaign(connection: Connection, campaign_id: str, *, actor: Actor) -> bool:
    """Delete it for good, and all its keys. Its uploads, messages and audit events stay. False when it already was deleted."""
    if not await _move(connection, campaign_id, CampaignStatus.DELETED, actor):
        return False
    cause = "campaign deleted"
    await record_all_keys_revoked(connection, campaign_id, cause=cause, actor=actor)
    await record_all_api_keys_deleted(connection, campaign_id, cause=cause, actor=actor)
    return True


async def _move(
    connection: Connection,
    campaign_id: str,
    target: CampaignStatus,
    actor: Actor,
    details: EventDetails | None = None,
) -> bool:
    status = await lock_campaign(connection, campaign_id)
    if status is target:
        return False
    if target not in _MOVES[status]:
        raise CampaignRefused(
            f"campaign {campaign_id} is {status}, and that can't be undone: create a new campaign"
        )
    await connection.execute(SQL["set_status"], campaign_id, target.value)
    await record_event(connection, _EVENTS[target], campaign_id=campaign_id, actor=actor, details=details)
    return True


async def set_notify_address(connection: Connection, campaign_id: str, text: str, *, actor: Actor) -> str:
    """From now on outcomes are mailed to this one address, which is returned. Raises CampaignNotFound, CampaignRefused."""
    address = parse_notify_address(text)
    await lock_live_campaign(connection, campaign_id)
    await connection.execute(SQL["set_notify_email"], campaign_id, address)
    # The address is a person's: the audit event says that it changed, not to what.
    await record_event(connection, AuditEvent.CAMPAIGN_NOTIFY_CHANGED, campaign_id=campaign_id, actor=actor)
    return address


async def set_allowed_sources(
    connection: Connection, campaign_id: str, sources: Collection[Network], *, actor: Actor
) -> None:
    """From now on it may connect from these only, or from anywhere if there are none. Live sessions from elsewhere end at once.

    Raises CampaignNotFound, CampaignRefused (a deleted one).
    """
    await lock_live_campaign(connection, campaign_id)
    await connection.execute(SQL["set_allowed_sources"], campaign_id, list(sources))
    details: EventDetails = {"allowed_sources": [str(network) for network in sources]}
    await record_event(
        connection,
        AuditEvent.CAMPAIGN_SOURCES_CHANGED,
        campaign_id=campaign_id,
        actor=actor,
        details=details,
    )


async def add_keys(
    connection: Connection,
    campaign_id: str,
    keys: Sequence[PublicKey],
    *,
    label: str | None = None,
    actor: Actor,
) -> AddedKeys:
    """Let the campaign log in with these keys; see `record_keys`. Raises CampaignNotFound, CampaignRefused (a deleted one)."""
    await lock_live_campaign(connection, campaign_id)
    return await record_keys(connection, campaign_id, keys, label=label, actor=actor)


async def revoke_key(connection: Connection, campaign_id: str, fingerprint: str, *, actor: Actor) -> None:
    """Take one key out of force; its sessions end at once. Raises CampaignNotFound, KeyNotFound."""
    await lock_campaign(connection, campaign_id)
    await record_key_revoked(connection, campaign_id, fingerprint, actor=actor)


async def lock_campaign(connection: Connection, campaign_id: str) -> CampaignStatus:
    """Hold the campaign's row until the transaction ends; its status. Raises CampaignNotFound."""
    status = await connection.fetchval(SQL["lock_campaign"], campaign_id)
    if status is None:
        raise CampaignNotFound(f"there is no campaign {campaign_id!r:.80}: see `sftp-gateway campaign list`")
    return CampaignStatus(status)


async def lock_live_campaign(connection: Connection, campaign_id: str) -> None:
    """Like `lock_campaign`, for changes that a deleted campaign takes no more. Raises CampaignNotFound, CampaignRefused."""
    if await lock_campaign(connection, campaign_id) is CampaignStatus.DELETED:
        raise CampaignRefused(
            f"campaign {campaign_id} is deleted, and that can't be undone: create a new campaign"
        )

"""Campaigns: who an agency is to this gateway. Created once; suspended, resumed and deleted, but never edited.

Every change here is made in the caller's transaction, with its line of the audit trail.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import Final, TypeAlias

import asyncpg

from audit.events import Actor, AuditEvent, record_event
from config.addresses import parse_network
from config.identifiers import is_campaign_id, new_identifier
from database.connections import Connection
from database.queries import NamedQueries
from keys.errors import CampaignNotFound, CampaignRefused
from rules.templates import Language, Template

SQL: Final = NamedQueries("campaigns", "campaigns.sql")

Network: TypeAlias = IPv4Network | IPv6Network

# One address as RFC 5321 has it, without quoted local parts, comments and domains in brackets.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS: Final = re.compile(
    rf"(?P<local>{_ATOM}(?:\.{_ATOM})*)@(?P<domain>{_LABEL}(?:\.{_LABEL})*)", re.ASCII
)


class Channel(StrEnum):
    """How the messages leave: `public` with the sender ID gov.sg, `internal` to an agency's own staff."""

    PUBLIC = "public"
    INTERNAL = "internal"


class CampaignStatus(StrEnum):
    """Only an active campaign may come in. A deleted one stays visible, and stays deleted."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


# The moves that exist; all others are refused.
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
class Campaign:
    """A campaign as stored. No `allowed_sources`: from anywhere. Times are aware UTC."""

    id: str
    name: str
    channel: Channel
    template: Template
    notify_email: str
    status: CampaignStatus
    allowed_sources: tuple[Network, ...]
    created_at: datetime
    suspended_at: datetime | None
    deleted_at: datetime | None


def parse_campaign_id(text: str) -> str:
    """`text`, which has the form of a campaignId. Raises CampaignRefused."""
    if not is_campaign_id(text):
        raise CampaignRefused(
            "a campaignId has 3 to 64 characters, only letters A-Z a-z, digits, '_' and '-': choose another --id"
        )
    return text


def parse_notify_address(text: str) -> str:
    """`text`, which is exactly one e-mail address. Raises CampaignRefused, which doesn't repeat it."""
    if re.search(r"[,;\s]", text.strip()) or text.count("@") > 1:
        raise CampaignRefused(
            "exactly one notification address is possible, written as name@agency.gov.sg: "
            "for several readers, give a mailing list's address"
        )
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or len(match["local"]) > 64 or len(match[0]) > 254:
        raise CampaignRefused("the notification address is not an e-mail address such as name@agency.gov.sg")
    if "." not in match["domain"] and match["domain"] != "localhost":
        raise CampaignRefused("the notification address's domain is incomplete: write name@agency.gov.sg")
    return match[0]


def parse_sources(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks, once each, host bits cleared. Raises CampaignRefused."""
    found: list[Network] = []
    for text in texts:
        for word in text.replace(",", " ").split():
            try:
                network = parse_network(word)
            except ValueError:
                network = None
            # An IPv6 zone is one machine's own affair, and PostgreSQL's cidr knows none.
            if network is None or "%" in word:
                raise CampaignRefused(
                    f"{word!r} is not an address or network: write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
                )
            found.append(network)
    return tuple(dict.fromkeys(found))


async def create_campaign(
    connection: Connection,
    *,
    name: str,
    template: Template,
    notify_email: str,
    campaign_id: str | None = None,
    channel: Channel = Channel.PUBLIC,
    allowed_sources: Collection[Network] = (),
    actor: Actor,
) -> str:
    """Store a campaign whose template the rules have passed. Returns its id.

    Raises CampaignRefused: an id that is taken (a deleted campaign keeps its own) or malformed, no name, no address.
    """
    name = name.strip()
    if not name:
        raise CampaignRefused("a campaign needs a name: give --name")
    address = parse_notify_address(notify_email)
    identifier = new_identifier("campaign") if campaign_id is None else parse_campaign_id(campaign_id)
    try:
        async with connection.transaction():
            await connection.execute(
                SQL["insert_campaign"],
                identifier,
                name,
                channel.value,
                template.header,
                address,
                list(allowed_sources),
            )
    except asyncpg.UniqueViolationError:
        raise CampaignRefused(f"the campaignId {identifier} is taken: choose another --id") from None
    rows = [
        (identifier, language.value, body, position)
        for position, (language, body) in enumerate(template.bodies.items())
    ]
    await connection.executemany(SQL["insert_body"], rows)
    details = {
        "channel": channel.value,
        "languages": [language.value for language in template.bodies],
        "allowed_sources": [str(network) for network in allowed_sources],
    }
    await record_event(
        connection, AuditEvent.CAMPAIGN_CREATED, campaign_id=identifier, actor=actor, details=details
    )
    return identifier


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


async def list_campaigns(connection: Connection) -> list[Campaign]:
    """All campaigns, deleted ones too, newest first."""
    return [_campaign_of(row) for row in await connection.fetch(SQL["list_campaigns"])]


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
        created_at=row["created_at"],
        suspended_at=row["suspended_at"],
        deleted_at=row["deleted_at"],
    )


async def suspend_campaign(connection: Connection, campaign_id: str, *, actor: Actor) -> bool:
    """Shut the campaign out at once. False when it already was. Raises CampaignNotFound, CampaignRefused."""
    return await _move(connection, campaign_id, CampaignStatus.SUSPENDED, actor)


async def resume_campaign(connection: Connection, campaign_id: str, *, actor: Actor) -> bool:
    """Let it in again. False when it was in. Raises CampaignNotFound, CampaignRefused (a deleted one stays so)."""
    return await _move(connection, campaign_id, CampaignStatus.ACTIVE, actor)


async def delete_campaign(connection: Connection, campaign_id: str, *, actor: Actor) -> bool:
    """Delete for good: no login any more, keys revoked; uploads, messages and audit stay. False when it already was."""
    if not await _move(connection, campaign_id, CampaignStatus.DELETED, actor):
        return False
    for row in await connection.fetch(SQL["revoke_keys_of_campaign"], campaign_id):
        details = {"fingerprint": row["fingerprint"], "reason": "campaign deleted"}
        await record_event(
            connection, AuditEvent.KEY_REVOKED, campaign_id=campaign_id, actor=actor, details=details
        )
    return True


async def _move(connection: Connection, campaign_id: str, target: CampaignStatus, actor: Actor) -> bool:
    status = await lock_campaign(connection, campaign_id)
    if status is target:
        return False
    if target not in _MOVES[status]:
        raise CampaignRefused(
            f"campaign {campaign_id} is {status}, and that can't be undone: create a new campaign"
        )
    await connection.execute(SQL["set_status"], campaign_id, target.value)
    await record_event(connection, _EVENTS[target], campaign_id=campaign_id, actor=actor)
    return True


async def set_notify_address(connection: Connection, campaign_id: str, text: str, *, actor: Actor) -> str:
    """From now on outcomes are mailed to this one address. Returns it. Raises CampaignNotFound, CampaignRefused."""
    address = parse_notify_address(text)
    await lock_live_campaign(connection, campaign_id)
    await connection.execute(SQL["set_notify_email"], campaign_id, address)
    # The address is a person's: the trail says that it changed, not to what.
    await record_event(connection, AuditEvent.CAMPAIGN_NOTIFY_CHANGED, campaign_id=campaign_id, actor=actor)
    return address


async def set_allowed_sources(
    connection: Connection, campaign_id: str, sources: Collection[Network], *, actor: Actor
) -> None:
    """From now on only these may connect; none: anyone. Live sessions from elsewhere end at once."""
    await lock_live_campaign(connection, campaign_id)
    await connection.execute(SQL["set_allowed_sources"], campaign_id, list(sources))
    details = {"allowed_sources": [str(network) for network in sources]}
    await record_event(
        connection,
        AuditEvent.CAMPAIGN_SOURCES_CHANGED,
        campaign_id=campaign_id,
        actor=actor,
        details=details,
    )


async def lock_campaign(connection: Connection, campaign_id: str) -> CampaignStatus:
    """Hold the campaign's row until the transaction ends; its status. Raises CampaignNotFound."""
    status = await connection.fetchval(SQL["lock_campaign"], campaign_id)
    if status is None:
        raise CampaignNotFound(f"there is no campaign {campaign_id!r:.80}: see `sftp-gateway campaign list`")
    return CampaignStatus(status)


async def lock_live_campaign(connection: Connection, campaign_id: str) -> None:
    """`lock_campaign`, for changes that a deleted campaign takes no more. Raises CampaignNotFound, CampaignRefused."""
    if await lock_campaign(connection, campaign_id) is CampaignStatus.DELETED:
        raise CampaignRefused(
            f"campaign {campaign_id} is deleted, and that can't be undone: create a new campaign"
        )

"""What lets a campaign call the HTTP API: its source addresses, its keys, how often it may call, and whether by NRIC.

The addresses are the API's own, apart from those of SFTP. A campaign without one has no key in force. Every change is made in the
caller's transaction, which holds the campaign's row locked, together with its audit event.
"""

from collections.abc import Collection, Sequence
from typing import Final

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from campaigns.campaigns import lock_campaign, lock_live_campaign
from campaigns.errors import CampaignRefused
from config.addresses import Address, parse_address
from config.environment import Environment
from database.connections import Connection
from database.queries import NamedQueries
from keys.api_keys import NewAPIKey, count_in_force, record_api_key, record_api_key_deleted

SQL: Final = NamedQueries("campaigns", "api_access.sql")

MOST_ADDRESSES: Final = 20
MOST_RATE: Final = 1000


def parse_api_addresses(texts: Sequence[str]) -> tuple[Address, ...]:
    """Single addresses, once each. Raises CampaignRefused: a network, or no address that a caller can have."""
    found: list[Address] = []
    for text in texts:
        for word in text.replace(",", " ").split():
            if "/" in word:
                raise CampaignRefused(
                    f"{word:.60} is a network: the API takes single addresses only, such as 192.0.2.7 or 2001:db8::7"
                )
            try:
                address = parse_address(word)
            except ValueError:
                address = None
            # An IPv6 zone is one machine's own affair.
            if address is None or "%" in word or address.is_unspecified or address.is_multicast:
                raise CampaignRefused(
                    f"{word!r:.60} is not the address of a caller: write 192.0.2.7 or 2001:db8::7"
                )
            found.append(address)
    return tuple(dict.fromkeys(found))


async def change_api_addresses(
    connection: Connection,
    campaign_id: str,
    *,
    added: Collection[Address],
    removed: Collection[Address],
    actor: Actor,
) -> tuple[Address, ...]:
    """Take some addresses out, then others in; returns those that are allowed now.

    Raises CampaignNotFound, CampaignRefused: a deleted campaign; one to take out isn't there; more than 20; none left while keys
    are in force.
    """
    await lock_live_campaign(connection, campaign_id)
    before: list[Address] = await connection.fetchval(SQL["fetch_addresses"], campaign_id)
    for address in removed:
        if address not in before:
            raise CampaignRefused(
                f"{address} is none of the API's addresses of campaign {campaign_id}: see "
                f"`sftp-gateway campaign addresses {campaign_id}`"
            )
    kept = [address for address in before if address not in removed]
    now = tuple(dict.fromkeys([*kept, *added]))
    if len(now) > MOST_ADDRESSES:
        raise CampaignRefused(
            f"campaign {campaign_id} would have {len(now)} addresses, and can have {MOST_ADDRESSES}: remove some first"
        )
    if not now and (keys := await count_in_force(connection, campaign_id)):
        raise CampaignRefused(
            f"campaign {campaign_id} has API keys in force ({keys}), which need an address: delete them first, or add another "
            "address in the same call"
        )
    if list(now) != before:
        await connection.execute(SQL["set_addresses"], campaign_id, list(now))
        details: EventDetails = {"api_addresses": [str(address) for address in now]}
        await record_event(
            connection,
            AuditEvent.CAMPAIGN_API_ADDRESSES_CHANGED,
            campaign_id=campaign_id,
            actor=actor,
            details=details,
        )
    return now


async def set_api_rate(connection: Connection, campaign_id: str, rate: int | None, *, actor: Actor) -> None:
    """From now on it may call so often a second, or, for None, as often as the settings say.

    Raises CampaignNotFound, CampaignRefused: a deleted campaign, or no rate that can be kept.
    """
    if rate is not None and not 1 <= rate <= MOST_RATE:
        raise CampaignRefused(f"a rate is from 1 to {MOST_RATE:,} calls a second, not {rate}")
    await lock_live_campaign(connection, campaign_id)
    await connection.execute(SQL["set_rate"], campaign_id, rate)
    await record_event(
        connection,
        AuditEvent.CAMPAIGN_API_RATE_CHANGED,
        campaign_id=campaign_id,
        actor=actor,
        details={"api_rate": rate},
    )


async def set_nric(connection: Connection, campaign_id: str, *, allowed: bool, actor: Actor) -> bool:
    """Let its single sends name recipients by NRIC, or not. False where that was so already.

    Raises CampaignNotFound, CampaignRefused (a deleted one).
    """
    await lock_live_campaign(connection, campaign_id)
    if await connection.fetchval(SQL["set_nric"], campaign_id, allowed) is None:
        return False
    await record_event(
        connection,
        AuditEvent.CAMPAIGN_NRIC_CHANGED,
        campaign_id=campaign_id,
        actor=actor,
        details={"nric": allowed},
    )
    return True


async def add_api_key(
    connection: Connection,
    campaign_id: str,
    *,
    environment: Environment,
    name: str,
    actor: Actor,
    creator_id: str | None = None,
) -> NewAPIKey:
    """Make a key for the campaign, whose text is in the answer and nowhere else. What is sent by it is `creator_id`'s, a user's.

    Raises CampaignNotFound; CampaignRefused: a deleted campaign, or one without an address; KeyRefused: three are in force.
    """
    await lock_live_campaign(connection, campaign_id)
    if not await connection.fetchval(SQL["fetch_addresses"], campaign_id):
        raise CampaignRefused(
            f"campaign {campaign_id} has no address from which the API may be called: give it one first by "
            f"`sftp-gateway campaign addresses {campaign_id} --add ADDRESS`"
        )
    return await record_api_key(
        connection, campaign_id, environment=environment, name=name, actor=actor, creator_id=creator_id
    )


async def delete_api_key(connection: Connection, campaign_id: str, prefix: str, *, actor: Actor) -> None:
    """End a key: no call that comes after the commit gets in by it. Raises CampaignNotFound, KeyNotFound."""
    await lock_campaign(connection, campaign_id)
    await record_api_key_deleted(connection, campaign_id, prefix, actor=actor)

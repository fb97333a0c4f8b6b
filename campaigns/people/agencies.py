"""The tables `agencies` and `agency_domains`. Every change is made in the caller's transaction, together with its audit event."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from campaigns.errors import AgencyNotFound, PeopleRefused
from campaigns.people.addresses import domain_of, is_government, parents_of, parse_domain
from config.identifiers import new_identifier
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("campaigns.people", "agencies.sql")
# What belongs to nobody else; the migration has made it.
DEFAULT_AGENCY_ID: Final = "agency_9acfd89c-e451-59b9-9372-eedd1493ecd4"
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency as stored. `member_domains` are those whose people can only be members. `added_at` is aware UTC."""

    id: str
    name: str
    domains: tuple[str, ...]
    member_domains: tuple[str, ...]
    added_at: datetime


@dataclass(frozen=True, slots=True)
class ListedDomain:
    """An agency's domain."""

    domain: str
    agency_id: str
    member_only: bool


async def add_agency(
    connection: Connection, name: str, domains: Collection[str], *, member_only: bool, actor: Actor
) -> Agency:
    """A new agency with these domains; or more domains for one that is there.

    Raises PeopleRefused: no name; a domain that is none, is another agency's, or lies outside the government without
    `member_only`.
    """
    name = " ".join(name.split())
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise PeopleRefused(f"an agency's name has 1 to {_LONGEST_NAME} printable characters")
    parsed = list(dict.fromkeys(map(parse_domain, domains)))
    for domain in parsed:
        if not member_only and not is_government(domain):
            raise PeopleRefused(
                f"{domain} is not below gov.sg: its people can only be members, so add --member-only"
            )
    inserted = await connection.fetchval(SQL["insert_agency"], new_identifier("agency"), name)
    agency_id = inserted or (await find_agency(connection, name)).id
    for domain in parsed:
        if await connection.fetchval(SQL["insert_domain"], domain, agency_id, member_only) is None:
            listed = await find_domain(connection, f"any@{domain}")
            if listed is None or (listed.agency_id, listed.member_only) != (agency_id, member_only):
                raise PeopleRefused(f"the domain {domain} is listed already, for another agency or otherwise")
    details: EventDetails = {"agency_id": agency_id, "domains": parsed, "member_only": member_only}
    await record_event(connection, AuditEvent.AGENCY_ADDED, actor=actor, details=details)
    return await find_agency(connection, name)


async def find_agency(connection: Connection, name: str) -> Agency:
    """The agency of that name. Raises AgencyNotFound."""
    row = await connection.fetchrow(SQL["find_agency"], " ".join(name.split()))
    if row is None:
        raise AgencyNotFound(f"there is no agency {name!r:.80}: see `sftp-gateway agency list`")
    return _agency_of(row)


async def fetch_agency(connection: Connection, agency_id: str) -> Agency:
    """The agency of that id, which is there."""
    row = await connection.fetchrow(SQL["fetch_agency"], agency_id)
    assert row is not None  # noqa: S101 - a foreign key's target
    return _agency_of(row)


async def list_agencies(connection: Connection) -> list[Agency]:
    """All agencies, by name."""
    return [_agency_of(row) for row in await connection.fetch(SQL["list_agencies"])]


async def find_domain(connection: Connection, email: str) -> ListedDomain | None:
    """The nearest listed domain that a parsed address is below."""
    row = await connection.fetchrow(SQL["find_domain"], parents_of(domain_of(email)))
    return None if row is None else ListedDomain(**row)


async def count_campaigns(connection: Connection, agency_id: str) -> int:
    """How many campaigns the agency has, deleted ones left out."""
    return int(await connection.fetchval(SQL["count_campaigns"], agency_id))


def _agency_of(row: asyncpg.Record) -> Agency:
    return Agency(
        row["id"], row["name"], tuple(row["domains"]), tuple(row["member_domains"]), row["added_at"]
    )

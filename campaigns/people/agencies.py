"""The tables `agencies` and `agency_domains`. Every change is made in the caller's transaction, together with its audit event."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
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
    """An agency as stored. `member_domains` are those whose people can only be members. `added_at` is aware UTC.

    Customer id, sub-BU and contact are its payment form's, and stand on its bills.
    """

    id: str
    name: str
    domains: tuple[str, ...]
    member_domains: tuple[str, ...]
    added_at: datetime
    customer_id: str | None = None
    sub_bu: str | None = None
    billing_contact: str | None = None


class PaymentField(StrEnum):
    """What an agency's payment form says."""

    CUSTOMER_ID = "customer_id"
    SUB_BU = "sub_bu"
    CONTACT = "contact"


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


async def set_payment_form(
    connection: Connection, name: str, fields: Mapping[PaymentField, str], *, actor: Actor
) -> Agency:
    """Change what stands on an agency's bills from now on; an empty text clears it. Reports that were posted keep theirs.

    Raises AgencyNotFound; PeopleRefused: a text that is too long, or of characters that can't be printed.
    """
    agency = await find_agency(connection, name)
    texts = {field: " ".join(text.split()) for field, text in fields.items()}
    if not texts:
        raise PeopleRefused("nothing is to be changed: give a customer id, a sub-BU or a contact")
    for text in texts.values():
        if len(text) > _LONGEST_NAME or not text.isprintable():
            raise PeopleRefused(
                f"customer id, sub-BU and contact have at most {_LONGEST_NAME} printable characters each"
            )
    wanted = [texts.get(field) for field in PaymentField]
    await connection.execute(SQL["update_payment_form"], agency.id, *wanted)
    details: EventDetails = {"agency_id": agency.id, "fields": sorted(texts)}
    await record_event(connection, AuditEvent.AGENCY_BILLING_CHANGED, actor=actor, details=details)
    return await fetch_agency(connection, agency.id)


async def find_agency(connection: Connection, name: str) -> Agency:
    """The agency of that name. Raises AgencyNotFound."""
    row = await connection.fetchrow(SQL["find_agency"], " ".join(name.split()))
    if row is None:
        raise AgencyNotFound(f"there is no agency {name!r:.80}: see `sftp-gateway agency list`")
    return _agency_of(row)


async def fetch_agency(connection: Connection, agency_id: str) -> Agency:
    """The agency of that id. Raises AgencyNotFound."""
    row = await connection.fetchrow(SQL["fetch_agency"], agency_id)
    if row is None:
        raise AgencyNotFound(f"there is no agency {agency_id!r:.80}")
    return _agency_of(row)


async def list_agencies(
    connection: Connection,
    *,
    search: str | None = None,
    after: Agency | None = None,
    limit: int | None = None,
) -> list[Agency]:
    """Agencies by name, at most `limit` where there is one: with `search` in the name or in a domain, and behind `after`."""
    rows = await connection.fetch(SQL["list_agencies"], search, after and after.name, limit)
    return [_agency_of(row) for row in rows]


async def find_domain(connection: Connection, email: str) -> ListedDomain | None:
    """The nearest listed domain that a parsed address is below."""
    row = await connection.fetchrow(SQL["find_domain"], parents_of(domain_of(email)))
    return None if row is None else ListedDomain(**row)


async def count_campaigns(connection: Connection, agency_id: str) -> int:
    """How many campaigns the agency has, deleted ones left out."""
    return int(await connection.fetchval(SQL["count_campaigns"], agency_id))


def _agency_of(row: asyncpg.Record) -> Agency:
    return Agency(
        row["id"],
        row["name"],
        tuple(row["domains"]),
        tuple(row["member_domains"]),
        row["added_at"],
        row["customer_id"],
        row["sub_bu"],
        row["billing_contact"],
    )

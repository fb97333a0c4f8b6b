"""Whose costs somebody sees: a whole agency's, or those of own campaigns alone (10-billing.md §2)."""

from dataclasses import dataclass
from typing import Final

from campaigns.errors import AgencyNotFound
from campaigns.people.agencies import Agency, fetch_agency
from campaigns.people.permissions import Action
from console.errors import PageRefused
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "billing/scopes.sql")


@dataclass(frozen=True, slots=True)
class Scope:
    """What is summed: all that is on the agency's bill, or, without one, these campaigns."""

    agency: Agency | None
    campaign_ids: tuple[str, ...] | None = None

    @property
    def agency_id(self) -> str | None:
        """The agency's id."""
        return self.agency.id if self.agency else None


async def find_scope(visit: Visit, connection: Connection) -> Scope | None:
    """What the visitor sees; None: ops haven't chosen an agency yet. Raises PageRefused (404): an agency of somebody else."""
    chosen = visit.query.get("agency", "").replace("\0", "") or None
    agency_id = chosen if visit.may_at_all(Action.SEE_ALL_BILLING) else own_agency_id(visit)
    if chosen is not None and chosen != agency_id:
        raise PageRefused(404)
    if agency_id is not None:
        return Scope(await find_agency(connection, agency_id))
    if visit.may_at_all(Action.SEE_ALL_BILLING):
        return None
    return Scope(None, tuple(await connection.fetchval(SQL["list_own_campaigns"], visit.user.id)))


def own_agency_id(visit: Visit) -> str | None:
    """The agency whose whole bill the visitor sees without being ops."""
    return visit.person.agency_id if visit.may_at_all(Action.SEE_AGENCY_BILLING) else None


async def find_agency(connection: Connection, agency_id: str) -> Agency:
    """The agency of that id. Raises PageRefused (404)."""
    try:
        return await fetch_agency(connection, agency_id)
    except AgencyNotFound:
        raise PageRefused(404) from None


async def list_agency_names(
    connection: Connection, *, search: str, after: str, most: int
) -> list[tuple[str, str]]:
    """Ids and names of the agencies that have `search` in their name, by name, behind the name `after`."""
    rows = await connection.fetch(SQL["list_agencies"], search, after, most)
    return [(row["id"], row["name"]) for row in rows]

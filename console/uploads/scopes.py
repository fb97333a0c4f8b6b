"""Whose uploads somebody sees: all, or those of some campaigns; and of campaigns where one sees only one's own, those."""

from dataclasses import dataclass
from typing import Final

from campaigns.people.permissions import Action, Person, Place, may
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "uploads/scopes.sql")


@dataclass(frozen=True, slots=True)
class Scope:
    """Equal ones see the same. `creator_id` is there where `own_ids`, the campaigns of which only one's own are seen, has any."""

    is_all: bool = False
    campaign_ids: tuple[str, ...] = ()
    own_ids: tuple[str, ...] = ()
    creator_id: str | None = None

    def narrowed(self, campaign_id: str | None) -> "Scope":
        """The part of it that is about one campaign, which may be nothing; without a campaign all of it."""
        if campaign_id is None:
            return self
        if self.is_all or campaign_id in self.campaign_ids:
            return Scope(campaign_ids=(campaign_id,))
        if campaign_id in self.own_ids:
            return Scope(own_ids=(campaign_id,), creator_id=self.creator_id)
        return Scope()

    def has(self, campaign_id: str) -> bool:
        """Whether anything of that campaign is seen."""
        return self.is_all or campaign_id in self.campaign_ids or campaign_id in self.own_ids


def sees_only_own(person: Person, place: Place) -> bool:
    """Whether the person sees nothing of the campaign but what the person has sent."""
    return may(person, Action.SEE_OWN_MESSAGES, place) and not may(person, Action.SEE_MASKED_MESSAGES, place)


async def fetch_scope(connection: Connection, person: Person) -> Scope:
    """What the person sees as of now."""
    if person.is_ops:
        return Scope(is_all=True)
    places = await _fetch_places(connection, person)
    own = {place.id for place in places if sees_only_own(person, place)}
    whole = {place.id for place in places} - own
    if person.is_pic:
        # All of the agency's, deleted ones too: thousands of them needn't be asked for one by one.
        rows = await connection.fetch(SQL["list_ids_of_agency"], person.agency_id)
        whole.update(row["id"] for row in rows)
    return Scope(
        campaign_ids=tuple(sorted(whole)),
        own_ids=tuple(sorted(own)),
        creator_id=person.id if own else None,
    )


async def list_known(connection: Connection, scope: Scope, most: int) -> list[tuple[str, str]]:
    """Ids and names of the campaigns of a scope, by name; nothing where there are more than `most`."""
    ids = [*scope.campaign_ids, *scope.own_ids]
    if len(ids) > most:
        return []
    rows = await (
        connection.fetch(SQL["list_newest"], most + 1)
        if scope.is_all
        else connection.fetch(SQL["list_named"], ids)
    )
    known = [(row["id"], row["name"]) for row in rows]
    return sorted(known, key=lambda one: (one[1], one[0])) if len(known) <= most else []


async def _fetch_places(connection: Connection, person: Person) -> list[Place]:
    """Of the campaigns that the person has created or is a member of, those that the person sees."""
    rows = await connection.fetch(SQL["list_places"], person.id, list(person.memberships))
    places = [Place(row["id"], row["agency_id"], row["creator_id"], row["is_deleted"]) for row in rows]
    return [place for place in places if may(person, Action.SEE_CAMPAIGN, place)]

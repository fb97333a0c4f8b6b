"""How much of a campaign's messages somebody sees: all, only own ones, or all with their numbers masked (9-console.md §3)."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from campaigns.people.permissions import Action, Person, Place, may
from console.errors import PageRefused
from console.live.checks import still_allowed
from console.live.hub import Check
from console.subjects import fetch_place
from console.visits import Visit
from database.connections import Connection
from messages.retrieval import Batch

# Whoever may do any of these sees something of a campaign's messages.
SEES_MESSAGES: Final = (Action.SEE_MESSAGES, Action.SEE_OWN_MESSAGES, Action.SEE_MASKED_MESSAGES)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one person sees. What is shown of a message besides its status, its number and values, is `sees_contents`."""

    user_id: str
    campaign_creator_id: str
    sees_all_contents: bool
    sees_own: bool
    sees_others: bool

    @classmethod
    def of(cls, person: Person, place: Place) -> "Sight":
        """The person's sight of that campaign."""
        return cls(
            person.id,
            place.creator_id,
            may(person, Action.SEE_MESSAGES, place),
            may(person, Action.SEE_OWN_MESSAGES, place),
            may(person, Action.SEE_MASKED_MESSAGES, place),
        )

    @classmethod
    def of_visit(cls, visit: Visit) -> "Sight":
        """The visitor's sight of the page's campaign."""
        assert visit.place is not None  # noqa: S101 - its route has a subject
        return cls.of(visit.person, visit.place)

    def is_own(self, batch: Batch) -> bool:
        """Whether the batch, or the single send, was made by whoever looks."""
        return (batch.creator_id or self.campaign_creator_id) == self.user_id

    def sees(self, batch: Batch) -> bool:
        """Whether the batch is there at all for whoever looks."""
        return self.sees_others or (self.sees_own and self.is_own(batch))

    def sees_contents(self, batch: Batch) -> bool:
        """Whether numbers and values of its messages are shown as they are."""
        return self.sees_all_contents or (self.sees_own and self.is_own(batch))

    @property
    def only_of(self) -> str | None:
        """The user whose messages alone are there, or None for all."""
        return None if self.sees_others else self.user_id

    @property
    def may_search(self) -> bool:
        """Whether numbers may be searched: a search would tell what a mask hides."""
        return self.sees_all_contents or not self.sees_others

    @property
    def kind(self) -> Hashable:
        """What tells it from the sight of others who see something else."""
        return "all" if self.sees_all_contents else (self.sees_others, self.sees_own and self.user_id)

    def demand(self, batch: Batch | None) -> Batch:
        """The batch, where it is there for whoever looks. Raises PageRefused (404)."""
        if batch is None or not self.sees(batch):
            raise PageRefused(404)
        return batch


def check_of(visit: Visit, sight: Sight) -> Check:
    """Whether a page that is open may stay so: its visitor still sees what it shows."""

    async def sees_the_same(connection: Connection, person: Person) -> bool:
        place = await fetch_place(connection, visit.campaign_id)
        return place is not None and Sight.of(person, place) == sight

    return still_allowed(visit, *SEES_MESSAGES, further=sees_the_same)

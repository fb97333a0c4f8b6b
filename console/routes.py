"""What a page is to the application: its path, who may ask for it, and what answers. Each folder has a table of these."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeAlias

from starlette.responses import Response

from campaigns.people.permissions import Action
from console.subjects import Subject

if TYPE_CHECKING:
    from console.visits import Visit

Page: TypeAlias = "Callable[[Visit], Awaitable[Response]]"


class Access(Enum):
    """Who may ask for a page that is about no right: programs, of whom nobody asks who they are; anybody; who is logged in."""

    NOBODY = auto()
    ANYBODY = auto()
    USERS = auto()


@dataclass(frozen=True, slots=True)
class ConsoleRoute:
    """A row. `name` stands in metrics and logs, and makes links: `url(name, campaign_id=…)`.

    `methods` has for each method of the path what answers it; a HEAD is a GET. `needs` is what somebody must have the right to:
    towards the campaign that `subject` finds by the path, or at all where there is no subject. Several actions: any of them is
    enough, and the page asks `visit.may` what to show. Whoever may not see the campaign is told 404, who lacks the action 403.
    `unsafe_needs` stands in for it where the method is POST. `is_fresh`: a code must have been given lately (9-console.md §2).
    `takes_files`: its POST reads the body by itself. `is_stream`: asking for it is no activity, and it lasts.
    """

    name: str
    path: str
    methods: Mapping[str, Page]
    needs: Access | Action | tuple[Action, ...]
    subject: Subject | None = None
    unsafe_needs: Access | Action | tuple[Action, ...] | None = None
    is_fresh: bool = False
    takes_files: bool = False
    is_stream: bool = False

    def needs_for(self, method: str) -> Access | tuple[Action, ...]:
        """What a request with this method needs."""
        needs = self.needs if method == "GET" or self.unsafe_needs is None else self.unsafe_needs
        return (needs,) if isinstance(needs, Action) else needs

"""Whether a page may still be shown to whoever opened it: what its route asked at the beginning, asked again."""

from collections.abc import Awaitable, Callable

from campaigns.people.permissions import Action, Person, may
from console.live.hub import Check
from console.login.sessions import is_in_force
from console.login.visitors import fetch_visitor
from console.subjects import fetch_place
from console.visits import Visit
from database.connections import Connection

# What a page asks besides of whoever is still logged in.
Further = Callable[[Connection, Person], Awaitable[bool]]


def still_allowed(visit: Visit, *actions: Action, further: Further | None = None) -> Check:
    """Asks whether the session goes on, the page's campaign is still seen, and one of `actions` is still allowed there."""
    session, place = visit.session, visit.place

    async def check() -> bool:
        async with visit.connection() as connection:
            if not await is_in_force(connection, session.id, visit.settings.console):
                return False
            visitor, _ = await fetch_visitor(connection, session, visit.settings.console)
            if visitor is None:
                return False
            person = visitor.person
            if place is not None:
                now = await fetch_place(connection, place.id)
                if now is None or not may(person, Action.SEE_CAMPAIGN, now):
                    return False
                if actions and not any(may(person, action, now) for action in actions):
                    return False
            return further is None or await further(connection, person)

    return check

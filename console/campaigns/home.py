"""The first page: the visitor's campaigns."""

from typing import Final

from starlette.responses import Response

from console.routes import Access, ConsoleRoute
from console.visits import Visit
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "campaigns/home.sql")


async def show_campaigns(visit: Visit) -> Response:
    """The campaigns that the visitor may see, the one last opened first."""
    person = visit.person
    async with visit.connection() as connection:
        campaigns = await connection.fetch(
            SQL["list_campaigns"], person.id, person.is_ops, person.agency_id if person.is_pic else None
        )
    return await visit.page("campaigns/home.html", campaigns=campaigns)


ROUTES: Final = (ConsoleRoute("home", "/", {"GET": show_campaigns}, Access.USERS),)

"""Help: what an officer must know, beside the page."""

from typing import Final

from starlette.responses import Response

from console.routes import Access, ConsoleRoute
from console.visits import Visit


async def show_help(visit: Visit) -> Response:
    """The table of contents of the help."""
    return await visit.page("guides/help.html")


ROUTES: Final = (ConsoleRoute("help", "/help", {"GET": show_help}, Access.USERS),)

"""The pages of the login: address, then code."""

from typing import Final

from starlette.responses import Response

from console.routes import Access, ConsoleRoute
from console.visits import Visit


async def show_login(visit: Visit) -> Response:
    """Ask for the address."""
    return await visit.page("login/login.html")


ROUTES: Final = (ConsoleRoute("login", "/login", {"GET": show_login}, Access.ANYBODY),)

"""The table of this folder's pages."""

from typing import Final

from console.billing import downloads, overview
from console.routes import ConsoleRoute

ROUTES: Final[tuple[ConsoleRoute, ...]] = (*overview.ROUTES, *downloads.ROUTES)

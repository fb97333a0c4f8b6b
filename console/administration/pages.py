"""The table of this folder's pages."""

from typing import Final

from console.administration import (
    agencies,
    agency,
    audit_download,
    audit_trail,
    banner,
    campaign_limits,
    operations,
    people,
    senders,
)
from console.routes import ConsoleRoute

ROUTES: Final[tuple[ConsoleRoute, ...]] = (
    *agency.ROUTES,
    *operations.ROUTES,
    *agencies.ROUTES,
    *senders.ROUTES,
    *people.ROUTES,
    *campaign_limits.ROUTES,
    *audit_trail.ROUTES,
    *audit_download.ROUTES,
    *banner.ROUTES,
)

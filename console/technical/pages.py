"""What no person asks for: stylesheet and scripts, whether the part is well, and reports of browsers."""

from typing import Final

from starlette.responses import JSONResponse, Response

from config.logs import get_logger
from console import metrics
from console.errors import PageRefused
from console.routes import Access, ConsoleRoute
from console.technical.protection import REPORTS_PATH
from console.technical.static_files import PREFIX
from console.visits import Visit

logger = get_logger("console")

_MOST_REPORT: Final = 16 * 1024


async def send_static(visit: Visit) -> Response:
    """A file of `console/static/`, by its hashed name."""
    accepts_gzip = "gzip" in visit.request.headers.get("accept-encoding", "")
    answer = visit.services.static.answer(visit.parameter("name"), accepts_gzip=accepts_gzip)
    if answer is None:
        raise PageRefused(404)
    return answer


async def show_health(visit: Visit) -> Response:
    """200 while pages could be shown: the database answers. Raises ConfigError (503)."""
    async with visit.connection() as connection:
        await connection.fetchval("select 1")
    return JSONResponse({"status": "ok"})


async def take_report(visit: Visit) -> Response:
    """A browser tells that a page broke the policy. What it says isn't kept: it may hold an address with an id."""
    size = 0
    async for piece in visit.request.stream():
        size += len(piece)
        if size > _MOST_REPORT:
            raise PageRefused(413)
    metrics.POLICY_VIOLATIONS.inc()
    logger.warning("policy_violated", source_address=visit.address)
    return Response(status_code=204)


ROUTES: Final = (
    ConsoleRoute("static", PREFIX + "{name}", {"GET": send_static}, Access.NOBODY),
    ConsoleRoute("health", "/health", {"GET": show_health}, Access.NOBODY),
    ConsoleRoute("policy_reports", REPORTS_PATH, {"POST": take_report}, Access.NOBODY),
)

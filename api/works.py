"""The seven endpoints' works, composed: each from what it needs of the process."""

from starlette.responses import Response

from api.app import ENDPOINTS
from api.calls import Call, Work
from api.errors import RequestRefused


def make_works() -> dict[str, Work]:
    """The work of each endpoint, by its name in `ENDPOINTS`."""

    async def not_there(_call: Call) -> Response:
        raise RequestRefused(503)

    return {name: not_there for name, _, _ in ENDPOINTS}

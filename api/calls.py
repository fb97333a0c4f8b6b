"""One call of one of the seven endpoints: who calls, for which campaign; and what every endpoint does alike around its own work.

The order of the checks is the contract's (8-api.md §1): route and method are starlette's; key, campaign, address, status and
rate are `admission`'s; size, media type, body and query, objects and domain are each endpoint's own, in this order.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api import metrics
from api.admission import Admission, Admitted
from api.errors import CallRefused, DomainRefused
from config.errors import ConfigError
from config.logs import get_logger
from database.errors import OutcomeUnknown
from web.answers import error_answer

logger = get_logger("api")


@dataclass(frozen=True, slots=True)
class Call:
    """An admitted call. Its body is unread."""

    request: Request
    admitted: Admitted

    @property
    def campaign_id(self) -> str:
        """The campaign that calls, which is the path's too."""
        return self.admitted.campaign.id

    def begin_anew(self) -> None:
        """Count the call's time from now: what went before was a long body on its way, which says nothing of us."""
        self.request.scope["state"]["began"] = perf_counter()

    @property
    def request_id(self) -> str:
        """What the answer's X-Request-Id says: for log lines."""
        return str(self.request.scope["state"]["request_id"])


# An endpoint's own work. It raises CallRefused, ConfigError where a service is away (503), or anything else (500): then nothing
# was accepted.
Work = Callable[[Call], Awaitable[Response]]


class Endpoint:
    """An endpoint as starlette calls it. `name` stands in metrics and logs."""

    def __init__(self, name: str, admission: Admission, work: Work) -> None:
        self._name: Final = name
        self._admission: Final = admission
        self._work: Final = work
        self._seconds: Final = metrics.CALL_SECONDS.labels(name)

    async def answer(self, request: Request) -> Response:
        """Admit the call, let the endpoint do its work, and turn what it raises into an answer."""
        request.scope["state"]["endpoint"] = self._name
        request.scope["state"]["began"] = perf_counter()
        try:
            return await self._answer(request)
        finally:
            self._seconds.observe(perf_counter() - request.scope["state"]["began"])

    async def _answer(self, request: Request) -> Response:
        request_id = request.scope["state"]["request_id"]
        try:
            return await self._work(Call(request, await self._admission.admit(request)))
        except DomainRefused as refusal:
            metrics.REFUSALS.labels(refusal.code).inc()
            # The code, and no text: a text may quote a value.
            logger.info(
                "call_refused", endpoint=self._name, request_id=request_id, code=refusal.code, id=refusal.id
            )
            return refusal.answer()
        except CallRefused as refusal:
            return refusal.answer()
        except OutcomeUnknown as error:
            logger.warning("call_uncertain", endpoint=self._name, request_id=request_id, reason=str(error))
            # The connection is cut: a 503 would say that nothing was accepted.
            raise asyncio.CancelledError from None
        except ConfigError as error:
            logger.warning("call_unavailable", endpoint=self._name, request_id=request_id, reason=str(error))
            return error_answer(503)
        except ClientDisconnect:
            # Nobody reads this.
            return error_answer(400)

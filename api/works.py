"""The seven endpoints' works, composed: each from what it needs of the process."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from api.app import ENDPOINTS
from api.calls import Call, Work
from api.errors import RequestRefused
from api.idempotency import IdempotencyKeys
from api.lists.work import ListsWork
from api.singles.checks import SingleChecks
from api.singles.forms import SingleForms
from api.singles.nric import EmptyDirectory, NRICRecipients, TestIdentifiers
from api.singles.work import SingleSends
from api.singles.writer import SingleWriter
from config.environment import Environment
from config.settings import Settings
from database.connections import Pool
from processing.rule_settings import footers_of, value_rule


@dataclass(frozen=True, slots=True)
class Works:
    """The work of each endpoint, by its name in `ENDPOINTS`; and what runs in tasks as long as calls are answered."""

    by_endpoint: Mapping[str, Work]
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]]


def make_works(settings: Settings, pool: Pool, now: Callable[[], datetime]) -> Works:
    """Composes them. `now` is the database's clock, which is only asked once a call has been admitted."""

    async def not_there(_call: Call) -> Response:
        raise RequestRefused(503)

    keys = IdempotencyKeys(pool)
    singles = SingleWriter(pool, now)
    works: dict[str, Work] = dict.fromkeys((name for name, _, _ in ENDPOINTS), not_there)
    works["send_message"] = _single_sends(settings, pool, keys, singles).send
    works |= ListsWork(pool, settings).by_endpoint
    return Works(works, [singles.run])


def _single_sends(settings: Settings, pool: Pool, keys: IdempotencyKeys, writer: SingleWriter) -> SingleSends:
    environment = settings.environment
    # No source of real numbers is shipped for production.
    directory = TestIdentifiers(pool) if environment is Environment.TEST else EmptyDirectory()
    return SingleSends(
        checks=SingleChecks(environment, value_rule(settings.messages), settings.api.guide_url),
        forms=SingleForms(environment, footers_of(settings.messages)),
        writer=writer,
        nrics=NRICRecipients(environment, directory),
        keys=keys,
    )

"""The seven endpoints' works, composed: each from what it needs of the process."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from api.batches.drain import Drain
from api.batches.repeated import RepeatedBatches
from api.batches.sends import BatchSends
from api.calls import Work
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
from processing.awaited.waiting import Waiting
from processing.intake import Intake, IntakeSettings
from processing.object_store import ObjectStore
from processing.refusals import RefusalBudgets
from processing.rule_settings import footers_of, value_rule

# Seconds in all for storing a batch send's file, and its upload.
_ACKNOWLEDGE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Works:
    """The work of each endpoint, by its name in `ENDPOINTS`; what runs in tasks as long as calls are answered; and what is called
    when the process is told to stop.
    """

    by_endpoint: Mapping[str, Work]
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    on_stop: Callable[[], None]


def make_works(settings: Settings, pool: Pool, store: ObjectStore, now: Callable[[], datetime]) -> Works:
    """Composes them. `now` is the database's clock, which is only asked once a call has been admitted."""
    keys = IdempotencyKeys(pool)
    singles = SingleWriter(pool, now)
    waiting = Waiting(settings.database, pool)
    drain = Drain(settings.api.drain_timeout)
    works: dict[str, Work] = {
        "send_message": _single_sends(settings, pool, keys, singles).send,
        "send_batch": _batch_sends(settings, pool, store, keys, waiting, drain).send,
        **ListsWork(pool, settings).by_endpoint,
    }
    return Works(works, [singles.run, waiting.run], drain.begin)


def _batch_sends(
    settings: Settings, pool: Pool, store: ObjectStore, keys: IdempotencyKeys, waiting: Waiting, drain: Drain
) -> BatchSends:
    file_refused_from = settings.sftp.max_upload_bytes
    intake = IntakeSettings(
        acknowledge_timeout=min(_ACKNOWLEDGE_SECONDS, settings.api.decide_within),
        max_upload_bytes=file_refused_from,
        # What is refused by HTTP is told at once, and leaves nothing to budget.
        refusal_budgets=RefusalBudgets(names_and_sizes=0, interrupted=0),
    )
    return BatchSends(
        Intake(pool, store, intake),
        waiting,
        RepeatedBatches(pool, keys),
        drain,
        file_refused_from=file_refused_from,
        decide_within=settings.api.decide_within,
    )


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

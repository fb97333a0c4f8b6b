"""Composition root of a sender process: what hands messages over, records what becomes of them, and sweeps."""

import asyncio
import contextlib
import io
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final

from campaigns.campaigns import Channel
from config.settings import Settings
from database.connections import Connection, open_pool
from gateway.processes.child_main import Inheritance, run_child
from gateway.processes.parts import SENDER, SENDER_DRAIN_SECONDS
from processing.errors import ObjectMissing, StoreUnavailable
from processing.object_store import ObjectStore, open_store
from processing.rule_settings import footers_of
from sending.accounts import ProviderAccounts
from sending.composing import Composer
from sending.dispatcher import Dispatcher
from sending.outcomes import open_outcomes
from sending.providers.choice import ProviderName, provider_of
from sending.senders import PUBLIC, SenderPlan, fetch_internal_services, record_senders
from sending.taking import INTERNAL, BatchTaking
from sending.upkeep.restored import NEWEST_CLAIM_KEY, DatabaseGuard, check_before_claims, keeping_mark
from sending.upkeep.sweeps import open_sweeps

# Of the time to drain, this much is left for recording what the last hand-overs brought.
_RECORDING_SECONDS: Final = 5.0


async def sender(
    settings: Settings,
    inherited: Inheritance,  # noqa: ARG001 - a sender inherits no sockets
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Send messages until `stop`, then put back what hasn't left. Raises ConfigError where it can't start."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            open_pool(settings.database, name="sender", command_timeout=60)
        )
        outcomes = await stack.enter_async_context(
            open_outcomes(pool, settings.sending, drain=_RECORDING_SECONDS)
        )
        accounts = ProviderAccounts(pool, settings.sending, settings.secrets, settings.environment)
        mark = BucketClaimMark(await stack.enter_async_context(open_store(settings.s3)))
        composer, guard = Composer(), DatabaseGuard(pool, mark)
        dispatcher = Dispatcher(
            pool,
            settings.database,
            settings.sending,
            outcomes=outcomes,
            composer=composer,
            guard=guard,
            taking=BatchTaking(pool, settings.environment, footers_of(settings.messages)),
            plan_senders=lambda connection: _plan_senders(connection, settings),
            open_provider=accounts.open,
        )
        await stack.enter_async_context(open_sweeps(pool, settings.sending, dispatcher.provider_of, composer))

        async def check() -> None:
            async with pool.acquire() as connection:
                await record_senders(connection, await _plan_senders(connection, settings))
            await guard.check()

        await check_before_claims(check, stop, waiting=ready)
        await stack.enter_async_context(keeping_mark(pool, mark))
        await dispatcher.run(stop, ready, drain_seconds=SENDER_DRAIN_SECONDS - _RECORDING_SECONDS)


async def _plan_senders(connection: Connection, settings: Settings) -> list[SenderPlan]:
    """The senders as the settings want them: the public channel, and each messaging service of internal campaigns."""
    sending = settings.sending
    public = provider_of(sending, settings.environment, Channel.PUBLIC, has_account=False)
    plans = [SenderPlan(PUBLIC, public, sending.public.rate)]
    internal = provider_of(sending, settings.environment, Channel.INTERNAL, has_account=True)
    plans += [
        SenderPlan(service, internal, sending.internal.rate)
        for service in await fetch_internal_services(connection)
    ]
    without_account = provider_of(sending, settings.environment, Channel.INTERNAL, has_account=False)
    if without_account is not ProviderName.NONE:
        plans.append(SenderPlan(INTERNAL, without_account, sending.internal.rate))
    return plans


class BucketClaimMark:
    """The `ClaimMark` of a gateway: an object that holds a time, such as 2026-11-25T01:30:12.417000+00:00."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def read(self) -> datetime | None:
        """See ClaimMark. An object that holds no time is a bucket that can't be relied on: OSError."""
        found = io.BytesIO()
        try:
            with _away():
                await self._store.fetch(NEWEST_CLAIM_KEY, found)
        except ObjectMissing:
            return None
        try:
            return datetime.fromisoformat(found.getvalue().decode("ascii").strip()).astimezone(UTC)
        except ValueError:
            raise OSError(f"the object {NEWEST_CLAIM_KEY} holds no time") from None

    async def write(self, at: datetime) -> None:
        """See ClaimMark."""
        with _away():
            source = io.BytesIO(at.isoformat().encode("ascii"))
            await self._store.put(NEWEST_CLAIM_KEY, source, download_name="newest-claim")


@contextlib.contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except StoreUnavailable as error:
        raise OSError(str(error)) from None


def main() -> int:
    """The whole life of such a process, from its command line to its exit status (`begin`)."""
    return run_child(SENDER, sender)

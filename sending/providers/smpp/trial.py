"""Whether an aggregator lets us bind: tried by binding and unbinding, for people who ask."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from config.sending_sections import SMPPSettings
from sending.providers.smpp.link import Link, NotBound
from sending.providers.smpp.pdus import DeliverSM

# Seconds until whoever asks is told that there is no answer.
_PATIENCE: Final = 10.0


@dataclass(frozen=True, slots=True)
class BindTrouble:
    """Why there is no bind, in a line for people. `is_away`: it may pass by itself."""

    text: str
    is_away: bool


async def try_bind(settings: SMPPSettings, *, patience: float = _PATIENCE) -> BindTrouble | None:
    """Bind and unbind; None where that works. Receipts that come meanwhile are told to come again."""
    bound = asyncio.Event()
    link = Link(settings, _take_nothing, bound.set)
    running = asyncio.create_task(link.run())
    binding = asyncio.create_task(bound.wait())
    try:
        await asyncio.wait((running, binding), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if bound.is_set():
            await link.close()
            return None
        if not running.done():
            return BindTrouble("the aggregator gives no answer", is_away=True)
        return _trouble_of(running)
    finally:
        for task in (running, binding):
            task.cancel()
        await asyncio.gather(running, binding, return_exceptions=True)


def _trouble_of(ended: "asyncio.Task[None]") -> BindTrouble:
    try:
        ended.result()
    except NotBound as error:
        if error.is_refusal:
            return BindTrouble(f"the aggregator refuses the account: {error.cause}", is_away=False)
        return BindTrouble(f"no bind at the aggregator: {error.cause}", is_away=error.is_away)
    return BindTrouble("no bind at the aggregator", is_away=True)


def _take_nothing(_message: DeliverSM, _acknowledge: Callable[[], None]) -> bool:
    return False

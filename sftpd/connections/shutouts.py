"""Addresses that failed to log in too often, and may not connect for a while. Pure: the time is passed in, in seconds.

The caller says what a failure is: a connection that asked for a login and ended without one counts once.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from config.addresses import (
    Address,
    Block,
    Network,
    block_of,
    is_listed,
)
from config.section import networks
from config.sections import SFTPSettings

_T = TypeVar("_T")

# How many addresses are remembered of each kind. A botnet of millions costs some 30 MB, and the oldest ones are forgotten.
CAPACITY: Final = 50_000


@dataclass(frozen=True, slots=True)
class ShutoutRule:
    """`failures` within `window` seconds shut an address out for `duration` seconds, unless it is `trusted`."""

    failures: int
    window: float
    duration: float
    trusted: Sequence[Network]


def shutout_rule(settings: SFTPSettings) -> ShutoutRule:
    """The rule of one process, whose limit is its even share of the node's failures, rounded up."""
    return ShutoutRule(
        failures=-(-settings.shutout_failures // settings.processes),
        window=settings.shutout_window,
        duration=settings.shutout_duration,
        trusted=networks(settings.trusted_addresses),
    )


class Shutouts:
    """Remembers which addresses are shut out and until when, and how often each has failed lately."""

    def __init__(self, rule: ShutoutRule, capacity: int = CAPACITY) -> None:
        self._rule: Final = rule
        self._capacity: Final = capacity
        # Both are in the order of the last change, so that the first ones are the oldest.
        self._failures: OrderedDict[Block, deque[float]] = OrderedDict()
        self._until: OrderedDict[Block, float] = OrderedDict()
        # Addresses that logins came from lately, the newest last.
        self._known: OrderedDict[Block, None] = OrderedDict()

    def is_shut_out(self, address: Address, now: float) -> bool:
        """Whether this address may not come in at `now`."""
        block = block_of(address)
        until = self._until.get(block)
        if until is None:
            return False
        if now < until:
            return True
        del self._until[block]
        return False

    def record_failure(self, address: Address, now: float) -> bool:
        """Count one failure. Returns True when it is the one that shuts the address out."""
        if is_listed(address, self._rule.trusted):
            return False
        block = block_of(address)
        times = self._failures.pop(block, None) or deque(maxlen=self._rule.failures)
        times.append(now)
        if len(times) == self._rule.failures and times[0] > now - self._rule.window:
            self._until.pop(block, None)
            self._until[block] = now + self._rule.duration
            _keep_newest(self._until, self._capacity)
            return True
        self._failures[block] = times
        _keep_newest(self._failures, self._capacity)
        return False

    def record_success(self, address: Address) -> None:
        """Forget the failures of an address, because somebody there has a key."""
        block = block_of(address)
        self._failures.pop(block, None)
        self._known.pop(block, None)
        self._known[block] = None
        _keep_newest(self._known, self._capacity)

    def is_known(self, address: Address) -> bool:
        """Whether a login came from this address lately. When there is no room, connections from other addresses go first."""
        return block_of(address) in self._known

    def forget_old(self, now: float) -> None:
        """Forget what no longer matters. This is cheap, because both tables are in order of time."""
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        while self._failures and next(iter(self._failures.values()))[-1] <= now - self._rule.window:
            self._failures.popitem(last=False)


def _keep_newest(table: "OrderedDict[Block, _T]", capacity: int) -> None:
    while len(table) > capacity:
        table.popitem(last=False)

"""What one connection may use of the front that it shares with its neighbours, and whose turn the processor is.

There is one `SessionBudget` for each connection. Every SSH packet passes `may_receive`, every SFTP request passes
`wait_to_serve`, and every step of a task that asyncssh runs for the connection is counted by `metered`. Over its budget a
connection waits: it isn't read from, or isn't served, until it has given back what it holds. The log says so once for
each budget. Taking turns is no news, because any upload of some megabytes does.

Within one front process the turns go round over campaigns, then over the sessions of each: ten sessions of one campaign
get as much as the one of another.
"""

import asyncio
import inspect
import time
import types
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Hashable
from enum import StrEnum
from typing import Any, Final

from config.logs import get_logger
from config.sections import SFTPSettings

_log = get_logger("sftpd")

# What an object in a list costs in memory beside the bytes that it holds. A crowd of tiny answers is mostly that.
OBJECT_BYTES: Final = 160


class Excess(StrEnum):
    """What a connection waits for. The log says when a session has used up one of these, but for its turn."""

    TURN = "turn_seconds"
    UNSERVED = "max_unserved_bytes"
    UNREAD = "max_unread_bytes"
    KEY_EXCHANGES = "key_exchange_interval"
    HOST_KEYS = "host_keys"


class Turns:
    """Deals turns of `seconds` of the processor, one in each round of the event loop. One per process."""

    def __init__(self, seconds: float) -> None:
        self.seconds: Final = seconds
        # By campaign, or by source address before a login: the budgets that wait, in order.
        self._waiting: OrderedDict[Hashable, deque[SessionBudget]] = OrderedDict()
        self._is_dealing = False

    def queue(self, budget: "SessionBudget") -> None:
        """Have `budget.begin_turn` called when its turn comes."""
        self._waiting.setdefault(budget.group, deque()).append(budget)
        if not self._is_dealing:
            self._is_dealing = True
            asyncio.get_running_loop().call_soon(self._deal)

    def _deal(self) -> None:
        group, queue = self._waiting.popitem(last=False)
        budget = queue.popleft()
        if queue:
            self._waiting[group] = queue
        self._is_dealing = bool(self._waiting)
        if self._is_dealing:
            asyncio.get_running_loop().call_soon(self._deal)
        budget.begin_turn()


class SessionBudget:
    """What one connection uses. `group` is the address that it comes from, and the campaign once it has logged in.

    `count_unread` tells how many bytes of answers wait in its channels and its transport. `receive_more` is called when a
    connection that was not allowed to receive may be so again.
    """

    def __init__(self, settings: SFTPSettings, turns: Turns, group: Hashable) -> None:
        self.settings: Final = settings
        self.group = group
        self.count_unread: Callable[[], int] = lambda: 0
        self.receive_more: Callable[[], None] = lambda: None
        # Held while a request is collected that is larger than clients are told to send: ten channels of one session must
        # not each hold a half of one, since all of the session might then wait for the other halves.
        self.large_request: Final = asyncio.Lock()
        self._turns: Final = turns
        # Seconds used since the turn began, and since when more are being used, if they are. By the monotonic clock, so on a
        # busy machine a little more than the processor's time.
        self._used = 0.0
        self._running_since: float | None = None
        self._is_queued = False
        self._has_ended = False
        # Bytes that arrived on channels and are no request in service yet; and how many channels have work to do, so that
        # some of these bytes will be served without more of them.
        self._unserved = 0
        self._busy_channels = 0
        # Why nothing is received: the turn is over, or a budget is used up.
        self._stopped_by: Excess | None = None
        self._waiting_for_turn: list[asyncio.Future[None]] = []
        self._waiting_for_room: list[asyncio.Future[None]] = []
        self._told: set[Excess] = set()
        self._log = _log

    def log_in(self, campaign_id: str, connection_id: str) -> None:
        """Count it to its campaign from now on."""
        self.group = campaign_id
        self._log = _log.bind(campaign_id=campaign_id, connection_id=connection_id)

    def end(self) -> None:
        """Let everybody go on who waits: the connection is closed, and what still arrives for it is dropped elsewhere."""
        self._has_ended = True
        _wake(self._waiting_for_turn)
        _wake(self._waiting_for_room)

    def tell(self, excess: Excess) -> None:
        """Say in the log, once, that this budget is used up."""
        if excess not in self._told:
            self._told.add(excess)
            self._log.warning("session_budget_reached", budget=excess.value)

    def start_clock(self) -> None:
        """Count the time from now on: something is done for this connection."""
        self._running_since = time.monotonic()

    def stop_clock(self) -> None:
        """Count no more: others have the processor now, or may have it."""
        self._count_time()
        self._running_since = None

    def _count_time(self) -> None:
        if self._running_since is not None:
            now = time.monotonic()
            self._used += now - self._running_since
            self._running_since = now

    def begin_turn(self) -> None:
        """Go on: first with requests that have arrived, then with what has not been received yet."""
        self._used = 0.0
        self._is_queued = False
        _wake(self._waiting_for_turn)
        # The tasks that were just woken come before this in the loop's order.
        self._receive_after(Excess.TURN)

    def may_receive(self, unsent: int) -> bool:
        """Whether the next SSH packet may be taken. If not, `receive_more` is called when it may.

        `unsent`: bytes of answers that only the client's reading from its socket takes away.
        """
        if self._has_ended:
            return True
        self._count_time()
        if self._used >= self._turns.seconds:
            self._stopped_by = Excess.TURN
            self._queue()
        elif self._unserved >= self.settings.max_unserved_bytes and self._busy_channels:
            self._stopped_by = Excess.UNSERVED
            self.tell(Excess.UNSERVED)
        elif unsent > self.settings.max_unread_bytes:
            self._stopped_by = Excess.UNREAD
            self.tell(Excess.UNREAD)
        else:
            return True
        return False

    def count_arrived(self, size: int) -> None:
        """Count bytes that arrived on a channel."""
        self._unserved += size

    def count_served(self, size: int) -> None:
        """Count bytes of a request that is now being served, or was dropped with its channel."""
        self._unserved -= size
        self._receive_after(Excess.UNSERVED)

    def begin_work(self) -> None:
        """A channel has something to serve, or may have."""
        self._busy_channels += 1

    def end_work(self) -> None:
        """A channel waits for the rest of a request, or has ended. When all do, only more bytes can help."""
        self._busy_channels -= 1
        if not self._busy_channels:
            self._receive_after(Excess.UNSERVED)

    async def wait_to_serve(self) -> None:
        """Return when the next request may be served."""
        while not self._has_ended:
            self._count_time()
            if self._used >= self._turns.seconds:
                self._queue()
                await _wait(self._waiting_for_turn)
            elif self.count_unread() > self.settings.max_unread_bytes:
                self.tell(Excess.UNREAD)
                await _wait(self._waiting_for_room)
            else:
                return

    def note_read(self) -> None:
        """Answers have gone out: whoever waits for that may look again."""
        _wake(self._waiting_for_room)
        self._receive_after(Excess.UNREAD)

    def _queue(self) -> None:
        if not self._is_queued:
            self._is_queued = True
            self._turns.queue(self)

    def _receive_after(self, excess: Excess) -> None:
        if self._stopped_by is excess:
            self._stopped_by = None
            asyncio.get_running_loop().call_soon(self.receive_more)


async def _wait(waiting: "list[asyncio.Future[None]]") -> None:
    woken = asyncio.get_running_loop().create_future()
    waiting.append(woken)
    await woken


def _wake(waiting: "list[asyncio.Future[None]]") -> None:
    for woken in waiting:
        # One whose task was cancelled is done already.
        if not woken.done():
            woken.set_result(None)
    waiting.clear()


async def metered(work: Awaitable[None], budget: SessionBudget) -> None:
    """Do the work, and count what each of its steps takes; not what passes between them."""
    steps = work if inspect.iscoroutine(work) else _as_coroutine(work)
    await _count_steps(steps, budget)


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


@types.coroutine
def _count_steps(work: Coroutine[Any, Any, None], budget: SessionBudget) -> Generator[Any, None, None]:
    error: BaseException | None = None
    while True:
        budget.start_clock()
        try:
            waits_for = work.send(None) if error is None else work.throw(error)
        except StopIteration:
            return
        finally:
            budget.stop_clock()
        error = None
        try:
            yield waits_for
        except GeneratorExit:
            work.close()
            raise
        except BaseException as thrown:  # noqa: BLE001 - handed on to the work, which it is meant for
            error = thrown

"""Keeps open pages up to date. Announcements carry ids only and are gathered; rows are read and rendered once per view.

A stream is told at its beginning all that its page shows: so whatever happened between the page and the stream, or while the
stream was away, is shown then. Afterwards it is told what changes.
"""

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg
from starlette.responses import StreamingResponse

from config.errors import ConfigError
from config.logs import describe_exception, get_logger
from config.sections import DatabaseSettings
from console import metrics
from console.errors import PageRefused
from console.live.views import Fragment, LiveView, parse_note
from console.rendering import Renderer
from database.connections import UNREACHABLE, Pool, connect, database_troubles

logger = get_logger("console")

CHANNELS: Final = ("sftp_gateway_console", "sftp_gateway_access")
# Streams of one process; above it a page says that it isn't live.
MOST_STREAMS: Final = 500
# Seconds for which announcements are gathered; between two signs of life to a page; after which a page asks again.
_GATHERING: Final = 0.25
_ALIVE_EVERY: Final = 15.0
_RETRY_MILLISECONDS: Final = 3000
_PROBE_INTERVAL: Final = 5.0
_PROBE_TIMEOUT: Final = 3.0
_RECONNECT: Final = 0.5
# Seconds after which a view is looked at again that could not be read.
_READ_AGAIN: Final = 1.0
# Where a line ends in a stream of events, and nowhere else.
_LINE_ENDS: Final = re.compile(r"\r\n|\r|\n")
_TROUBLES: Final[tuple[type[BaseException], ...]] = (*UNREACHABLE, ConfigError, asyncpg.PostgresError)

# Whether the page may still be seen by whoever opened it.
Check = Callable[[], Awaitable[bool]]


@dataclass(eq=False)
class _Watched:
    """A view that pages show: what they have all been told, and who they are."""

    view: LiveView
    streams: set["_Stream"] = field(default_factory=set)
    fragments: Sequence[Fragment] = ()
    is_due: bool = True
    looked_at: float = 0.0


@dataclass(eq=False)
class _Stream:
    """An open page. `waiting`: the newest state of each element that it hasn't been told yet."""

    views: Sequence[LiveView]
    user_id: str
    campaign_ids: Collection[str]
    check: Check
    waiting: dict[str, Fragment] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    is_stopping: bool = False
    must_check: bool = False

    def tell(self, fragments: Sequence[Fragment]) -> None:
        for fragment in fragments:
            self.waiting.pop(fragment.id, None)
            self.waiting[fragment.id] = fragment
        if fragments:
            self.woken.set()


class Hub:
    """The live parts of one process. `run` it in a task."""

    def __init__(self, database: DatabaseSettings, pool: Pool, renderer: Renderer) -> None:
        self._database: Final = database
        self._pool: Final = pool
        self._renderer: Final = renderer
        self._watched: Final[dict[Hashable, _Watched]] = {}
        self._streams: Final[set[_Stream]] = set()
        self._heard: Final = asyncio.Event()
        self._numbers: Final = itertools.count(time.time_ns() // 1000)
        self._is_stopping = False
        self.is_listening = False

    def stop(self) -> None:
        """End all streams: the server waits for them."""
        self._is_stopping = True
        for stream in self._streams:
            stream.is_stopping = True
            stream.woken.set()

    def open(
        self,
        *views: LiveView,
        user_id: str,
        campaign_id: str | None = None,
        campaign_ids: Collection[str] = (),
        check: Check,
    ) -> StreamingResponse:
        """A stream for a page that shows these views, of this campaign, or of these.

        `check` is asked again whenever something of the user's or of a campaign's changes, and now and then besides: the end of
        a session that nobody uses is announced by nobody. Raises PageRefused (503): there are too many, or the process stops.
        """
        if len(self._streams) >= MOST_STREAMS or self._is_stopping:
            raise PageRefused(
                503, "Too many pages are open: this one isn't live. Reload it to see what is new."
            )
        about = frozenset(campaign_ids) if campaign_id is None else frozenset({campaign_id, *campaign_ids})
        stream = _Stream(views, user_id, about, check)
        headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
        return StreamingResponse(self._events(stream), media_type="text/event-stream", headers=headers)

    async def run(self) -> None:
        """Listen and tell, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._look())

    # What a page is sent.

    async def _events(self, stream: _Stream) -> AsyncIterator[bytes]:
        self._join(stream)
        try:
            yield f"retry: {_RETRY_MILLISECONDS}\n\n".encode()
            check_at = time.monotonic() + _ALIVE_EVERY
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ALIVE_EVERY):
                        await stream.woken.wait()
                if stream.is_stopping:
                    return
                is_silent = not stream.woken.is_set()
                stream.woken.clear()
                if stream.must_check or time.monotonic() >= check_at:
                    check_at = time.monotonic() + _ALIVE_EVERY
                    if not await self._may_stay(stream):
                        yield b"event: gone\ndata: gone\n\n"
                        return
                if stream.waiting:
                    yield self._rows(stream)
                elif is_silent:
                    yield b": alive\n\n"
        finally:
            self._leave(stream)

    def _rows(self, stream: _Stream) -> bytes:
        """What waits, as events. Rows of a table stand in an event of their own: beside other elements no parser takes them."""
        fragments = [(fragment.html.strip(), fragment) for fragment in stream.waiting.values()]
        stream.waiting.clear()
        events = []
        for _, group in itertools.groupby(fragments, lambda pair: pair[0].startswith("<tr")):
            text = "\n".join(html for html, _ in group)
            lines = "".join(f"data: {line}\n" for line in _LINE_ENDS.split(text))
            events.append(f"event: rows\nid: {next(self._numbers)}\n{lines}\n")
        metrics.EVENTS_SENT.inc(len(events))
        return "".join(events).encode()

    async def _may_stay(self, stream: _Stream) -> bool:
        stream.must_check = False
        try:
            return await stream.check()
        except ConfigError:
            # The database is away: asked again at the next sign of life.
            return True

    def _join(self, stream: _Stream) -> None:
        stream.is_stopping = self._is_stopping
        self._streams.add(stream)
        metrics.STREAMS.set(len(self._streams))
        for view in stream.views:
            watched = self._watched.setdefault(view.key, _Watched(view))
            watched.streams.add(stream)
            # What the others have been told. Whatever has happened since then concerns all of them.
            stream.tell(list(reversed(watched.fragments)))
        if stream.is_stopping:
            stream.woken.set()
        self._heard.set()

    def _leave(self, stream: _Stream) -> None:
        self._streams.discard(stream)
        metrics.STREAMS.set(len(self._streams))
        for view in stream.views:
            watched = self._watched.get(view.key)
            if watched is not None:
                watched.streams.discard(stream)
                if not watched.streams:
                    del self._watched[view.key]

    # What happens.

    def _note(self, channel: str, payload: str) -> None:
        note = parse_note(channel, payload)
        if note is None:
            return
        for watched in self._watched.values():
            if watched.view.is_concerned(note):
                watched.is_due = True
                self._heard.set()
        for stream in self._streams:
            if (note.kind == "user" and note.id == stream.user_id) or (
                note.kind == "campaign" and note.id in stream.campaign_ids
            ):
                stream.must_check = True
                stream.woken.set()

    async def _listen(self) -> None:
        while True:
            try:
                connection = await connect(self._database, command_timeout=_PROBE_TIMEOUT)
                try:
                    await self._keep(connection)
                finally:
                    self.is_listening = False
                    with contextlib.suppress(*UNREACHABLE):
                        await connection.close(timeout=1)
            except _TROUBLES as error:
                logger.warning("console_watch_lost", **describe_exception(error))
            await asyncio.sleep(_RECONNECT)

    async def _keep(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        for channel in CHANNELS:
            await connection.add_listener(
                channel, lambda *announcement: self._note(str(announcement[2]), str(announcement[3]))
            )
        self.is_listening = True
        # Whatever was announced before this moment was not heard.
        for watched in self._watched.values():
            watched.is_due = True
        for stream in self._streams:
            stream.must_check = True
            stream.woken.set()
        self._heard.set()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_INTERVAL):
                    await lost.wait()
            if lost.is_set():
                return
            await connection.fetchval("select 1")

    async def _look(self) -> None:
        """Read what is due, and tell it."""
        while True:
            self._heard.clear()
            now = time.monotonic()
            due = [watched for watched in self._watched.values() if _is_due(watched, now)]
            for watched in due:
                await self._render(watched)
            await asyncio.sleep(_GATHERING)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rest()):
                    await self._heard.wait()

    def _rest(self) -> float:
        """Seconds until a view is looked at without a note."""
        now = time.monotonic()
        if any(watched.is_due for watched in self._watched.values()):
            return _READ_AGAIN
        times = [
            watched.looked_at + watched.view.interval - now
            for watched in self._watched.values()
            if watched.view.interval is not None
        ]
        return max(0.0, min([_ALIVE_EVERY, *times]))

    async def _render(self, watched: _Watched) -> None:
        watched.is_due = False
        watched.looked_at = time.monotonic()
        try:
            with database_troubles():
                async with self._pool.acquire() as connection:
                    fragments = await watched.view.render(connection, self._renderer)
        except ConfigError as error:
            watched.is_due = True
            logger.warning("view_unread", reason=str(error))
            return
        except Exception:
            # One view's fault must not keep the others from what is new. Its text may hold anything.
            logger.exception("view_crashed")
            return
        told = {each.id: each.html for each in watched.fragments}
        watched.fragments = fragments
        # The newest one is told last, so that a page that puts what it doesn't have in front ends in the right order.
        changed = [each for each in reversed(fragments) if told.get(each.id) != each.html]
        for stream in watched.streams:
            stream.tell(changed)


def _is_due(watched: _Watched, now: float) -> bool:
    interval = watched.view.interval
    return watched.is_due or (interval is not None and now - watched.looked_at >= interval)

"""What open pages are told: gathered, rendered once for all who see the same, and nothing lost, whatever is away meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable, Sequence

import pytest
from starlette.responses import StreamingResponse

from config.settings import Settings
from console.errors import PageRefused
from console.live import hub as hub_module
from console.live.hub import Hub
from console.live.views import Fragment, Note
from console.rendering import Renderer
from console.technical.static_files import StaticFiles
from database.connections import Connection, Pool
from tests.console.live.streams import Events
from tests.sftpd.fronts import eventually


class Counted:
    """A view of texts that a test sets; it counts how often it is rendered."""

    interval: float | None = None

    def __init__(self, name: str, texts: dict[str, str], *, fails: int = 0) -> None:
        self.name, self.texts, self.fails, self.rendered = name, texts, fails, 0

    @property
    def key(self) -> Hashable:
        return self.name

    def is_concerned(self, note: Note) -> bool:
        return note.kind == "upload"

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        self.rendered += 1
        if self.fails:
            self.fails -= 1
            raise OSError
        await connection.fetchval("select 1")
        return [Fragment(name, f'<tr id="{name}">{text}</tr>') for name, text in self.texts.items()]


async def _yes() -> bool:
    return True


@contextlib.asynccontextmanager
async def running(settings: Settings, pool: Pool) -> AsyncIterator[Hub]:
    hub = Hub(settings.database, pool, Renderer(StaticFiles()))
    task = asyncio.create_task(hub.run())
    try:
        await eventually(lambda: hub.is_listening)
        yield hub
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def reading(response: StreamingResponse) -> AsyncIterator[Events]:
    """The stream's events; at the end it is closed as a browser closes it."""
    pieces = response.body_iterator
    events = Events(pieces)  # type: ignore[arg-type]
    try:
        yield events
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]


async def notify(connection: Connection, text: str, channel: str = "sftp_gateway_console") -> None:
    await connection.execute("select pg_notify($1, $2)", channel, text)


async def test_all_who_see_the_same_share_one_rendering_and_a_late_one_gets_all(
    settings: Settings, pool: Pool, connection: Connection
) -> None:
    view = Counted("a", {"new": "1", "old": "1"})
    async with running(settings, pool) as hub, contextlib.AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(reading(hub.open(each, user_id="user", check=_yes)))
            for each in (view, Counted("a", {}))
        ]
        assert (await first.next("retry")).data == "3000"
        told = [await events.next("rows") for events in (first, second)]
        # The newest comes last, since pages put what is new in front.
        assert [event.data for event in told] == ['<tr id="old">1</tr>\n<tr id="new">1</tr>'] * 2
        assert view.rendered == 1
        view.texts["new"] = "2"
        await connection.execute(
            "select pg_notify('sftp_gateway_console', 'upload campaign ' || n) from generate_series(1, 20) n"
        )
        again = [await events.next("rows") for events in (first, second)]
        assert [event.data for event in again] == ['<tr id="new">2</tr>'] * 2
        assert int(again[0].id) > int(told[0].id)
        late = await stack.enter_async_context(reading(hub.open(view, user_id="user", check=_yes)))
        assert (await late.next("rows")).data == '<tr id="old">1</tr>\n<tr id="new">2</tr>'
        # Twenty notes at once make a looking or two, not twenty.
        assert view.rendered <= 5


async def test_rows_of_tables_stand_in_events_of_their_own(settings: Settings, pool: Pool) -> None:
    class Mixed(Counted):
        async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
            rows = await super().render(connection, renderer)
            return [*rows, Fragment("line", '<p id="line">a\r\nb\rc</p>')]

    view = Mixed("a", {"x": "1"})
    async with running(settings, pool) as hub, reading(hub.open(view, user_id="user", check=_yes)) as events:
        assert (await events.next("rows")).data == '<p id="line">a\nb\nc</p>'
        assert (await events.next("rows")).data == '<tr id="x">1</tr>'


async def test_after_a_lost_connection_everything_is_looked_at_again(
    settings: Settings, pool: Pool, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_ALIVE_EVERY", 300.0)
    asked = 0

    async def check() -> bool:
        nonlocal asked
        asked += 1
        return True

    view = Counted("a", {"x": "1"})
    async with running(settings, pool) as hub, reading(hub.open(view, user_id="user", check=check)) as events:
        await events.next("rows")
        # As if it had changed while nobody heard of it.
        view.texts["x"] = "2"
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name not like 'sftp-gateway%'"
        )
        assert (await events.next("rows")).data == '<tr id="x">2</tr>'
        assert asked >= 1
        view.texts["x"] = "3"
        await notify(connection, "upload campaign upload")
        assert (await events.next("rows")).data == '<tr id="x">3</tr>'


async def test_a_view_that_could_not_be_read_is_read_again(settings: Settings, pool: Pool) -> None:
    view = Counted("a", {"x": "1"}, fails=1)
    async with running(settings, pool) as hub, reading(hub.open(view, user_id="user", check=_yes)) as events:
        assert (await events.next("rows")).data == '<tr id="x">1</tr>'
    assert view.rendered == 2


@pytest.mark.parametrize(
    ("channel", "payload", "ends"),
    [
        ("sftp_gateway_console", "user user_1", True),
        ("sftp_gateway_access", "clinic", True),
        ("sftp_gateway_access", "library", True),
        ("sftp_gateway_console", "user user_2", False),
        ("sftp_gateway_access", "school", False),
        ("sftp_gateway_console", "nonsense", False),
    ],
)
async def test_a_stream_ends_as_soon_as_it_may_not_be_seen(
    settings: Settings,
    pool: Pool,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    channel: str,
    payload: str,
    ends: bool,
) -> None:
    # Not only when it is looked at now and then.
    monkeypatch.setattr(hub_module, "_ALIVE_EVERY", 300.0)
    may_stay = True

    async def check() -> bool:
        return may_stay

    view = Counted("a", {"x": "1"})
    async with running(settings, pool) as hub:
        response = hub.open(
            view, user_id="user_1", campaign_id="clinic", campaign_ids=["library"], check=check
        )
        async with reading(response) as events:
            await events.next("rows")
            may_stay = False
            view.texts["x"] = "2"
            await notify(connection, payload, channel)
            if ends:
                await events.next("gone")
                await events.end()
            else:
                # Whoever isn't concerned isn't asked: the next news comes as ever.
                await notify(connection, "upload campaign upload")
                assert (await events.next("rows")).data == '<tr id="x">2</tr>'


async def test_a_silent_stream_gives_signs_of_life_and_a_busy_one_is_checked_too(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_ALIVE_EVERY", 0.05)
    may_stay = True

    async def check() -> bool:
        return may_stay

    class Busy(Counted):
        interval: float | None = 0.01

        async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
            self.texts["x"] = str(self.rendered)
            return await super().render(connection, renderer)

    async with running(settings, pool) as hub:
        async with reading(hub.open(Counted("a", {}), user_id="user", check=check)) as events:
            await events.next("comment")
            await events.next("comment")
        async with reading(hub.open(Busy("b", {}), user_id="user", check=check)) as events:
            await events.next("rows")
            may_stay = False
            await events.next("gone")


async def test_there_are_so_many_streams_and_no_more_and_none_after_a_stop(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "MOST_STREAMS", 2)
    view = Counted("a", {"x": "1"})
    async with running(settings, pool) as hub:
        async with contextlib.AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(reading(hub.open(view, user_id="user", check=_yes)))
                for _ in range(2)
            ]
            for events in opened:
                await events.next("rows")
            with pytest.raises(PageRefused) as refused:
                hub.open(view, user_id="user", check=_yes)
            assert refused.value.status == 503
        # Both have gone: there is room again.
        async with reading(hub.open(view, user_id="user", check=_yes)) as events:
            await events.next("rows")
            hub.stop()
            await events.end()
        with pytest.raises(PageRefused):
            hub.open(view, user_id="user", check=_yes)

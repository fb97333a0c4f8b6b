"""One request for a page: who asks, about which campaign, and how it is answered. Pages get this, and nothing else."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from audit.events import Actor
from campaigns.people.permissions import Action, Person, Place, may
from campaigns.people.users import User
from config.addresses import Address
from config.settings import Settings
from console.billing.known_prices import KnownPrices
from console.errors import GoTo
from console.forms import Form, claim_form, note_location, read_form
from console.login.sessions import Session, add_flash, clear_flash
from console.rendering import Renderer
from console.technical.static_files import StaticFiles
from database.connections import Connection, Pool, database_troubles
from processing.object_store import ObjectStore
from rules.billing.prices import Price

if TYPE_CHECKING:
    from console.live.hub import Hub
    from notifications.mailer import Mailer


@dataclass(frozen=True, slots=True)
class Services:
    """What a console process has open, the same for all requests."""

    settings: Settings
    pool: Pool
    store: ObjectStore
    mailer: "Mailer"
    static: StaticFiles
    renderer: Renderer
    hub: "Hub"
    prices: KnownPrices = field(default_factory=KnownPrices)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is logged in, with what that person may do."""

    session: Session
    user: User
    person: Person


@dataclass(slots=True)
class Visit:
    """A request that has passed its route's checks. `visitor` is None on pages for anybody; `place`, where no campaign is."""

    request: Request
    services: Services
    visitor: Visitor | None = None
    place: Place | None = None
    banner: str | None = None
    _location: str | None = field(default=None, repr=False)

    # Who.

    @property
    def user(self) -> User:
        """Who asks, on a page for those who are logged in."""
        return self._known.user

    @property
    def person(self) -> Person:
        """The same as far as rights go."""
        return self._known.person

    @property
    def session(self) -> Session:
        """The session that it is asked in."""
        return self._known.session

    @property
    def _known(self) -> Visitor:
        assert self.visitor is not None  # noqa: S101 - the route lets in whoever is logged in
        return self.visitor

    @property
    def address(self) -> str | None:
        """The browser's real address."""
        address: Address | None = self.request.scope["state"]["address"]
        return None if address is None else str(address)

    @property
    def actor(self) -> Actor:
        """Whom audit events name: the user's id."""
        return Actor(name=self.visitor.user.id if self.visitor else None, source_address=self.address)

    def may(self, action: Action, place: Place | None = None) -> bool:
        """Whether the visitor may do it, towards the page's campaign or another one, or at all where the page has none."""
        return self.visitor is not None and may(self.visitor.person, action, place or self.place)

    def may_at_all(self, action: Action) -> bool:
        """Whether the visitor may do it without regard to a campaign."""
        return self.visitor is not None and may(self.visitor.person, action)

    # What.

    def parameter(self, name: str) -> str:
        """What stands in the path there."""
        return str(self.request.path_params[name])

    @property
    def campaign_id(self) -> str:
        """The campaign that the page is about."""
        assert self.place is not None  # noqa: S101 - its route has a subject
        return self.place.id

    @property
    def query(self) -> Mapping[str, str]:
        """The query's fields; of those that come twice, the last."""
        return self.request.query_params

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.services.settings

    @property
    def price(self) -> Price:
        """What a segment costs that is sent today."""
        return self.services.prices.today()

    # How.

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection to read by. Raises ConfigError where the database is away: the visitor is told to try again."""
        with database_troubles():
            async with self.services.pool.acquire() as connection:
                yield connection

    async def form(self) -> Form:
        """The form that was sent. Raises PageRefused."""
        return await read_form(self.request)

    @asynccontextmanager
    async def change(self, form: Form) -> AsyncIterator[Connection]:
        """A transaction for what the form asks for. The same form twice does it once: the second one goes where the first went.

        What is refused inside is rolled back, and the form can be sent again. Raises GoTo, ConfigError.
        """
        with database_troubles():
            async with self.services.pool.acquire() as connection, connection.transaction():
                earlier = await claim_form(connection, form.id, self.user.id)
                if earlier is not None:
                    raise GoTo(earlier or self.request.url.path)
                yield connection
                if self._location is not None:
                    await note_location(connection, form.id, self._location)

    async def done(self, connection: Connection, path: str, sentence: str | None = None) -> Response:
        """Inside `change`: the answer that leads to `path`, which is ours; there `sentence` is shown."""
        self._location = path
        if sentence is not None:
            await add_flash(connection, self.session.id, sentence)
        return RedirectResponse(path, 303)

    async def page(self, template: str, *, status: int = 200, **values: object) -> Response:
        """The page. Templates know `visit`, `url`, what rendering.py gives all of them, and these values."""
        flash: tuple[str, ...] = ()
        if self.visitor is not None and self.visitor.session.flash and self.request.method == "GET":
            flash = self.visitor.session.flash
            async with self.connection() as connection:
                await clear_flash(connection, self.session.id)
        content = self.services.renderer.render(template, visit=self, flash=flash, **values)
        return HTMLResponse(content, status)

"""A console process's work in this loop; people; and a browser without JavaScript that a test drives by forms and links."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

from pydantic import SecretStr

from audit.events import Actor
from campaigns.people.users import User, ensure_user, set_ops
from config.sections import DatabaseSettings
from config.settings import Settings
from console.login.sessions import COOKIE, begin_session
from console.server import serve_console
from database.connections import Connection, open_pool
from database.grants import DatabaseRole
from notifications.mailer import SMTPMailer
from processing.object_store import open_store

OPS: Actor = Actor(name="admin", source_address="192.0.2.9")


@asynccontextmanager
async def serving_console(settings: Settings) -> AsyncIterator[int]:
    """Serve the console with these settings on a free port of loopback, with its role's rights; gives the port."""
    settings = settings.model_copy(update={"database": _as_console(settings.database)})
    stop, ready = asyncio.Event(), asyncio.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        async with (
            open_pool(settings.database, name="console") as pool,
            open_store(settings.s3) as store,
            asyncio.TaskGroup() as tasks,
        ):
            mailer = SMTPMailer(settings.smtp)
            served = tasks.create_task(
                serve_console(settings, [listening], pool, store, mailer, stop, ready.set)
            )
            is_ready = tasks.create_task(ready.wait())
            await asyncio.wait({served, is_ready}, return_when=asyncio.FIRST_COMPLETED)
            if served.done():
                is_ready.cancel()
                await served
            try:
                yield listening.getsockname()[1]
            finally:
                stop.set()


def _as_console(database: DatabaseSettings) -> DatabaseSettings:
    """The same database, in which the console's role logs in."""
    url = re.sub(r"//\w+@", f"//{DatabaseRole.CONSOLE}@", database.url.get_secret_value())
    return database.model_copy(update={"url": SecretStr(url)})


async def make_user(connection: Connection, email: str, *, is_ops: bool = False) -> User:
    """Somebody who may log in."""
    async with connection.transaction():
        if is_ops:
            return await set_ops(connection, email, is_ops=True, actor=OPS)
        return await ensure_user(connection, email)


async def session_value(connection: Connection, settings: Settings, user: User) -> str:
    """The cookie's value of a new session of this user."""
    return await begin_session(
        connection, user.id, source_address="127.0.0.1", browser="Test", settings=settings.console
    )


async def browse(connection: Connection, settings: Settings, port: int, user: User) -> "Browser":
    """A browser in which this user is logged in."""
    return Browser(port, {COOKIE: await session_value(connection, settings, user)})


class _Forms(HTMLParser):
    """The forms of a page, with what they would send; its links; its texts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[FormOnPage] = []
        self.links: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self._link: list[str] | None = None
        self._href = ""
        self._area: str | None = None
        self._select: str | None = None
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in {"script", "style"}:
            self._silent += 1
        if tag == "a" and "href" in given:
            self._link, self._href = [], given["href"]
        if tag == "form":
            self.forms.append(FormOnPage(given.get("action", ""), given.get("method", "get"), []))
        if not self.forms:
            return
        fields = self.forms[-1].fields
        name = given.get("name")
        if tag == "input" and name:
            kind = given.get("type", "text")
            if kind not in {"radio", "checkbox", "submit", "file"} or (
                "checked" in given and kind in {"radio", "checkbox"}
            ):
                fields.append((name, given.get("value", "")))
        if tag == "textarea" and name:
            self._area = name
            fields.append((name, ""))
        if tag == "select" and name:
            self._select = name
        if tag == "option" and self._select and "selected" in given:
            fields.append((self._select, given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._silent -= 1
        if tag == "a" and self._link is not None:
            self.links.append((" ".join("".join(self._link).split()), self._href))
            self._link = None
        if tag == "textarea":
            self._area = None
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._area is not None:
            name, value = self.forms[-1].fields[-1]
            text = value + data
            self.forms[-1].fields[-1] = (name, text.removeprefix("\n") if not value else text)
            return
        if self._link is not None:
            self._link.append(data)
        self.texts.append(data)


@dataclass
class FormOnPage:
    """A form as a browser would send it."""

    action: str
    method: str
    fields: list[tuple[str, str]]


@dataclass(frozen=True)
class Shown:
    """An answer, and the page in it."""

    status: int
    headers: Mapping[str, str]
    body: str
    path: str

    @property
    def forms(self) -> list[FormOnPage]:
        """All forms of the page."""
        return self._parsed().forms

    @property
    def links(self) -> list[tuple[str, str]]:
        """Texts and addresses of its links."""
        return self._parsed().links

    @property
    def text(self) -> str:
        """What a reader reads, blanks as single ones."""
        return " ".join(" ".join(self._parsed().texts).split())

    @property
    def title(self) -> str:
        """The page's first heading."""
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.body, re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", "", found[1])).split()) if found else ""

    @property
    def location(self) -> str:
        """Where a redirection leads."""
        return self.headers.get("location", "")

    def form(self, action: str) -> FormOnPage:
        """The form that is sent there; `action` may be the beginning of its address."""
        return next(each for each in self.forms if (each.action or self.path).startswith(action))

    def _parsed(self) -> _Forms:
        parser = _Forms()
        parser.feed(self.body)
        return parser


@dataclass
class Browser:
    """A browser without JavaScript. It keeps cookies, says where its requests come from, and follows redirections if asked."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: {"Sec-Fetch-Site": "same-origin"})

    async def get(self, path: str, *, follow: bool = True, headers: Mapping[str, str] | None = None) -> Shown:
        """Ask for a page."""
        return await self._follow(await self.say("GET", path, headers=headers or {}), follow)

    async def post(
        self,
        path: str,
        fields: Mapping[str, str] | Sequence[tuple[str, str]],
        *,
        follow: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Shown:
        """Send fields as a form, as they are."""
        body = urlencode(list(fields.items()) if isinstance(fields, Mapping) else list(fields)).encode()
        more = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return await self._follow(await self.say("POST", path, body=body, headers=more), follow)

    async def send(
        self, page: Shown, action: str, *, follow: bool = True, **fields: str | list[str]
    ) -> Shown:
        """Fill in the page's form that goes to `action`, and send it."""
        form = page.form(action)
        pairs = [pair for pair in form.fields if pair[0] not in fields]
        for name, value in fields.items():
            pairs += [(name, each) for each in ([value] if isinstance(value, str) else value)]
        target = form.action or page.path
        if form.method.lower() == "get":
            return await self.get(f"{target}?{urlencode(pairs)}", follow=follow)
        return await self.post(target, pairs, follow=follow)

    async def say(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Shown:
        """One request on a connection of its own."""
        given = {
            "Host": f"127.0.0.1:{self.port}",
            "Connection": "close",
            "Content-Length": str(len(body)),
            **self.headers,
            **(headers or {}),
        }
        if self.cookies:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            async with asyncio.timeout(30):
                received = await reader.read()
        finally:
            writer.close()
        return self._keep(received, path)

    def _keep(self, received: bytes, path: str) -> Shown:
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            if name.lower() == "set-cookie":
                self._take_cookie(value)
            headers[name.lower()] = value
        if headers.get("transfer-encoding") == "chunked":
            body = _unchunked(body)
        return Shown(int(first.split(" ")[1]), headers, body.decode("utf-8", "replace"), path)

    def _take_cookie(self, line: str) -> None:
        name, _, rest = line.partition("=")
        value = rest.partition(";")[0].strip('"')
        if not value or "max-age=0" in line.lower():
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    async def _follow(self, shown: Shown, follow: bool) -> Shown:
        for _ in range(5):
            if not follow or shown.status != 303:
                break
            target = urlsplit(shown.location)
            assert not target.netloc, "a page leads to another site"
            shown = await self.say("GET", shown.location)
        return shown


def _unchunked(body: bytes) -> bytes:
    pieces = []
    while body:
        size, _, body = body.partition(b"\r\n")
        count = int(size, 16)
        pieces.append(body[:count])
        body = body[count + 2 :]
    return b"".join(pieces)

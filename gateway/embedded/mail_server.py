"""The embedded mailbox: an SMTP server in a thread, which keeps every message as an `.eml` file and fails when told to."""

import asyncio
import contextlib
import email.policy
import ssl
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

_STORED: Final = "250 OK"


class MailboxMode(Enum):
    """How the server behaves, from the next command on."""

    ACCEPTING = auto()
    REFUSING_FOR_NOW = auto()  # 451 at each recipient
    REFUSING_FOR_GOOD = auto()  # 550 at each recipient
    HANGING = auto()  # no answer to MAIL FROM
    CUTTING = auto()  # keeps the message, then cuts the connection instead of answering
    AWAY = auto()  # nothing listens


class Mailbox:
    """A mail server on loopback. With `tls` it offers STARTTLS; with `login` it demands this name and password."""

    def __init__(
        self, folder: Path, *, tls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = 0
        self.mode = MailboxMode.ACCEPTING
        self._tls = tls
        self._login = login
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mailbox", daemon=True)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._awake = asyncio.Event()
        self._awake.set()
        self._arrived = threading.Condition()
        self._count = 0

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def become(self, mode: MailboxMode) -> None:
        """Behave so from now on. AWAY also cuts who is connected; any other mode listens again, at the same port."""
        self._call(self._become(mode))

    def messages(self) -> list[EmailMessage]:
        """All messages kept, in the order of their arrival."""
        parser = BytesParser(EmailMessage, policy=email.policy.default)
        return [parser.parsebytes(path.read_bytes()) for path in sorted(self.folder.glob("*.eml"))]

    def wait_for(self, count: int, timeout: float = 30) -> list[EmailMessage]:
        """Block until `count` messages are here. Raises TimeoutError after `timeout` seconds, with what there is."""
        deadline = time.monotonic() + timeout
        with self._arrived:
            while self._count < count:
                if not self._arrived.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{self._count} of {count} messages within {timeout:.0f} s")
        return self.messages()

    async def arrival(self, count: int, timeout: float = 30) -> list[EmailMessage]:
        """`wait_for`, for coroutines."""
        return await asyncio.to_thread(self.wait_for, count, timeout)

    # The next methods are called by aiosmtpd, in our thread.

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        await self._awake.wait()
        envelope.mail_from = address
        return _STORED

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        match self.mode:
            case MailboxMode.REFUSING_FOR_NOW:
                return "451 4.3.0 Try again later"
            case MailboxMode.REFUSING_FOR_GOOD:
                return "550 5.1.1 No such mailbox"
            case _:
                envelope.rcpt_tos.append(address)
                return _STORED

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.original_content, bytes)  # noqa: S101 - decode_data is off
        with self._arrived:
            self._count += 1
            unfinished = self.folder / f"{self._count:06}.part"
            unfinished.write_bytes(envelope.original_content)
            unfinished.rename(unfinished.with_suffix(".eml"))
            self._arrived.notify_all()
        if self.mode is MailboxMode.CUTTING:
            _cut(server)
        return _STORED

    # The next ones are called by us, in our thread too.

    def _call(self, step: Any) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(10)

    async def _become(self, mode: MailboxMode) -> None:
        self.mode = mode
        if mode is MailboxMode.HANGING:
            self._awake.clear()
        else:
            self._awake.set()
        if mode is MailboxMode.AWAY:
            await self._leave()
        else:
            await self._listen()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await self._loop.create_server(self._connection, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def _connection(self) -> SMTP:
        return _Connection(self, self._connections, self._loop, self._tls, self._login)

    async def _leave(self) -> None:
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                _cut(connection)
            await self._server.wait_closed()
            self._server = None

    async def _end(self) -> None:
        await self._leave()
        tasks = asyncio.all_tasks(self._loop) - {asyncio.current_task(self._loop)}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _cut(connection: SMTP) -> None:
    if isinstance(connection.transport, asyncio.WriteTransport):
        connection.transport.abort()


class _Connection(SMTP):
    """One client's connection, known to its mailbox as long as it lives."""

    def __init__(
        self,
        mailbox: Mailbox,
        connections: "set[_Connection]",
        loop: asyncio.AbstractEventLoop,
        tls: ssl.SSLContext | None,
        login: tuple[str, str] | None,
    ) -> None:
        def authenticate(
            _s: SMTP, _session: Session, _e: Envelope, _mechanism: str, given: Any
        ) -> AuthResult:
            expected = LoginPassword(*(part.encode() for part in login)) if login else None
            return AuthResult(success=given == expected)

        super().__init__(
            mailbox,
            hostname="mailbox.localhost",
            ident="embedded mailbox",
            tls_context=tls,
            auth_required=login is not None and tls is not None,
            auth_require_tls=tls is not None,
            authenticator=authenticate if login else None,
            loop=loop,
        )
        self._known = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._known.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._known.discard(self)
        super().connection_lost(error)


@contextlib.contextmanager
def open_mailbox(folder: Path) -> Iterator[Mailbox]:
    """A mailbox that accepts everything; its messages stay in `folder`."""
    with Mailbox(folder) as mailbox:
        yield mailbox

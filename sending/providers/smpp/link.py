"""One connection to an aggregator: bound, watched, and with so many submissions under way as the aggregator wants (SMPP 3.4 §2).

What becomes of a submission is one of three things: it has an answer; it surely never left (NotSent); or nobody knows (LinkLost).
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from config.sending_sections import SMPPSettings
from sending.providers.authorities import trusted_authorities
from sending.providers.smpp.codes import CREDENTIALS
from sending.providers.smpp.pdus import (
    ESME_RINVCMDID,
    ESME_ROK,
    IS_ANSWER,
    PDU,
    Answer,
    Bind,
    Command,
    DeliverSM,
    Frames,
    PDUMalformed,
    Received,
    SubmitSM,
    decode,
    encode,
)

# Seconds: to connect and be bound; without a PDU after which the link is tried, and for the answer to that; for a submission's
# answer; for answers that are still due when the peer unbinds; and for the peer to let us go.
_BIND_SECONDS: Final = 15.0
_IDLE_SECONDS: Final = 30.0
_ALIVE_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 60.0
_FAREWELL_SECONDS: Final = 3.0
# Seconds in which what is written must leave this machine.
_WRITE_SECONDS: Final = 10.0
_MOST_SEQUENCE: Final = 0x7FFFFFFF
_READ_BYTES: Final = 64 * 1024
# Receipts that wait for their commit; the next one is told to come again (§5.1.3: ESME_RX_T_APPN).
_MOST_UNCOMMITTED: Final = 5_000
_COME_AGAIN: Final = 0x64

# Takes a message of the peer's, and a function that acknowledges it, to be called once or never. False: it must come again.
OnDeliver = Callable[[DeliverSM, Callable[[], None]], bool]


class LinkLost(Exception):  # noqa: N818 - a fact about a submission
    """The link ended, or no answer came: the submission may have arrived. `cause` is a fixed text."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class NotSent(Exception):  # noqa: N818 - a fact about a submission
    """Not a byte of the submission was written."""


class NotBound(Exception):  # noqa: N818 - a fact about a link
    """The link could not be bound, or has ended. `cause` is a fixed text.

    `is_refusal`: by the account, which people mend. `is_away`: nobody answers there, which may pass.
    """

    def __init__(self, cause: str, *, is_refusal: bool = False, is_away: bool = True) -> None:
        super().__init__(cause)
        self.cause = cause
        self.is_refusal = is_refusal
        self.is_away = is_away and not is_refusal


class _Awaited(NamedTuple):
    """A request without its answer yet."""

    command: int
    answer: "asyncio.Future[tuple[int, str]]"


class Link:
    """One bind. `run` it in a task; it ends with the link."""

    def __init__(self, settings: SMPPSettings, on_deliver: OnDeliver, on_bound: Callable[[], None]) -> None:
        self._settings: Final = settings
        self._on_deliver: Final = on_deliver
        self._on_bound: Final = on_bound
        self._writer: asyncio.StreamWriter | None = None
        self._sequence = 0
        self._awaited: Final[dict[int, _Awaited]] = {}
        self._uncommitted = 0
        self._last_heard = 0.0
        # Set when the link must end, for this cause, once the answers that are due have come.
        self._ending: Final = asyncio.Event()
        self._end_cause = ""
        self._answered: Final = asyncio.Event()
        # The sequence number by which the peer has asked to part.
        self._unbinds_by: int | None = None
        self.is_bound = False

    @property
    def free(self) -> int:
        """How many more submissions it takes now. None while the peer doesn't take what was written: it would leave too late."""
        writer = self._writer
        if writer is None or not self.is_bound or writer.is_closing():
            return 0
        if writer.transport.get_write_buffer_size() > 0:
            return 0
        return max(0, self._settings.window - len(self._awaited))

    async def submit(self, pdu: SubmitSM, *, leave_by: float) -> tuple[int, str]:
        """Submit, and wait for the answer: its status, and the message's id. `pdu`'s sequence is set here.

        Raises NotSent (also after `leave_by`, a moment of the loop's clock, or without a free place), LinkLost.
        """
        if self.free == 0 or asyncio.get_running_loop().time() > leave_by:
            raise NotSent
        sequence = self._next_sequence()
        framed = encode(replace(pdu, sequence=sequence))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._exchange(Command.SUBMIT_SM, sequence, framed)
        except TimeoutError:
            raise LinkLost("no answer") from None

    def drop(self) -> None:
        """Take nothing more and end once the answers that are due have come, since the peer says that it isn't bound."""
        self._end("the peer says that it isn't bound")

    async def run(self) -> None:
        """Connect, bind, and read until the link ends. Raises NotBound with the cause, whatever that was."""
        tasks: list[asyncio.Task[None]] = []
        writer = None
        try:
            reader, writer = await self._connect()
            self._writer = writer
            tasks = [asyncio.create_task(self._read(reader)), asyncio.create_task(self._bind_and_watch())]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # Both end by raising. Where both have, the reader's cause is the nearer one.
            for task in (task for task in tasks if task in done):
                await task
        except (OSError, TimeoutError, EOFError, PDUMalformed) as error:
            # A wrong certificate, or another protocol, doesn't pass by waiting.
            is_away = not isinstance(error, ssl.SSLError | PDUMalformed)
            raise NotBound(_cause_of(error, is_open=writer is not None), is_away=is_away) from None
        finally:
            self.is_bound = False
            self._fail_all("link lost")
            if writer is not None:
                writer.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Take nothing more, wait for the answers that are due, and say goodbye; then cancel `run`."""
        if self._writer is None or not self.is_bound:
            return
        await self._settle()
        with contextlib.suppress(OSError, TimeoutError, LinkLost):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._ask(Command.UNBIND)

    # The beginning.

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls = trusted_authorities() if self._settings.tls == "verify" else None
        async with asyncio.timeout(_BIND_SECONDS):
            return await asyncio.open_connection(
                self._settings.host, self._settings.port, ssl=tls, limit=_READ_BYTES
            )

    async def _bind_and_watch(self) -> None:
        settings = self._settings
        password = "" if settings.password is None else settings.password.get_secret_value()
        sequence = self._next_sequence()
        bind = Bind(sequence, settings.system_id, password, settings.system_type)
        try:
            framed = encode(bind)
        except ValueError:
            raise NotBound("system_id, password or system_type is too long", is_refusal=True) from None
        try:
            async with asyncio.timeout(_BIND_SECONDS):
                status, _ = await self._exchange(Command.BIND_TRANSCEIVER, sequence, framed)
        except (TimeoutError, LinkLost):
            raise NotBound("no answer to the bind") from None
        if status != ESME_ROK:
            raise NotBound(f"bind refused 0x{status:02X}", is_refusal=status in CREDENTIALS)
        if self._unbinds_by is None:
            self.is_bound = True
            self._on_bound()
        await self._watch()

    async def _watch(self) -> None:
        """Ask a peer that says nothing whether it is there, until the link must end."""
        loop = asyncio.get_running_loop()
        while not self._ending.is_set():
            idle = loop.time() - self._last_heard
            if idle < _IDLE_SECONDS:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_SECONDS - idle):
                        await self._ending.wait()
                continue
            try:
                async with asyncio.timeout(_ALIVE_SECONDS):
                    await self._ask(Command.ENQUIRE_LINK)
            except (TimeoutError, LinkLost):
                raise NotBound("the peer is silent") from None
        await self._settle()
        if self._unbinds_by is not None:
            self._write(encode(PDU(Command.UNBIND_RESP, self._unbinds_by)))
            await self._drain()
        raise NotBound(self._end_cause)

    # What comes.

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        loop = asyncio.get_running_loop()
        while received := await reader.read(_READ_BYTES):
            self._last_heard = loop.time()
            for frame in frames.take(received):
                try:
                    pdu = decode(frame)
                except PDUMalformed as error:
                    self._write(encode(PDU(Command.GENERIC_NACK, error.sequence, error.status)))
                    continue
                self._take(pdu)
            await self._drain()
            # However much a peer sends, the rest of the process has its turn.
            await asyncio.sleep(0)
        raise NotBound(self._end_cause or "the peer has hung up")

    def _take(self, pdu: Received) -> None:
        match pdu:
            case Answer(command=command, sequence=sequence, status=status, name=name):
                self._settle_answer(command, sequence, status, name)
            case DeliverSM():
                self._take_message(pdu)
            case PDU(command=Command.ENQUIRE_LINK, sequence=sequence):
                self._write(encode(PDU(Command.ENQUIRE_LINK_RESP, sequence)))
            case PDU(command=Command.UNBIND, sequence=sequence):
                # What was submitted before has its answer first, where the peer still gives one.
                self._unbinds_by = sequence
                self._end("the peer unbinds")
            case PDU(command=Command.ALERT_NOTIFICATION | Command.OUTBIND):
                pass
            case PDU(command=command, sequence=sequence, status=status) if command & IS_ANSWER:
                self._settle_answer(command, sequence, status, "")
            case PDU(sequence=sequence) | Bind(sequence=sequence) | SubmitSM(sequence=sequence):
                self._write(encode(PDU(Command.GENERIC_NACK, sequence, ESME_RINVCMDID)))

    def _take_message(self, pdu: DeliverSM) -> None:
        is_open = True

        def acknowledge() -> None:
            nonlocal is_open
            if is_open:
                is_open = False
                self._uncommitted -= 1
                self._write(encode(Answer(Command.DELIVER_SM_RESP, pdu.sequence, ESME_ROK)))

        self._uncommitted += 1
        if self._uncommitted > _MOST_UNCOMMITTED or not self._on_deliver(pdu, acknowledge):
            is_open = False
            self._uncommitted -= 1
            self._write(encode(Answer(Command.DELIVER_SM_RESP, pdu.sequence, _COME_AGAIN)))

    def _settle_answer(self, command: int, sequence: int, status: int, name: str) -> None:
        """Only an answer to what was asked by this number counts, or a refusal of it. What comes too late is nobody's."""
        awaited = self._awaited.get(sequence)
        if awaited is None or awaited.answer.done():
            return
        if command == awaited.command | IS_ANSWER:
            awaited.answer.set_result((status, name))
        elif command == Command.GENERIC_NACK:
            if status == ESME_ROK:
                awaited.answer.set_exception(LinkLost("a refusal that says nothing"))
            else:
                awaited.answer.set_result((status, ""))

    # What goes.

    async def _ask(self, command: Command) -> None:
        sequence = self._next_sequence()
        await self._exchange(command, sequence, encode(PDU(command, sequence)))

    async def _exchange(self, command: Command, sequence: int, framed: bytes) -> tuple[int, str]:
        """Write a request, and wait for its answer. Raises LinkLost."""
        answer: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._awaited[sequence] = _Awaited(command, answer)
        try:
            self._write(framed)
            return await answer
        finally:
            del self._awaited[sequence]
            self._answered.set()

    def _write(self, framed: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(framed)

    async def _drain(self) -> None:
        if self._writer is not None:
            async with asyncio.timeout(_WRITE_SECONDS):
                await self._writer.drain()

    def _end(self, cause: str) -> None:
        self.is_bound = False
        self._end_cause = self._end_cause or cause
        self._ending.set()

    async def _settle(self) -> None:
        """Take nothing more; return when all that was submitted has its answer, or none came in time."""
        self.is_bound = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                while any(each.command == Command.SUBMIT_SM for each in self._awaited.values()):
                    self._answered.clear()
                    await self._answered.wait()

    def _next_sequence(self) -> int:
        """A number that no request without its answer has."""
        while True:
            self._sequence = self._sequence % _MOST_SEQUENCE + 1
            if self._sequence not in self._awaited:
                return self._sequence

    def _fail_all(self, cause: str) -> None:
        for awaited in self._awaited.values():
            if not awaited.answer.done():
                awaited.answer.set_exception(LinkLost(cause))


def _cause_of(error: BaseException, *, is_open: bool) -> str:
    """A fixed text: that of an error may hold names and addresses."""
    match error:
        case ssl.SSLCertVerificationError():
            return "the peer's certificate isn't for this host, or nobody vouches for it"
        case ssl.SSLError():
            return "no TLS with the peer"
        case PDUMalformed():
            return "the peer doesn't speak SMPP"
        case _ if is_open:
            return "the connection broke, or the peer takes nothing"
        case ConnectionRefusedError():
            return "nobody listens there"
        case socket.gaierror():
            return "the host's name is unknown"
        case _:
            return "it can't be reached"

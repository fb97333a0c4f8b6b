"""One connection to an aggregator: bound, watched, and with so many submissions under way as the aggregator wants (SMPP 3.4 §2).

What becomes of a submission is one of three things: it has an answer; it surely never left (NotSent); or nobody knows (LinkLost).
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Final

from config.logs import describe_exception, get_logger
from config.sending_sections import SMPPSettings
from sending.providers.smpp.codes import CREDENTIALS
from sending.providers.smpp.pdus import (
    ESME_RINVCMDID,
    ESME_ROK,
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

logger = get_logger("sending")

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

# Takes a message of the peer's, and a function that acknowledges it, to be called once or never.
OnDeliver = Callable[[DeliverSM, Callable[[], None]], None]


class LinkLost(Exception):  # noqa: N818 - a fact about a submission
    """The link ended, or no answer came: the submission may have arrived. `cause` is a fixed text."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class NotSent(Exception):  # noqa: N818 - a fact about a submission
    """Not a byte of the submission was written."""


class NotBound(Exception):  # noqa: N818 - a fact about a link
    """The link could not be bound, or has ended. `is_refusal`: by the account, which people mend. `cause` is a fixed text."""

    def __init__(self, cause: str, *, is_refusal: bool = False) -> None:
        super().__init__(cause)
        self.cause = cause
        self.is_refusal = is_refusal


class Link:
    """One bind. `run` it in a task; it ends with the link."""

    def __init__(self, settings: SMPPSettings, on_deliver: OnDeliver, on_bound: Callable[[], None]) -> None:
        self._settings: Final = settings
        self._on_deliver: Final = on_deliver
        self._on_bound: Final = on_bound
        self._writer: asyncio.StreamWriter | None = None
        self._sequence = 0
        self._answers: Final[dict[int, asyncio.Future[tuple[int, str]]]] = {}
        self._uncommitted = 0
        self._last_heard = 0.0
        self._is_leaving = False
        self._settled: Final = asyncio.Event()
        # The sequence number by which the peer has asked to part.
        self._unbinds_by: int | None = None
        self.is_bound = False

    @property
    def free(self) -> int:
        """How many more submissions it takes now."""
        return self._settings.window - len(self._answers) if self.is_bound else 0

    async def submit(self, pdu: SubmitSM, *, leave_by: float) -> tuple[int, str]:
        """Submit, and wait for the answer: its status, and the message's id. `pdu`'s sequence is set here.

        Raises NotSent (also after `leave_by`, a moment of the loop's clock), LinkLost.
        """
        writer = self._writer
        loop = asyncio.get_running_loop()
        if writer is None or not self.is_bound or writer.is_closing() or loop.time() > leave_by:
            raise NotSent
        sequence = self._next_sequence()
        framed = encode(_with_sequence(pdu, sequence))
        answer: asyncio.Future[tuple[int, str]] = loop.create_future()
        self._answers[sequence] = answer
        try:
            writer.write(framed)
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            raise LinkLost("no answer") from None
        finally:
            self._answers.pop(sequence, None)
            if self._is_leaving and not self._answers:
                self._settled.set()

    def drop(self) -> None:
        """Cut it, since the peer says that it isn't bound."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def run(self) -> None:
        """Connect, bind, and read until the link ends. Raises NotBound with the cause, whatever that was."""
        writer = None
        try:
            reader, writer = await self._connect()
            self._writer = writer
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read(reader))
                tasks.create_task(self._bind_and_watch(reading))
        except* NotBound as group:
            raise _first(group) from None
        except* (OSError, ssl.SSLError, TimeoutError, EOFError, PDUMalformed) as group:
            raise NotBound(_cause_of(group.exceptions[0])) from None
        finally:
            self.is_bound = False
            self._fail_all("link lost")
            if writer is not None:
                writer.transport.abort()

    async def close(self) -> None:
        """Take nothing more, wait for the answers that are due, and say goodbye."""
        writer = self._writer
        if writer is None or not self.is_bound:
            return
        await self._settle()
        with contextlib.suppress(OSError, TimeoutError, LinkLost):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._ask(Command.UNBIND)
        writer.close()

    # The beginning.

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls: ssl.SSLContext | None = None
        if self._settings.tls == "verify":
            tls = ssl.create_default_context()
            tls.minimum_version = ssl.TLSVersion.TLSv1_2
        async with asyncio.timeout(_BIND_SECONDS):
            return await asyncio.open_connection(
                self._settings.host, self._settings.port, ssl=tls, limit=_READ_BYTES
            )

    async def _bind_and_watch(self, reading: "asyncio.Task[None]") -> None:
        settings = self._settings
        password = "" if settings.password is None else settings.password.get_secret_value()
        sequence = self._next_sequence()
        bind = Bind(sequence, settings.system_id, password, settings.system_type)
        try:
            async with asyncio.timeout(_BIND_SECONDS):
                status, _ = await self._exchange(sequence, encode(bind))
        except (TimeoutError, LinkLost):
            raise NotBound("no answer to the bind") from None
        except ValueError:
            raise NotBound("system_id, password or system_type is too long", is_refusal=True) from None
        if status != ESME_ROK:
            raise NotBound(f"bind refused 0x{status:02X}", is_refusal=status in CREDENTIALS)
        self.is_bound = True
        self._on_bound()
        while not reading.done():
            await asyncio.sleep(_IDLE_SECONDS)
            if asyncio.get_running_loop().time() - self._last_heard < _IDLE_SECONDS:
                continue
            try:
                async with asyncio.timeout(_ALIVE_SECONDS):
                    await self._ask(Command.ENQUIRE_LINK)
            except (TimeoutError, LinkLost):
                raise NotBound("the peer is silent") from None

    # What comes.

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        loop = asyncio.get_running_loop()
        while received := await self._receive(reader):
            self._last_heard = loop.time()
            for frame in frames.take(received):
                try:
                    pdu = decode(frame)
                except PDUMalformed as error:
                    self._write(encode(PDU(Command.GENERIC_NACK, error.sequence, error.status)))
                    continue
                self._take(pdu)
            if self._unbinds_by is not None and all(answer.done() for answer in self._answers.values()):
                break
            await self._drain()
        if self._unbinds_by is None:
            raise NotBound("the peer has hung up")
        self._write(encode(PDU(Command.UNBIND_RESP, self._unbinds_by)))
        await self._drain()
        raise NotBound("the peer unbinds")

    async def _receive(self, reader: asyncio.StreamReader) -> bytes:
        """The next bytes; none at the end, and when a peer that unbinds gives no more answers in time."""
        if self._unbinds_by is None:
            return await reader.read(_READ_BYTES)
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                return await reader.read(_READ_BYTES)
        except TimeoutError:
            return b""

    def _take(self, pdu: Received) -> None:
        match pdu:
            case Answer(sequence=sequence, status=status, name=name):
                self._settle_answer(sequence, status, name)
            case DeliverSM():
                self._take_message(pdu)
            case PDU(command=Command.ENQUIRE_LINK, sequence=sequence):
                self._write(encode(PDU(Command.ENQUIRE_LINK_RESP, sequence)))
            case PDU(command=Command.UNBIND, sequence=sequence):
                # What was submitted before has its answer first, where the peer still gives one.
                self.is_bound = False
                self._unbinds_by = sequence
            case PDU(command=Command.ALERT_NOTIFICATION):
                pass
            case PDU(command=command, sequence=sequence, status=status) if command & 0x80000000:
                self._settle_answer(sequence, status, "")
            case PDU(sequence=sequence) | Bind(sequence=sequence) | SubmitSM(sequence=sequence):
                self._write(encode(PDU(Command.GENERIC_NACK, sequence, ESME_RINVCMDID)))

    def _take_message(self, pdu: DeliverSM) -> None:
        if self._uncommitted >= _MOST_UNCOMMITTED:
            self._write(encode(Answer(Command.DELIVER_SM_RESP, pdu.sequence, _COME_AGAIN)))
            return
        self._uncommitted += 1

        def acknowledge() -> None:
            self._uncommitted -= 1
            self._write(encode(Answer(Command.DELIVER_SM_RESP, pdu.sequence, ESME_ROK)))

        self._on_deliver(pdu, acknowledge)

    def _settle_answer(self, sequence: int, status: int, name: str) -> None:
        answer = self._answers.get(sequence)
        if answer is not None and not answer.done():
            answer.set_result((status, name))

    # What goes.

    async def _ask(self, command: Command) -> None:
        sequence = self._next_sequence()
        await self._exchange(sequence, encode(PDU(command, sequence)))

    async def _exchange(self, sequence: int, framed: bytes) -> tuple[int, str]:
        answer: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._answers[sequence] = answer
        try:
            self._write(framed)
            return await answer
        finally:
            self._answers.pop(sequence, None)

    def _write(self, framed: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(framed)

    async def _drain(self) -> None:
        if self._writer is not None:
            async with asyncio.timeout(_WRITE_SECONDS):
                await self._writer.drain()

    async def _settle(self) -> None:
        """Take nothing more; return when all that was submitted has its answer, or none came in time."""
        self.is_bound = False
        self._is_leaving = True
        if self._answers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await self._settled.wait()

    def _next_sequence(self) -> int:
        self._sequence = self._sequence % _MOST_SEQUENCE + 1
        return self._sequence

    def _fail_all(self, cause: str) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(LinkLost(cause))


def _with_sequence(pdu: SubmitSM, sequence: int) -> SubmitSM:
    return SubmitSM(
        sequence, pdu.source, pdu.destination, pdu.short_message, pdu.data_coding, pdu.esm_class,
        pdu.registered_delivery, pdu.validity_period, pdu.tlvs,
    )  # fmt: skip


def _first(group: BaseExceptionGroup[NotBound]) -> NotBound:
    error = group.exceptions[0]
    return error if isinstance(error, NotBound) else NotBound("several troubles")


def _cause_of(error: BaseException) -> str:
    """A fixed text: that of an error may hold names and addresses."""
    match error:
        case ssl.SSLCertVerificationError():
            return "the peer's certificate isn't for this host, or nobody vouches for it"
        case ssl.SSLError():
            return "no TLS with the peer"
        case PDUMalformed():
            return "the peer doesn't speak SMPP"
        case TimeoutError():
            return "the peer takes nothing in time"
        case _:
            logger.debug("link_error", **describe_exception(error))
            return "the peer can't be reached"

"""The public channel's provider at an aggregator that speaks SMPP: several binds, parts, and receipts told after their commit."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from config.environment import Environment
from config.logs import describe_exception, get_logger
from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode
from sending import metrics
from sending.providers.provider import (
    AWAY,
    Absent,
    HandOver,
    OpenAttempt,
    Outgoing,
    PartNews,
    PutBack,
    Refused,
    Surroundings,
    Taken,
    Unknown,
)
from sending.providers.smpp.codes import Refusal, raw_status, refusal_of
from sending.providers.smpp.link import Link, LinkLost, NotBound, NotSent
from sending.providers.smpp.pdus import ESME_ROK, DeliverSM, SubmitSM
from sending.providers.smpp.receipts import (
    ReceiptOfPart,
    is_id,
    is_receipt,
    normal_id,
    parse_receipt,
)
from sending.providers.smpp.slowdown import Slowdown
from sending.providers.smpp.texts import Part, parts_of

logger = get_logger("sending")

# Two days (§7.1.1): what hasn't arrived by then has expired.
_VALIDITY: Final = "000002000000000R"
_ALPHANUMERIC: Final = (5, 0)
_INTERNATIONAL: Final = (1, 1)
_NETWORK_SPECIFIC: Final = (3, 0)
_LONGEST_SHORT_CODE: Final = 6
_TEST_SENDER: Final = "Postman"
# Seconds until the next try to bind: at first, and at most; and how long a link must have lasted to begin anew.
_FIRST_REST, _LONGEST_REST = 0.5, 60.0
_LASTING: Final = 10.0
# Seconds: until what met no bound link goes again; that the sender rests where it is throttled, or the queue is full there;
# until a temporary refusal is tried again.
_AWAY_SECONDS: Final = 5.0
_THROTTLED_SECONDS: Final = 1.0
_TEMPORARY_SECONDS: Final = 30.0
# Seconds for which the rest of a message is tried again whose first part was taken.
_REST_SECONDS: Final = 120.0
# Seconds for which a message waits for a link that is just being made. Its moment to leave is mostly over sooner.
_BINDING_SECONDS: Final = 3.0
# Seconds between the tries of such a part: at first, at most where it was refused, and where it found no free place.
_FIRST_DELAY, _LONGEST_DELAY, _LONGEST_UNSENT_DELAY = 0.05, 5.0, 0.2
# Receipts of all links, of those that have ended too, that aren't recorded yet. The next one is told to come again: while the
# database is away, links that are made anew must not bring ever more.
_MOST_UNRECORDED: Final = 20_000
TOO_LATE: Final = "too late"
SENDER_REFUSED: Final = "sender refused"
BIND_REFUSED: Final = "bind refused"


@dataclass(frozen=True, slots=True)
class _Submitted:
    """A part has its answer. `status` is 0 where it was taken."""

    status: int
    provider_id: str


class SMPPProvider:
    """The `Provider` of the public channel. Its links are kept in tasks of their own, from the first call on."""

    def __init__(self, surroundings: Surroundings) -> None:
        settings = surroundings.settings
        self._settings: Final = settings.smpp
        self._adopt_strays: Final = surroundings.adopt_strays
        sender = _TEST_SENDER if surroundings.environment is Environment.TEST else settings.public.sender_id
        self._source: Final = _source_of(sender)
        self._news: Final[asyncio.Queue[PartNews]] = asyncio.Queue()
        self._links: Final[list[Link]] = []
        self._slowdown: Final = Slowdown()
        self._refusal = ""
        self._under_way = self._unrecorded = 0
        self._has_bound: Final = asyncio.Event()
        self._closing: Final = asyncio.Event()
        self._keepers: Final = [
            asyncio.create_task(self._keep_link(), name=f"SMPP bind {number}")
            for number in range(1, self._settings.binds + 1)
        ]

    @property
    def most_at_once(self) -> int:
        """What the windows of all bound links hold; after throttling, what the halved rate has room for. Without a link one."""
        bound = sum(link.is_bound for link in self._links)
        room = self._slowdown.room()
        most = bound * self._settings.window
        return max(1, most if room is None else min(most, self._under_way + room))

    async def hand_over(self, message: Outgoing) -> HandOver:
        """Submit its parts, one after the other. What was refused of a message whose first part was taken goes again alone."""
        try:
            parts = self._parts_of(message.key, message.text)
        except ValueError:
            return Refused(ErrorCode.CONTENT_INVALID, "too long")
        self._under_way += 1
        try:
            return await self._hand_over(message, parts)
        finally:
            self._under_way -= 1

    async def _hand_over(self, message: Outgoing, parts: Sequence[Part]) -> HandOver:
        try:
            await self._wait_for_turn(message.leave_by)
            first = await self._submit(message, parts[0], message.leave_by)
        except NotSent:
            return self._not_sent(message)
        except LinkLost as lost:
            return Unknown(lost.cause, part_ids=("",) * len(parts))
        if first.status != ESME_ROK:
            return self._refused(first.status)
        ids = [first.provider_id]
        try:
            for part in parts[1:]:
                rest = await self._submit_rest(message, part)
                if isinstance(rest, _Submitted) and rest.status == ESME_ROK:
                    ids.append(rest.provider_id)
                    continue
                known = _padded(ids, len(parts))
                return (
                    _broken_off(rest.status, known)
                    if isinstance(rest, _Submitted)
                    else Unknown(rest, part_ids=known)
                )
        except asyncio.CancelledError:
            # The process stops waiting: the ids of the parts that were taken must not be lost with it.
            return Unknown("stopped before all parts were sent", part_ids=_padded(ids, len(parts)))
        if not all(ids):
            # All were taken, but whose receipts are these parts'? A look-up finds them by the recipient.
            return Unknown("no id in the answer", part_ids=tuple(ids))
        return Taken(ids[0], part_ids=tuple(ids))

    async def look_up(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:
        """SMPP has no question for a message without its id. Receipts that no part has missed may be theirs: then they move."""
        await self._adopt_strays(
            [(attempt, len(self._parts_of(attempt.key, attempt.text))) for attempt in attempts]
        )
        return []

    async def receipts(self) -> AsyncIterator[Receipt | PartNews]:
        """The receipts of all links, as they come."""
        while True:
            yield await self._news.get()

    async def close(self) -> None:
        """Wait for the answers that are due, say goodbye, and let go of the links."""
        self._closing.set()
        await asyncio.gather(*(link.close() for link in self._links), return_exceptions=True)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    # Submissions.

    def _parts_of(self, key: AttemptKey, text: str) -> tuple[Part, ...]:
        """Raises ValueError for a text of too many parts."""
        return parts_of(
            text,
            _reference_of(key),
            long_messages=self._settings.long_messages,
            alphabet=self._settings.default_alphabet,
        )

    async def _wait_for_turn(self, leave_by: float) -> None:
        """Wait for a link that is just being made, and for what a slowdown leaves room for; never past the message's moment."""
        loop = asyncio.get_running_loop()
        if not any(link.is_bound for link in self._links) and not self._refusal:
            self._has_bound.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(leave_by, loop.time() + _BINDING_SECONDS)):
                    await self._has_bound.wait()
        while (seconds := self._slowdown.seconds_to_next()) > 0:
            if loop.time() + seconds > leave_by:
                raise NotSent
            await asyncio.sleep(seconds)

    async def _submit(self, message: Outgoing, part: Part, leave_by: float) -> _Submitted:
        """Raises NotSent, LinkLost."""
        link = max(self._links, key=lambda each: each.free, default=None)
        if link is None or link.free == 0:
            raise NotSent
        pdu = SubmitSM(
            sequence=0,
            source=self._source,
            destination=(*_INTERNATIONAL, message.recipient),
            short_message=part.short_message,
            data_coding=part.data_coding,
            esm_class=part.esm_class,
            validity_period=_VALIDITY,
            tlvs=part.tlvs,
        )
        self._slowdown.note_submitted()
        status, given = await link.submit(pdu, leave_by=leave_by)
        if refusal_of(status) is Refusal.BIND:
            link.drop()
        return _Submitted(status, normal_id(given) if is_id(given) else "")

    async def _submit_rest(self, message: Outgoing, part: Part) -> _Submitted | str:
        """Submit a further part, again while it is surely not sent and that may pass. Without an answer, the cause."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _REST_SECONDS
        delay = _FIRST_DELAY
        last: _Submitted | str = "link lost before all parts were sent"
        while not self._closing.is_set():
            try:
                await self._wait_for_turn(end)
                submitted = await self._submit(message, part, end)
            except NotSent:
                # The window is full for a moment, or the link is made anew.
                delay = min(delay, _LONGEST_UNSENT_DELAY)
            except LinkLost as lost:
                return lost.cause
            else:
                if submitted.status == ESME_ROK or isinstance(refusal_of(submitted.status), ErrorCode):
                    return submitted
                if refusal_of(submitted.status) is Refusal.SENDER:
                    return submitted
                self._slow_down(submitted.status)
                last = submitted
            if loop.time() + delay > end:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._closing.wait()
            delay = min(2 * delay, _LONGEST_DELAY)
        return last

    def _not_sent(self, message: Outgoing) -> PutBack:
        if any(link.is_bound for link in self._links):
            # The window is full, or its moment is over.
            late = asyncio.get_running_loop().time() > message.leave_by
            return PutBack(0.0 if late else 0.1, TOO_LATE if late else "window full")
        if self._refusal:
            return PutBack(_AWAY_SECONDS, self._refusal, pause=BIND_REFUSED)
        return PutBack(_AWAY_SECONDS, "no bind", pause=AWAY, pause_seconds=_AWAY_SECONDS)

    def _refused(self, status: int) -> HandOver:
        """What an answer means that took nothing."""
        raw = raw_status(status)
        refusal = refusal_of(status)
        match refusal:
            case ErrorCode():
                return Refused(refusal, raw)
            case Refusal.THROTTLED | Refusal.QUEUE_FULL:
                self._slow_down(status)
                return PutBack(_THROTTLED_SECONDS, raw, pause="throttled", pause_seconds=_THROTTLED_SECONDS)
            case Refusal.TEMPORARY:
                return PutBack(_TEMPORARY_SECONDS, raw, counts=True)
            case Refusal.SENDER:
                return PutBack(0.0, raw, pause=SENDER_REFUSED)
            case Refusal.BIND:
                return PutBack(1.0, raw)

    def _slow_down(self, status: int) -> None:
        if refusal_of(status) in (Refusal.THROTTLED, Refusal.QUEUE_FULL):
            self._slowdown.note_throttled()

    # Links.

    async def _keep_link(self) -> None:
        """Keep one link bound, until cancelled."""
        rest = _FIRST_REST
        loop = asyncio.get_running_loop()
        while not self._closing.is_set():
            link = Link(self._settings, self._take, self._note_bound)
            self._links.append(link)
            began = loop.time()
            try:
                await link.run()
            except NotBound as error:
                self._note_unbound(error)
            except Exception as error:  # noqa: BLE001 - a bug must not end the links for good
                logger.error("smpp_link_crashed", **describe_exception(error))  # noqa: TRY400
            finally:
                self._links.remove(link)
                metrics.SMPP_BINDS.set(sum(each.is_bound for each in self._links))
            if loop.time() - began > _LASTING:
                rest = _FIRST_REST
            await asyncio.sleep(rest * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
            rest = min(2 * rest, _LONGEST_REST)

    def _note_bound(self) -> None:
        self._refusal = ""
        self._has_bound.set()
        metrics.SMPP_BINDS.set(sum(link.is_bound for link in self._links))
        logger.info("smpp_bound", binds=sum(link.is_bound for link in self._links))

    def _note_unbound(self, error: NotBound) -> None:
        if self._closing.is_set():
            return
        self._refusal = error.cause if error.is_refusal else ""
        metrics.SMPP_LINKS_LOST.labels("refused" if error.is_refusal else "lost").inc()
        logger.warning("smpp_unbound", reason=error.cause)

    def _take(self, pdu: DeliverSM, acknowledge: Callable[[], None]) -> bool:
        """A message of the peer's: a receipt is kept and acknowledged later, whatever else it is at once."""
        if self._unrecorded >= _MOST_UNRECORDED:
            return False
        found = self._read_receipt(pdu)
        if found is None:
            metrics.SMPP_UNREADABLE.inc()
            acknowledge()
            return True
        is_open = True

        def recorded() -> None:
            nonlocal is_open
            if is_open:
                is_open = False
                self._unrecorded -= 1
                acknowledge()

        self._unrecorded += 1
        self._news.put_nowait(
            PartNews(
                found.provider_id,
                found.status,
                found.error,
                found.raw_code,
                found.recipient,
                found.at,
                recorded=recorded,
            )
        )
        return True

    def _read_receipt(self, pdu: DeliverSM) -> ReceiptOfPart | None:
        if not is_receipt(pdu):
            return None
        settings = self._settings
        try:
            return parse_receipt(pdu, form=settings.receipt_id, errors=settings.errors, now=datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - one that we can't read must not end the link, each time that it comes
            logger.error("smpp_receipt_crashed", **describe_exception(error))  # noqa: TRY400 - its text may hold numbers
            return None


def _padded(ids: Sequence[str], count: int) -> tuple[str, ...]:
    """The ids of all parts, as far as they are known."""
    return (*ids, *("",) * (count - len(ids)))


def _broken_off(status: int, part_ids: tuple[str, ...]) -> Refused:
    """A part was refused for good, while others were taken."""
    error = refusal_of(status)
    return Refused(
        error if isinstance(error, ErrorCode) else ErrorCode.SERVER_UNKNOWN_ERROR,
        raw_status(status),
        pause=SENDER_REFUSED if error is Refusal.SENDER else "",
        may_have_arrived=True,
        part_ids=part_ids,
    )


def _source_of(sender: str) -> tuple[int, int, str]:
    """The source address: letters are alphanumeric, digits a short code or a number."""
    if sender.isascii() and sender.isdigit():
        return (*(_NETWORK_SPECIFIC if len(sender) <= _LONGEST_SHORT_CODE else _INTERNATIONAL), sender)
    return (*_ALPHANUMERIC, sender)


def _reference_of(key: AttemptKey) -> int:
    """What parts of a message have in common, and those of the next one to the same phone most likely have not."""
    return (key.batch_no * 37 + key.row_number * 5 + key.attempt) % 256

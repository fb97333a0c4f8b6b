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
from sending.providers.smpp.receipts import is_receipt, normal_id, parse_receipt
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
_LASTING: Final = 60.0
# Seconds: until what met no bound link goes again; that the sender rests where it is throttled, or the queue is full there;
# until a temporary refusal is tried again.
_AWAY_SECONDS: Final = 5.0
_THROTTLED_SECONDS: Final = 1.0
_TEMPORARY_SECONDS: Final = 30.0
# Seconds for which the rest of a message is tried again whose first part was taken.
_REST_SECONDS: Final = 120.0
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
        self._is_closing = False
        self._keepers: Final = [
            asyncio.create_task(self._keep_link(), name=f"SMPP bind {number}")
            for number in range(1, self._settings.binds + 1)
        ]

    @property
    def most_at_once(self) -> int:
        """What the windows of all bound links hold, less after throttling. Without a link one, which is put back."""
        bound = sum(link.is_bound for link in self._links)
        return max(1, int(bound * self._settings.window * self._slowdown.factor()))

    async def hand_over(self, message: Outgoing) -> HandOver:
        """Submit its parts, one after the other. What was refused of a message whose first part was taken goes again alone."""
        try:
            parts = self._parts_of(message.key, message.text)
        except ValueError:
            return Refused(ErrorCode.CONTENT_INVALID, "too long")
        try:
            first = await self._submit(message, parts[0], message.leave_by)
        except NotSent:
            return self._not_sent(message)
        except LinkLost as lost:
            return Unknown(lost.cause, part_ids=("",) * len(parts))
        if first.status != ESME_ROK:
            return self._refused(first.status)
        ids = [first.provider_id]
        for part in parts[1:]:
            rest = await self._submit_rest(message, part)
            if isinstance(rest, _Submitted) and rest.status == ESME_ROK:
                ids.append(rest.provider_id)
                continue
            known = (*ids, *("",) * (len(parts) - len(ids)))
            if isinstance(rest, _Submitted):
                error = refusal_of(rest.status)
                return Refused(
                    error if isinstance(error, ErrorCode) else ErrorCode.SERVER_UNKNOWN_ERROR,
                    raw_status(rest.status),
                    may_have_arrived=True,
                    part_ids=known,
                )
            return Unknown(rest, part_ids=known)
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
        self._is_closing = True
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

    async def _submit(self, message: Outgoing, part: Part, leave_by: float) -> _Submitted:
        """Raises NotSent, LinkLost."""
        links = [link for link in self._links if link.free > 0]
        if not links:
            raise NotSent
        link = max(links, key=lambda each: each.free)
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
        status, given = await link.submit(pdu, leave_by=leave_by)
        if status == ESME_ROK and not given:
            # It has been taken, but its receipts can't be told from others.
            raise LinkLost("no id in the answer")
        if status != ESME_ROK and refusal_of(status) is Refusal.BIND:
            link.drop()
        return _Submitted(status, normal_id(given))

    async def _submit_rest(self, message: Outgoing, part: Part) -> _Submitted | str:
        """Submit a further part, again while it is surely not sent and that may pass. Without an answer, the cause."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _REST_SECONDS
        delay = 0.1
        while True:
            cause = "link lost before all parts were sent"
            submitted: _Submitted | None = None
            with contextlib.suppress(NotSent):
                try:
                    submitted = await self._submit(message, part, end)
                except LinkLost as lost:
                    return lost.cause
            if submitted is not None:
                if submitted.status == ESME_ROK or isinstance(refusal_of(submitted.status), ErrorCode):
                    return submitted
                self._slow_down(submitted.status)
            if loop.time() + delay > end:
                return submitted or cause
            await asyncio.sleep(delay)
            delay = min(2 * delay, 5.0)

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
        while not self._is_closing:
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
        metrics.SMPP_BINDS.set(sum(link.is_bound for link in self._links))
        logger.info("smpp_bound", binds=sum(link.is_bound for link in self._links))

    def _note_unbound(self, error: NotBound) -> None:
        if self._is_closing:
            return
        if error.is_refusal:
            self._refusal = error.cause
        metrics.SMPP_LINKS_LOST.labels("refused" if error.is_refusal else "lost").inc()
        logger.warning("smpp_unbound", reason=error.cause)

    def _take(self, pdu: DeliverSM, acknowledge: Callable[[], None]) -> None:
        """A message of the peer's: a receipt is kept and acknowledged later, whatever else it is at once."""
        found = None
        if is_receipt(pdu):
            found = parse_receipt(
                pdu, form=self._settings.receipt_id, errors=self._settings.errors, now=datetime.now(UTC)
            )
        if found is None:
            metrics.SMPP_UNREADABLE.inc()
            acknowledge()
            return
        self._news.put_nowait(
            PartNews(
                found.provider_id,
                found.status,
                found.error,
                found.raw_code,
                found.recipient,
                found.at,
                recorded=acknowledge,
            )
        )


def _source_of(sender: str) -> tuple[int, int, str]:
    """The source address: letters are alphanumeric, digits a short code or a number."""
    if sender.isascii() and sender.isdigit():
        return (*(_NETWORK_SPECIFIC if len(sender) <= _LONGEST_SHORT_CODE else _INTERNATIONAL), sender)
    return (*_ALPHANUMERIC, sender)


def _reference_of(key: AttemptKey) -> int:
    """What parts of a message have in common, and those of the next one to the same phone most likely have not."""
    return (key.batch_no * 37 + key.row_number * 5 + key.attempt) % 256

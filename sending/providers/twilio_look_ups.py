"""What Twilio knows of attempts without an outcome, and of messages without news (data/twilio.md, "Outcome unknown")."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from twilio.base.exceptions import TwilioException
from twilio.rest.api.v2010.account.message import MessageInstance, MessageList, MessagePage

from messages.news import AttemptKey, Receipt
from sending.providers.provider import Absent, KnownIDs, OpenAttempt
from sending.providers.twilio_errors import receipt_of
from sending.providers.twilio_http import NotSentError, OutcomeUnknownError, RefusedError

log: structlog.stdlib.BoundLogger = structlog.get_logger("sending.providers.twilio")

_RECIPIENT_PAGE: Final = 50
_DAY_PAGE: Final = 1000
# A recipient with more pages than this is not read to its end, and so nothing is proved absent.
_MOST_RECIPIENT_PAGES: Final = 20
# A page of a day is worth as much as this many requests for one message each.
_REQUESTS_PER_PAGE: Final = 20
_AT_ONCE: Final = 10
# Twilio gives whole seconds, and its clock and ours differ; a hand-over may wait for its turn, and what counts as its time may be
# when its time-out was over.
_EARLIEST: Final = timedelta(seconds=-120)
_LATEST: Final = timedelta(seconds=600)
# A look-up may come a little before its time, as the clocks of nodes and database differ.
_EARLY: Final = 0.95
_FAILURES: Final = (
    RefusedError,
    NotSentError,
    OutcomeUnknownError,
    ValueError,
    TypeError,
    AttributeError,
    TwilioException,
)


class LookUps:
    """The look-ups of one messaging service."""

    def __init__(
        self,
        messages: MessageList,
        known_ids: KnownIDs,
        *,
        absent_after: float,
    ) -> None:
        """`absent_after`: seconds after the hand-over from which a message that Twilio doesn't know was never created."""
        self._messages = messages
        self._known_ids = known_ids
        self._absent_after = timedelta(seconds=absent_after * _EARLY)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def look_up(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:
        """What Twilio knows of these; those of which it can't tell anything are left out."""
        unknown = [attempt for attempt in attempts if not attempt.provider_id]
        by_id = {attempt.provider_id: attempt for attempt in attempts if attempt.provider_id}
        return [*await self._look_up_unknown(unknown), *await self._look_up_by_id(by_id)]

    async def _look_up_unknown(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:
        """By recipient. An attempt's message has its text, was created at its time, and belongs to no other attempt."""
        by_recipient = defaultdict(list)
        for attempt in attempts:
            by_recipient[attempt.recipient].append(attempt)
        told = await asyncio.gather(*(self._messages_of(group) for group in by_recipient.values()))
        candidates = [message for messages, _ in told for message in messages]
        # One question for all of them, since the database has no index that answers it.
        known = await self._known_of(candidates) if candidates else set()
        found: list[Receipt | Absent] = []
        for group, (messages, is_whole) in zip(by_recipient.values(), told, strict=True):
            found.extend(
                self._match(group, [message for message in messages if message.sid not in known], is_whole)
            )
        return found

    async def _known_of(self, messages: Sequence[MessageInstance]) -> set[str]:
        oldest = min(message.date_created for message in messages)
        return set(await self._known_ids([message.sid for message in messages], oldest))

    def _match(
        self, attempts: Sequence[OpenAttempt], messages: Sequence[MessageInstance], is_whole: bool
    ) -> list[Receipt | Absent]:
        """What a recipient's messages, which belong to nobody yet, say of attempts: each gets one at most, the nearest first."""
        fitting = [
            (_age(attempt, message), attempt, message)
            for attempt in attempts
            for message in messages
            if message.body == attempt.text and _age(attempt, message) >= _EARLIEST
        ]
        matched: dict[AttemptKey, list[Receipt]] = {}
        taken: set[str] = set()
        for age, attempt, message in sorted(fitting, key=lambda pair: abs(pair[0])):
            if age <= _LATEST and attempt.key not in matched and message.sid not in taken:
                taken.add(message.sid)
                matched[attempt.key] = _news(attempt, message)
        found: list[Receipt | Absent] = [receipt for receipts in matched.values() for receipt in receipts]
        now = datetime.now(UTC)
        for attempt in attempts:
            # A message left over may be this attempt's, however late it was created.
            has_left = any(attempt is other and message.sid not in taken for _, other, message in fitting)
            is_late = now - attempt.handed_over_at >= self._absent_after
            if is_whole and is_late and not has_left and attempt.key not in matched:
                found.append(Absent(attempt.key))
        return found

    async def _messages_of(self, attempts: Sequence[OpenAttempt]) -> tuple[list[MessageInstance], bool]:
        """The messages of these texts to their one recipient, and whether there can be no others; nothing where Twilio fails."""
        texts = {attempt.text for attempt in attempts}
        async with self._slots:
            try:
                earliest = min(attempt.handed_over_at for attempt in attempts) + _EARLIEST
                messages, is_whole = await self._messages_to(attempts[0].recipient, earliest)
            except _FAILURES as error:
                _log_failure(error)
                return [], False
        return [
            message
            for message in messages
            if message.body in texts and isinstance(message.date_created, datetime)
        ], is_whole

    async def _messages_to(self, recipient: str, earliest: datetime) -> tuple[list[MessageInstance], bool]:
        """The recipient's messages, and whether all from `earliest` on are among them."""
        found: list[MessageInstance] = []
        page = await self._messages.page_async(to=f"+{recipient}", page_size=_RECIPIENT_PAGE)
        for _ in range(_MOST_RECIPIENT_PAGES):
            found.extend(await _read(page))
            # The newest come first, in the order of sending.
            oldest = found[-1].date_sent if found else None
            page = await page.next_page_async() if oldest is None or oldest >= earliest else None
            if page is None:
                return found, True
        return found, False

    async def _look_up_by_id(self, wanted: dict[str, OpenAttempt]) -> list[Receipt | Absent]:
        """Bulk first: the days on which they were sent, a thousand messages a call; then each that didn't show there."""
        found: list[Receipt | Absent] = []
        by_day = defaultdict(set)
        for sid, attempt in wanted.items():
            by_day[attempt.handed_over_at.astimezone(UTC).date()].add(sid)
        shown: set[str] = set()
        for day, sids in sorted(by_day.items()):
            async with self._slots:
                for message in await self._sent_on(day.isoformat(), sids):
                    shown.add(message.sid)
                    found.extend(_news(wanted[message.sid], message))
        others = [self._one(sid, attempt) for sid, attempt in wanted.items() if sid not in shown]
        for news in await asyncio.gather(*others):
            found.extend(news)
        return found

    async def _sent_on(self, day: str, wanted: Collection[str]) -> list[MessageInstance]:
        """Those of the wanted that were sent on this day (UTC), as far as paging through it is worth while."""
        found: dict[str, MessageInstance] = {}
        try:
            page = await self._messages.page_async(date_sent=day, page_size=_DAY_PAGE)
            for pages_left in range(len(wanted) // _REQUESTS_PER_PAGE, -1, -1):
                found |= {message.sid: message for message in await _read(page) if message.sid in wanted}
                if pages_left == 0 or len(found) == len(wanted):
                    break
                page = await page.next_page_async()
                if page is None:
                    break
        except _FAILURES as error:
            _log_failure(error)
        return list(found.values())

    async def _one(self, sid: str, attempt: OpenAttempt) -> list[Receipt]:
        async with self._slots:
            try:
                return _news(attempt, await self._messages(sid).fetch_async())
            except _FAILURES as error:
                _log_failure(error)
                return []


async def _read(page: MessagePage) -> list[MessageInstance]:
    messages = []
    for count, message in enumerate(page, 1):
        messages.append(message)
        # A thousand take some 50 ms, in which the sender would do nothing else.
        if count % 100 == 0:
            await asyncio.sleep(0)
    return messages


def _log_failure(error: BaseException) -> None:
    log.info("look_up_failed", provider="twilio", cause=type(error).__name__)


def _age(attempt: OpenAttempt, message: MessageInstance) -> timedelta:
    """How long after the hand-over the message was created."""
    age: timedelta = message.date_created - attempt.handed_over_at
    return age


def _news(attempt: OpenAttempt, message: MessageInstance) -> list[Receipt]:
    code = "" if message.error_code in (None, 0) else str(message.error_code)
    receipt = receipt_of(
        attempt.key, status=str(message.status), code=code, sid=str(message.sid), at=message.date_updated
    )
    if receipt is None or message.status == "partially_delivered":
        log.warning("provider_status_unknown", provider="twilio", status=str(message.status)[:40])
    return [] if receipt is None else [receipt]

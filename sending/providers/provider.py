"""What the sending core asks of a provider, and what a provider may answer.

A hand-over has one of four ends: taken, refused (surely not sent, for good), put back (surely not sent, goes again), or not
known. Only the last is dangerous: it stays `sending`, and nothing sends it again by itself (7-sending.md §1).
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, TypeAlias

from config.environment import Environment
from config.sending_sections import SendingSettings
from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it leaves. `recipient` is digits with country code, `text` the whole message, frame and all.

    `leave_by` is the moment of the loop's clock after which not a byte of it may leave: it is put back then.
    """

    key: AttemptKey
    recipient: str
    text: str
    segments: int
    encoding: str
    is_otp: bool
    leave_by: float = math.inf


@dataclass(frozen=True, slots=True)
class Taken:
    """The provider has it, under this id of its own, which may be empty. In `loadtest` the status stays SENDING."""

    provider_id: str
    status: MessageStatus = MessageStatus.SENT
    # Where receipts tell of each part of a message by an id of its own: the ids of all parts, in their order.
    part_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Surely not sent, and not to be tried again by itself. `raw_code` is the provider's own.

    `pause` is why the whole sender must wait for `sending resume`, a fixed text, or empty. `may_have_arrived`: a part of it was
    taken, with these ids of parts, as in Unknown.
    """

    error: ErrorCode
    raw_code: str = ""
    pause: str = ""
    may_have_arrived: bool = False
    part_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PutBack:
    """Surely not sent: the same attempt goes again after `delay` seconds.

    `pause` is why the whole sender must wait, a fixed text, or empty; with `pause_seconds` it lifts itself (throttled), without
    it waits for `sending resume` (wrong credentials, a sender that isn't allowed). `counts`: whether it is one of the three times
    after which the attempt fails with `server_unknown_error`.
    """

    delay: float = 1.0
    raw_code: str = ""
    pause: str = ""
    pause_seconds: float | None = None
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been sent, or not: time-out, a link that broke, a server's error. `raw_code` says which, for people."""

    raw_code: str = ""
    # Of a message whose parts have ids of their own: those that are known, in the parts' order; "" for each other one.
    part_ids: tuple[str, ...] = ()


# The pause of a sender whose provider can't be reached. Where each time counts, it is tried with one message alone afterwards.
AWAY: Final = "provider unreachable"


@dataclass(frozen=True, slots=True)
class PartNews:
    """News of one part of a message, by the id that the provider gave to the part: a receipt of SMPP.

    `recipient`: whom it was for, digits, as the provider says, or empty. `at` is the provider's time (aware UTC), None where it
    gives none. `recorded` is called once when it is committed, and only then: the provider is told so, and tells it no more.
    """

    provider_id: str
    status: MessageStatus
    error: ErrorCode | None = None
    raw_code: str = ""
    recipient: str = ""
    at: datetime | None = None
    recorded: Callable[[], None] = field(default=_nothing, compare=False, repr=False)


HandOver: TypeAlias = Taken | Refused | PutBack | Unknown


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt to be looked up. `provider_id` is empty where its outcome isn't known; `handed_over_at` is aware UTC."""

    key: AttemptKey
    recipient: str
    text: str
    provider_id: str
    handed_over_at: datetime


@dataclass(frozen=True, slots=True)
class Absent:
    """Proof that the provider never had it: a retry is safe. Given only once the last of `sending.look_up_after` is over."""

    key: AttemptKey


# For a provider that sets no limit of its own.
NO_LIMIT: Final = 1_000_000

# Gives receipts of parts that nobody has missed yet to these attempts without an answer, each with the number of its parts.
AdoptStrays: TypeAlias = Callable[[Sequence[tuple[OpenAttempt, int]]], Awaitable[None]]
# Those of a provider's ids that belong to attempts already; the second argument is when the oldest of their messages was created.
KnownIDs: TypeAlias = Callable[[Collection[str], datetime], Awaitable[Collection[str]]]


async def _adopt_none(_attempts: Sequence[tuple[OpenAttempt, int]]) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the adapters need of the process that opens them.

    `callback_keys`: the keys of callbacks, newest first; without any, no callback is asked for. `known_ids` keeps a
    look-up by recipient from taking another attempt's message. `adopt_strays` is for a provider with parts.
    """

    settings: SendingSettings
    environment: Environment
    known_ids: KnownIDs
    callback_keys: Sequence[bytes] = ()
    adopt_strays: AdoptStrays = _adopt_none


class Provider(Protocol):
    """One sender at one provider. Its calls raise nothing but cancellation: whatever goes wrong is one of the answers."""

    @property
    def most_at_once(self) -> int:
        """How many hand-overs it may have under way now, at least one.

        Messages that would wait inside for their turn are not handed over: they would leave after a pause or a suspension, and
        all at once when the provider answers again.
        """
        ...

    async def hand_over(self, message: Outgoing) -> HandOver:
        """Give it to the provider, once: no retries inside, whatever happens."""
        ...

    async def look_up(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:
        """What the provider knows of these. Those that it can't tell anything of are left out."""
        ...

    def receipts(self) -> AsyncIterator[Receipt | PartNews]:
        """News that the provider sends by itself; it doesn't end, even if none ever comes. One task may listen.

        Callbacks by HTTP come in at `api` instead.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...

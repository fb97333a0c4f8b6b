"""Twilio as a provider: one messaging service of one account (data/twilio.md)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from time import monotonic
from types import MappingProxyType
from typing import Final

import structlog
from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from messages.callback_urls import callback_url
from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode
from sending.providers.authorities import trusted_authorities
from sending.providers.concurrency import Concurrency
from sending.providers.provider import (
    AWAY,
    Absent,
    HandOver,
    OpenAttempt,
    Outgoing,
    Provider,
    PutBack,
    Refused,
    Surroundings,
    Taken,
    Unknown,
)
from sending.providers.twilio_account import TwilioAccount
from sending.providers.twilio_errors import ROUTING_CODES, Refusal, refusal_of
from sending.providers.twilio_http import (
    TOO_LATE,
    UNREADABLE,
    NotSentError,
    OutcomeUnknownError,
    Refusal4xx,
    RefusedError,
    TooLateError,
    TwilioHTTP,
    leaving_by,
)
from sending.providers.twilio_look_ups import LookUps

log: structlog.stdlib.BoundLogger = structlog.get_logger("sending.providers.twilio")

# Third parties say that an account may have about a hundred requests under way; Twilio gives no number.
_MOST_REQUESTS: Final = 100
# A one-time password that has waited for five minutes in Twilio's queue is of no use.
_OTP_FIELDS: Final = MappingProxyType({"ValidityPeriod": "300", "MessageIntent": "otp"})
# Twilio calls back five times rather than once: for whatever went wrong, within 15 s.
_CALLBACK_RETRIES: Final = "#rc=5&rp=all&ct=5000&rt=15000"
_QUEUE_FULL_SECONDS: Final = 60.0
_LONGEST_AWAY_SECONDS: Final = 60.0
_ALARM_SECONDS: Final = 60.0


def open_twilio(account: TwilioAccount, surroundings: Surroundings) -> Provider:
    """The provider of one messaging service."""
    return Twilio(account, surroundings)


def prepare() -> None:
    """Read what all accounts of a process share."""
    trusted_authorities()


class Twilio:
    """The `Provider` of one messaging service."""

    def __init__(self, account: TwilioAccount, surroundings: Surroundings) -> None:
        settings = surroundings.settings
        self._service_sid = account.service_sid
        self._messages_uri = f"/Accounts/{account.account_sid}/Messages.json"
        self._callback_keys = surroundings.callback_keys
        self._callback_base = settings.twilio.callback_base_url
        self._http = TwilioHTTP(settings.twilio.base_url)
        self._client = _client(account, self._http)
        self._concurrency = Concurrency(_MOST_REQUESTS)
        self._look_ups = LookUps(
            self._client.messages, surroundings.known_ids, absent_after=settings.look_up_after[-1]
        )
        # Whether it ever took a message from this process, and which messages it refused for their sender since the last one.
        self._has_taken = False
        self._sender_refused: set[AttemptKey] = set()
        self._failed_connections = 0
        self._alarmed_at: dict[str, float] = {}

    @property
    def most_at_once(self) -> int:
        """A hundred requests, fewer after throttling."""
        return self._concurrency.limit

    async def hand_over(self, message: Outgoing) -> HandOver:
        """Create the message at Twilio, by one request."""
        turn = await self._concurrency.begin()
        failed_before = self._failed_connections
        try:
            sid = await self._create(message)
        except RefusedError as error:
            return self._refused(message.key, error.refusal, turn, failed_before)
        except TooLateError:
            # The connection is kept for the next one.
            return PutBack(0.0, TOO_LATE)
        except NotSentError as error:
            return self._away(error.cause, failed_before)
        except OutcomeUnknownError as error:
            return Unknown(error.cause)
        finally:
            self._concurrency.end()
        self._failed_connections = 0
        self._concurrency.succeeded()
        self._has_taken = True
        self._sender_refused.clear()
        return Taken(sid)

    async def look_up(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:
        """Ask Twilio for these: by recipient those without an id, the others in bulk and then one by one."""
        return await self._look_ups.look_up(attempts)

    async def receipts(self) -> AsyncIterator[Receipt]:
        """None: Twilio's callbacks come in at `api`."""
        await asyncio.Event().wait()
        # Unreachable, but without a `yield` this would be no iterator.
        yield NotImplemented

    async def close(self) -> None:
        """Let go of its connections."""
        await self._http.close()

    async def _create(self, message: Outgoing) -> str:
        """The id of the message created. Raises RefusedError, NotSentError, TooLateError, OutcomeUnknownError."""
        fields = {
            "To": f"+{message.recipient}",
            "MessagingServiceSid": self._service_sid,
            "Body": message.text,
            # It would put other characters in the place of dear ones, and the segments that were counted are promised.
            "SmartEncoded": "false",
        }
        if self._callback_base is not None and self._callback_keys:
            url = callback_url(self._callback_base, message.key, self._callback_keys)
            fields["StatusCallback"] = url + _CALLBACK_RETRIES
        if message.is_otp:
            fields |= _OTP_FIELDS
        try:
            # One layer below `messages.create_async`, which takes a sixth of a hand-over's time for dates that nobody reads.
            with leaving_by(message.leave_by):
                created = await self._client.api.v2010.create_async("POST", self._messages_uri, data=fields)
            sid = created["sid"]
        except (ValueError, TypeError, KeyError, TwilioException) as error:
            # The package could not read an answer of status 2xx.
            raise OutcomeUnknownError(UNREADABLE) from error
        if not isinstance(sid, str) or not sid:
            raise OutcomeUnknownError(UNREADABLE)
        return sid

    def _away(self, cause: str, failed_before: int, *, counts: bool = False) -> PutBack:
        """Nothing was sent, as there was no connection to Twilio itself: the whole sender waits, longer each time.

        Hand-overs that were under way together fail together, and are one time; `failed_before` tells.
        """
        if failed_before == self._failed_connections:
            self._failed_connections += 1
        delay = min(2.0 ** min(failed_before, 10), _LONGEST_AWAY_SECONDS)
        return PutBack(delay, cause, pause=AWAY, pause_seconds=delay, counts=counts)

    def _refused(self, key: AttemptKey, refusal: Refusal4xx, turn: int, failed_before: int) -> HandOver:
        """What the dispatcher must do about a refusal, by the row of data/twilio.md."""
        raw_code = str(refusal.code) if refusal.code is not None else f"HTTP {refusal.http_status}"
        meaning = refusal_of(refusal.http_status, refusal.code)
        if meaning is Refusal.IN_BETWEEN:
            # Surely not sent, and the account may be right: the pause lifts itself. Should Twilio itself answer like this, the
            # messages with which it is tried fail after three times, as any other 4xx would have them at once.
            self._alarm("in between", raw_code)
            return self._away(raw_code, failed_before, counts=True)
        self._failed_connections = 0
        match meaning:
            case Refusal.THROTTLED:
                self._concurrency.throttled(turn)
                delay = max(refusal.retry_after or 1.0, 1.0)
                return PutBack(delay, raw_code, pause="throttled", pause_seconds=delay)
            case Refusal.QUEUE_FULL:
                return PutBack(
                    _QUEUE_FULL_SECONDS,
                    raw_code,
                    pause="the provider's queue is full",
                    pause_seconds=_QUEUE_FULL_SECONDS,
                )
            case Refusal.CREDENTIALS:
                self._alarm("credentials", raw_code)
                return PutBack(raw_code=raw_code, pause="credentials refused")
            case Refusal.SENDER:
                return self._sender_wrong(key, raw_code)
            case Refusal.PARAMETER:
                self._alarm("parameter", raw_code)
                return Refused(
                    ErrorCode.SERVER_UNKNOWN_ERROR, raw_code, pause="the provider refuses our parameters"
                )
            case ErrorCode() as error:
                if raw_code in ROUTING_CODES:
                    self._alarm("routing", raw_code)
                return Refused(error, raw_code)

    def _sender_wrong(self, key: AttemptKey, raw_code: str) -> PutBack:
        """Back it goes, and the sender is paused, unless it takes other messages: then the fault is this message's own.

        Each time counts, so that such a single message fails in the end, after three.
        """
        self._sender_refused.add(key)
        self._alarm("sender", raw_code)
        is_single = self._has_taken and len(self._sender_refused) == 1
        return PutBack(2.0, raw_code, pause="" if is_single else "sender refused", counts=True)

    def _alarm(self, kind: str, raw_code: str) -> None:
        """Tell ops of a refusal that is more than one message's; of a code once a minute, as a block has many."""
        now = monotonic()
        if now - self._alarmed_at.get(raw_code, -_ALARM_SECONDS) < _ALARM_SECONDS:
            return
        self._alarmed_at[raw_code] = now
        log.warning(
            "provider_refused", provider="twilio", service=self._service_sid, kind=kind, code=raw_code
        )


@dataclass(frozen=True, slots=True)
class ServiceTrouble:
    """What is wrong with an account, for whoever set it up. `is_away`: Twilio didn't answer, and the account may be right."""

    text: str
    is_away: bool = False


async def try_service(account: TwilioAccount, *, base_url: str | None = None) -> ServiceTrouble | None:
    """Ask Twilio for the messaging service: None where it answers, and the service is this account's.

    Used by `campaign twilio` and by `check`. It raises nothing, and takes ten seconds at most.
    """
    http = TwilioHTTP(base_url, timeout=10)
    try:
        found = await _client(account, http).messaging.v1.services(account.service_sid).fetch_async()
    except RefusedError as error:
        return _service_trouble(error.refusal)
    except NotSentError as error:
        return ServiceTrouble(f"Twilio can't be reached ({error.cause})", is_away=True)
    except OutcomeUnknownError as error:
        return ServiceTrouble(f"Twilio gave no usable answer ({error.cause})", is_away=True)
    except (ValueError, TypeError, AttributeError, TwilioException):
        return ServiceTrouble(f"Twilio gave no usable answer ({UNREADABLE})", is_away=True)
    finally:
        await http.close()
    # This question is answered by the API key alone, while messages are created under the account's SID.
    if found.account_sid != account.account_sid:
        return ServiceTrouble(
            "the API key and the messaging service belong to another account than the account SID"
        )
    return None


def _service_trouble(refusal: Refusal4xx) -> ServiceTrouble:
    code = "" if refusal.code is None else f", code {refusal.code}"
    told = f"HTTP {refusal.http_status}{code}"
    match refusal.http_status:
        case 401 | 403:
            return ServiceTrouble(f"Twilio refuses the API key or its secret ({told})")
        case 404:
            return ServiceTrouble(f"the account has no such messaging service ({told})")
        case 429:
            return ServiceTrouble(f"Twilio is asked too much at the moment ({told})", is_away=True)
        case _:
            return ServiceTrouble(f"Twilio refuses to tell of the messaging service ({told})")


def _client(account: TwilioAccount, http: TwilioHTTP) -> Client:
    # An environment of its own: the package would read TWILIO_… variables of the process.
    return Client(
        account.key_sid, account.key_secret, account.account_sid, http_client=http, environment={"": ""}
    )

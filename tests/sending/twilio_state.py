"""What the local Twilio server knows and tells: messages with their statuses, and the REST calls of data/twilio.md."""

import asyncio
import re
import time
from base64 import b64decode
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.sending.twilio_callbacks import Callbacks

VERSION: Final = "2010-04-01"
_ATTEMPT: Final = re.compile(r"/(\d+-\d+-\d+)/[^/]+$")
_LONGEST_BODY: Final = 1600


@dataclass(slots=True)
class Message:
    """A message as Twilio keeps it. `attempt` is what its callback's address names, or empty."""

    sid: str
    to: str
    body: str
    service: str
    created: float
    callback: str
    attempt: str
    options: dict[str, str]
    status: str = "accepted"
    error_code: int | None = None
    sent: float | None = None
    updated: float = 0.0


@dataclass(slots=True)
class Fault:
    """One way to misbehave at a creation, for the next `count` of them (-1: for all), or those of one number.

    `then`: what the client sees: `answer` (the usual one), `hang`, `cut`, `error` (status and code), `unreadable`. `creates`:
    whether the message is created all the same. It happens after `seconds`.
    """

    then: str
    creates: bool = False
    count: int = -1
    number: str = ""
    seconds: float = 0.0
    status: int = 500
    code: int | None = None
    retry_after: int | None = None


@dataclass(slots=True)
class Behaviour:
    """What may be changed while it runs."""

    account: str = "AC" + "0" * 32
    key: str = "SK" + "0" * 32
    secret: str = "secret"
    services: list[str] = field(default_factory=lambda: ["MG" + "0" * 32])
    # Seconds from creation to `sent`, and to the last status; below 0: never.
    sent_after: float = 0.05
    ended_after: float = 0.1
    # By number: the last status and its code, such as {"6591234567": ["undelivered", 30003]}.
    endings: dict[str, list[Any]] = field(default_factory=dict)
    callbacks: bool = True
    # How often each callback is sent, and whether the statuses come in a wrong order.
    callback_copies: int = 1
    callbacks_reversed: bool = False
    answer_after: float = 0.0
    most_requests: int = 1_000_000
    # Where not, only counts are kept, so that millions of messages need little memory.
    keep: bool = True


Answer = tuple[int, Any, dict[str, str]]


def error(status: int, code: int, headers: dict[str, str] | None = None) -> Answer:
    """A refusal as Twilio words it."""
    document = {
        "code": code,
        "message": "as asked for",
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
    }
    return status, {**document, "status": status}, headers or {}


class Twilio:
    """What all connections share: the messages, the faults, the counts."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self.faults: list[Fault] = []
        self.messages: dict[str, Message] = {}
        self.by_number: defaultdict[str, list[Message]] = defaultdict(list)
        self.attempts: Counter[str] = Counter()
        self.numbers: Counter[str] = Counter()
        self.seconds: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        self.created = 0
        self.requests = 0
        # Connections that were made.
        self.connections = 0
        self.running = 0
        self.most_running = 0
        self.callbacks = Callbacks()
        # Changes of status that were planned before the last `forget` don't happen.
        self._beginning = 0

    def create(self, fields: dict[str, str]) -> Message:
        """Take a message: from here on it counts as sent to the recipient."""
        now = time.time()
        self.created += 1
        callback = fields.pop("StatusCallback", "")
        match = _ATTEMPT.search(urlsplit(callback).path)
        message = Message(
            sid=f"SM{self.created:032x}",
            to=fields.pop("To"),
            body=fields.pop("Body"),
            service=fields.pop("MessagingServiceSid"),
            created=now,
            callback=callback,
            attempt=match[1] if match else "",
            options=fields,
            updated=now,
        )
        self.numbers[message.to] += 1
        self.seconds[int(now)] += 1
        if message.attempt:
            self.attempts[message.attempt] += 1
        if self.behaviour.keep:
            self.messages[message.sid] = message
            self.by_number[message.to].append(message)
        self._plan(message)
        return message

    def _plan(self, message: Message) -> None:
        loop = asyncio.get_running_loop()
        behaviour = self.behaviour
        status, code = (behaviour.endings.get(message.to.lstrip("+")) or ["delivered", None])[:2]
        steps = []
        if behaviour.sent_after >= 0 and status != "failed":
            steps.append((behaviour.sent_after, "sent", None))
        if behaviour.ended_after >= 0:
            steps.append((behaviour.ended_after, status, code))
        if behaviour.callbacks_reversed:
            times = sorted((step[0] for step in steps), reverse=True)
            steps = [(at, *step[1:]) for at, step in zip(times, steps, strict=True)]
        for delay, step_status, step_code in steps:
            if behaviour.keep or (behaviour.callbacks and message.callback):
                loop.call_later(delay, self._move_planned, self._beginning, message, step_status, step_code)

    def _move_planned(self, beginning: int, message: Message, status: str, code: int | None) -> None:
        if beginning == self._beginning:
            self.move(message, status, code)

    def move(self, message: Message, status: str, code: int | None = None) -> None:
        """Give it a status, and call back."""
        now = time.time()
        if status != "failed":
            message.sent = message.sent or now
        ranks = ("accepted", "queued", "sending", "sent")
        if message.status in ranks and (
            status not in ranks or ranks.index(status) > ranks.index(message.status)
        ):
            message.status, message.error_code, message.updated = status, code, now
        if self.behaviour.callbacks and message.callback:
            for _ in range(self.behaviour.callback_copies):
                self.callbacks.send(message.callback, self.callback_fields(message, status, code))

    def callback_fields(self, message: Message, status: str, code: int | None) -> dict[str, str]:
        """The form fields of a callback."""
        fields = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "AccountSid": self.behaviour.account,
            "MessagingServiceSid": message.service,
            "From": "Agency",
            "To": message.to,
            "MessageStatus": status,
            "SmsStatus": status,
            "ApiVersion": VERSION,
        }
        if code is not None:
            fields |= {"ErrorCode": str(code), "ErrorMessage": "as asked for"}
        if status == "delivered":
            fields["RawDlrDoneDate"] = datetime.now(UTC).strftime("%y%m%d%H%M")
        return fields

    def document(self, message: Message) -> dict[str, Any]:
        """A message as JSON."""
        return {
            "sid": message.sid,
            "account_sid": self.behaviour.account,
            "messaging_service_sid": message.service,
            "body": message.body,
            "to": message.to,
            "from": None if message.sent is None else "Agency",
            "status": message.status,
            "error_code": message.error_code,
            "error_message": None if message.error_code is None else "as asked for",
            "num_segments": "0" if message.sent is None else "1",
            "num_media": "0",
            "direction": "outbound-api",
            "price": None,
            "price_unit": "USD",
            "api_version": VERSION,
            "date_created": _date(message.created),
            "date_sent": None if message.sent is None else _date(message.sent),
            "date_updated": _date(message.updated),
            "uri": f"/{VERSION}/Accounts/{self.behaviour.account}/Messages/{message.sid}.json",
            "subresource_uris": {},
        }

    def record(self) -> dict[str, Any]:
        """What was taken, and what was refused."""
        return {
            "created": self.created,
            "requests": self.requests,
            "connections": self.connections,
            "most_running": self.most_running,
            "attempts": self.attempts,
            "numbers": self.numbers,
            "seconds": self.seconds,
            "refused": self.refused,
            "callbacks": self.callbacks.answers,
            "callbacks_waiting": self.callbacks.waiting,
            "faults_left": sum(max(fault.count, 0) for fault in self.faults),
        }

    def forget(self, behaviour: Behaviour) -> None:
        """Begin anew: no messages, no counts, no faults."""
        self._beginning += 1
        self.callbacks.drop()
        self.behaviour = behaviour
        self.faults = []
        self.messages.clear()
        self.by_number.clear()
        for counter in (self.attempts, self.numbers, self.seconds, self.refused, self.callbacks.answers):
            counter.clear()
        self.created = self.requests = self.connections = self.most_running = 0

    def misbehave(self, fault: Fault) -> Answer:
        """The answer of a fault that is an error."""
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if 300 <= fault.status < 400:
            headers["Location"] = f"/{VERSION}/Accounts/{self.behaviour.account}/Messages.json"
        if fault.code is None:
            return fault.status, b"<html>Something went wrong</html>", headers
        self.refused[str(fault.code)] += 1
        return error(fault.status, fault.code, headers)

    def take_fault(self, number: str) -> Fault | None:
        """The fault for this creation, if there is one."""
        for fault in self.faults:
            if fault.number in ("", number.lstrip("+")) and fault.count != 0:
                fault.count -= fault.count > 0
                return fault
        return None


def _date(moment: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(moment), UTC)).replace("-0000", "+0000")


class API:
    """Twilio's REST calls."""

    def __init__(self, twilio: Twilio) -> None:
        self.twilio = twilio

    def refusal(self, fields: dict[str, str]) -> Answer | None:
        """What is wrong with the parameters of a creation."""
        validity = fields.get("ValidityPeriod", "1")
        checks: tuple[tuple[bool, int, int], ...] = (
            ("To" not in fields, 400, 21604),
            (not re.fullmatch(r"\+[1-9]\d{6,14}", fields.get("To", "")), 400, 21211),
            ("MessagingServiceSid" not in fields, 400, 21603),
            (fields.get("MessagingServiceSid") not in self.twilio.behaviour.services, 404, 21705),
            (not fields.get("Body"), 400, 21602),
            (len(fields.get("Body", "")) > _LONGEST_BODY, 400, 21617),
            (not validity.isdigit() or not 1 <= int(validity) <= 36_000, 400, 21624),
            (not re.match(r"https?://[^_/]+/", fields.get("StatusCallback", "http://h/")), 400, 21609),
        )
        return next((error(status, code) for fails, status, code in checks if fails), None)

    def is_allowed(self, authorization: str) -> bool:
        """Whether the key and its secret are right."""
        try:
            given = b64decode(authorization.removeprefix("Basic ")).decode()
        except ValueError:
            return False
        return given == f"{self.twilio.behaviour.key}:{self.twilio.behaviour.secret}"

    def is_creation(self, path: str) -> bool:
        """Whether a POST to this path creates a message."""
        return path == f"/{VERSION}/Accounts/{self.twilio.behaviour.account}/Messages.json"

    def get(self, path: str, query: str) -> Answer:
        """A message, a list of them, or a messaging service."""
        twilio = self.twilio
        if match := re.fullmatch(r"/v1/Services/(\w+)", path):
            if match[1] not in twilio.behaviour.services:
                return error(404, 20404)
            service = {"sid": match[1], "account_sid": twilio.behaviour.account, "friendly_name": "Agency"}
            return 200, service, {}
        account = f"/{VERSION}/Accounts/{twilio.behaviour.account}"
        if path == f"{account}/Messages.json":
            return 200, self.page(path, {name: values[0] for name, values in parse_qs(query).items()}), {}
        match = re.fullmatch(rf"{account}/Messages/(\w+)\.json", path)
        if match is None or match[1] not in twilio.messages:
            return error(404, 20404)
        return 200, twilio.document(twilio.messages[match[1]]), {}

    def page(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        """A page of the list, the last sent first; those not sent yet come before, and have no day."""
        twilio = self.twilio
        found = (
            list(twilio.by_number.get(query["To"], [])) if "To" in query else list(twilio.messages.values())
        )
        if day := query.get("DateSent"):
            found = [message for message in found if message.sent and _day(message.sent) == day[:10]]
        found.sort(key=lambda message: -(message.sent or float("inf")))
        size = min(int(query.get("PageSize", "50")), 1000)
        number = int(query.get("Page", "0"))
        rest = {name: value for name, value in query.items() if name not in ("Page", "PageToken")}
        following = f"{path}?{urlencode({**rest, 'Page': number + 1, 'PageToken': 'PASM'})}"
        return {
            "messages": [twilio.document(message) for message in found[number * size : (number + 1) * size]],
            "page": number,
            "page_size": size,
            "next_page_uri": following if len(found) > (number + 1) * size else None,
            "previous_page_uri": None,
            "first_page_uri": path,
            "uri": path,
            "start": number * size,
            "end": number * size + size,
        }


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()

"""What Twilio's codes and statuses mean to us, row by row as in data/twilio.md: pure, and known to `api` for callbacks as well.

Twilio says of its codes that they may change; so whatever isn't listed has a meaning too, and the raw code is kept beside ours.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus


class Refusal(Enum):
    """Why Twilio took a message at once for none of its own: no message exists, and nothing was sent."""

    THROTTLED = auto()
    CREDENTIALS = auto()
    # Somebody on the way who isn't Twilio refuses: a proxy, for one.
    IN_BETWEEN = auto()
    # The sender or its messaging service is wrong, or the account is on trial.
    SENDER = auto()
    # A parameter of ours is wrong, which is our bug.
    PARAMETER = auto()
    # More than ten hours of messages wait at Twilio already.
    QUEUE_FULL = auto()


_R: Final = Refusal
_E: Final = ErrorCode
_REFUSED: Final[Mapping[int, Refusal | ErrorCode]] = MappingProxyType(
    {
        **dict.fromkeys((429, 20429), _R.THROTTLED),
        **dict.fromkeys((20003, 20005, 10001, 20006, 20404), _R.CREDENTIALS),
        **dict.fromkeys((21603, 21606, 21608, 21657, 21659, 21701, 21703, 21704, 21705), _R.SENDER),
        **dict.fromkeys((21609, 21624, 90007, 20422, 21658), _R.PARAMETER),
        21611: _R.QUEUE_FULL,
        **dict.fromkeys((21211, 21217, 21401, 14101, 21614, 21635), _E.RECIPIENT_INVALID),
        21610: _E.RECIPIENT_INVALID,
        **dict.fromkeys((21408, 21612), _E.ROUTING_ERROR),
        **dict.fromkeys((21602, 21617, 21619, 14103, 21654), _E.CONTENT_INVALID),
    }
)
# Twilio gives each of its refusals a code of its own. Without one, these come from something in between, and say nothing of
# credentials; 407 is a proxy's by its name.
_REFUSED_BY_HTTP_STATUS: Final[Mapping[int, Refusal]] = MappingProxyType(
    {**dict.fromkeys((401, 403, 404, 407), _R.IN_BETWEEN), 429: _R.THROTTLED}
)
_FAILED: Final[Mapping[int, ErrorCode]] = MappingProxyType(
    {
        **dict.fromkeys((30001, 30002, 30500, 63010), _E.SERVER_UNKNOWN_ERROR),
        30003: _E.RECIPIENT_UNAVAILABLE,
        **dict.fromkeys((30004, 30005, 30006), _E.RECIPIENT_INVALID),
        **dict.fromkeys((30007, 30019), _E.CONTENT_INVALID),
        **dict.fromkeys((30008, 30410), _E.DELIVERY_UNKNOWN_ERROR),
        **dict.fromkeys((30017, 30022, 30023, 60005), _E.ROUTING_ERROR),
        **dict.fromkeys((30024, 30034, 30042, 30450, 30453), _E.ROUTING_ERROR),
        30036: _E.MESSAGE_EXPIRED,
    }
)
# After acceptance, these say that the sender itself is in trouble, and raise an alert; the first ones that the whole account is,
# which pauses the sender.
SUSPENDED_CODES: Final = frozenset({"30002"})
ALARMING_CODES: Final = SUSPENDED_CODES | {"30024", "30034", "30042"}
# Among the refusals, these may be a whole country's.
ROUTING_CODES: Final = frozenset({"21408", "21612"})

_STATUSES: Final[Mapping[str, MessageStatus]] = MappingProxyType(
    {
        **dict.fromkeys(("accepted", "scheduled", "queued", "sending"), MessageStatus.SENT),
        **dict.fromkeys(("sent", "partially_delivered"), MessageStatus.SENT_TO_TELCO),
        **dict.fromkeys(("delivered", "read"), MessageStatus.SUCCESS),
        **dict.fromkeys(("undelivered", "failed", "canceled"), MessageStatus.FAILURE),
    }
)
_SID: Final = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
_CODE: Final = re.compile(r"\d{1,9}", re.ASCII)


def refusal_of(http_status: int, code: int | None) -> Refusal | ErrorCode:
    """What an answer of HTTP status 400 to 499 means; `code` is Twilio's, None where the answer has none."""
    if http_status == 429:
        return Refusal.THROTTLED
    if code is None:
        return _REFUSED_BY_HTTP_STATUS.get(http_status, ErrorCode.SERVER_UNKNOWN_ERROR)
    return _REFUSED.get(code, ErrorCode.SERVER_UNKNOWN_ERROR)


def failure_of(status: str, code: int | None) -> ErrorCode:
    """Why a message that Twilio had accepted ended as `undelivered`, `failed` or `canceled`.

    Behind a messaging service, codes of the refusals come here as well, since the sender is only chosen later.
    """
    if code is not None:
        if (error := _FAILED.get(code)) is not None:
            return error
        if isinstance(refused := _REFUSED.get(code), ErrorCode):
            return refused
        if 30000 <= code <= 39999:
            return ErrorCode.DELIVERY_UNKNOWN_ERROR
    return ErrorCode.DELIVERY_UNKNOWN_ERROR if status == "undelivered" else ErrorCode.SERVER_UNKNOWN_ERROR


def receipt_of(
    key: AttemptKey, *, status: str, code: str, sid: str, at: datetime | None = None
) -> Receipt | None:
    """The news in a message of Twilio's, or None where its status says nothing of a message sent. `code` may be empty."""
    ours = _STATUSES.get(status)
    if ours is None:
        return None
    if ours is not MessageStatus.FAILURE:
        return Receipt(key, ours, provider_id=sid, at=at)
    error = failure_of(status, int(code) if code else None)
    return Receipt(
        key,
        ours,
        error,
        raw_code=code or status,
        provider_id=sid,
        may_have_arrived=error is ErrorCode.DELIVERY_UNKNOWN_ERROR,
        at=at,
    )


def parse_callback(key: AttemptKey, fields: Mapping[str, str]) -> Receipt | None:
    """The news in a callback's form fields; None where they aren't Twilio's news of a message, or tell nothing.

    The fields are anybody's: only what has the right form is believed. Their RawDlrDoneDate has no zone, and so is left out.
    """
    status = fields.get("MessageStatus") or fields.get("SmsStatus") or ""
    sid = fields.get("MessageSid") or fields.get("SmsSid") or ""
    code = fields.get("ErrorCode", "")
    if not _SID.fullmatch(sid) or (code and not _CODE.fullmatch(code)):
        return None
    return receipt_of(key, status=status, code=code if code.strip("0") else "", sid=sid)

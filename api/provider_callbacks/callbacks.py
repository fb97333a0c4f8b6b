"""Callbacks of providers: each is one receipt, answered 204 only after it is committed.

The path itself authenticates: it names an attempt, and has a token that only this gateway can make. What is forged gets the same
404 as any other path that doesn't exist. Neither path nor body is ever logged, since they hold the token and the recipient.
"""

from time import perf_counter
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api import metrics
from api.provider_callbacks.callback_keys import CallbackKeys
from api.provider_callbacks.receipt_groups import Commitment, ReceiptGroups
from messages.callback_urls import parse_callback_path
from messages.news import AttemptKey
from sending.providers.twilio_errors import parse_callback
from web.answers import error_answer

# Twilio's have less than 1 KiB.
MOST_BODY_BYTES: Final = 16 * 1024
_MOST_FIELDS: Final = 64
_STATUS_FIELDS: Final = frozenset({"MessageStatus", "SmsStatus"})


class BodyRefused(Exception):  # noqa: N818 - a fact about a request
    """The body can't be taken; `status` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Callbacks:
    """The endpoint for callbacks."""

    def __init__(self, keys: CallbackKeys, groups: ReceiptGroups) -> None:
        self._keys = keys
        self._groups = groups

    async def take(self, request: Request) -> Response:
        """Record what the callback says. 503, so that the provider comes again, where that can't be done now."""
        began = perf_counter()
        result, answer = await self._take(request)
        metrics.CALLBACKS.labels(result).inc()
        if result == "recorded":
            metrics.CALLBACK_SECONDS.observe(perf_counter() - began)
        return answer

    async def _take(self, request: Request) -> tuple[str, Response]:
        if self._keys.keys is None:
            return "unavailable", error_answer(503)
        key = await self._attempt_of(request.scope["raw_path"].decode("ascii"))
        if key is None:
            return "forged", error_answer(404)
        try:
            fields = await _read_form(request)
        except BodyRefused as error:
            return "malformed", error_answer(error.status)
        except (ValueError, ClientDisconnect):
            # One who has hung up doesn't read this.
            return "malformed", error_answer(400)
        if not _STATUS_FIELDS & fields.keys():
            return "malformed", error_answer(400)
        receipt = parse_callback(key, fields)
        if receipt is None:
            return "ignored", Response(status_code=204)
        match await self._groups.record(receipt):
            case Commitment.RECORDED:
                return "recorded", Response(status_code=204)
            case Commitment.UNMATCHED:
                # The token was right, so that no repetition would find the attempt either.
                return "unmatched", Response(status_code=204)
            case Commitment.UNAVAILABLE:
                return "unavailable", error_answer(503)
            case Commitment.BUSY:
                return "busy", error_answer(503)
            case Commitment.FAILED:
                return "failed", error_answer(500)

    async def _attempt_of(self, path: str) -> AttemptKey | None:
        """The attempt that a path names with a token of ours, if by a key that was made a moment ago; None: forged."""
        key = parse_callback_path(path, self._keys.keys or ())
        if key is None and await self._keys.renew():
            key = parse_callback_path(path, self._keys.keys or ())
        return key


async def _read_form(request: Request) -> dict[str, str]:
    """The form in the body. Raises BodyRefused, ClientDisconnect, or ValueError where it is no form."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if int(request.headers.get("content-length", "0")) > MOST_BODY_BYTES:
        raise BodyRefused(413)
    if media_type != "application/x-www-form-urlencoded":
        raise BodyRefused(415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise BodyRefused(413)
    fields = parse_qsl(
        body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
    )
    return dict(fields)

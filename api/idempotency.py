"""`Idempotency-Key` (8-api.md §2.1): the same call again gets the first answer again, byte for byte, and does nothing else.

Which calls are the same one is told by fingerprints of method, path and body. Where the body holds an NRIC, nobody can
compute the fingerprint who hasn't the caller's key, since an NRIC could be guessed from any other.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.errors import DomainRefused, RequestRefused
from config.fault_points import reach
from database.connections import Pool, database_troubles
from messages.idempotency_keys import Claim, Replay, Reserved, Reused, UnderWay, keep_answer, look_up

_FORM: Final = re.compile(r"[ -~]{1,255}")


@dataclass(frozen=True, slots=True)
class KeyedCall:
    """A call with an Idempotency-Key. Calls of a campaign with equal keys and fingerprints are the same one."""

    campaign_id: str
    key: str = field(repr=False)
    fingerprint: bytes = field(repr=False)


def idempotency_key(request: Request) -> str | None:
    """The call's Idempotency-Key, if it has one. Raises RequestRefused (400) where it is none that can be kept."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1 or not _FORM.fullmatch(given[0]):
        raise RequestRefused(400, "Idempotency-Key must be one header of 1 to 255 printable ASCII characters")
    return given[0]


def fingerprint_of(request: Request, body: bytes, *, holds_nric: bool = False) -> bytes:
    """What says which calls are the same one: SHA-256 of method, path and body."""
    # Neither a method nor a path has a line end.
    text = b"%s\n%s\n%s" % (request.method.encode(), request.scope["raw_path"], body)
    if not holds_nric:
        return hashlib.sha256(text).digest()
    key = request.headers["authorization"].rpartition(" ")[2]
    return hmac.digest(key.encode(), text, "sha256")


class IdempotencyKeys:
    """The keys of calls, those under way in this process among them. A process has one."""

    def __init__(self, pool: Pool) -> None:
        self._pool: Final = pool
        self._under_way: Final[dict[tuple[str, str], bytes]] = {}

    @contextmanager
    def hold(self, call: KeyedCall) -> Iterator[None]:
        """While the call is under way in this process, another one with its key is refused: DomainRefused (409, 422)."""
        place = (call.campaign_id, call.key)
        first = self._under_way.get(place)
        if first is not None:
            raise in_use() if first == call.fingerprint else reused()
        self._under_way[place] = call.fingerprint
        try:
            yield
        finally:
            del self._under_way[place]

    async def keep_refusal(self, call: KeyedCall, refusal: DomainRefused) -> Response:
        """Keep a refusal as the call's answer, or find the answer that was kept before; see `replay`."""
        answer = refusal.body()
        with database_troubles():
            async with self._pool.acquire() as connection:
                kept = await keep_answer(
                    connection,
                    campaign_id=call.campaign_id,
                    key=call.key,
                    fingerprint=call.fingerprint,
                    status=refusal.status,
                    answer=answer,
                )
        reach("api.refusal_kept")
        if kept:
            raise refusal
        return await self.replay(call)

    async def replay(self, call: KeyedCall) -> Response:
        """The answer that was kept under a key which is taken. Raises DomainRefused (409, 422), ConfigError."""
        with database_troubles():
            async with self._pool.acquire() as connection:
                found = await look_up(
                    connection, campaign_id=call.campaign_id, key=call.key, fingerprint=call.fingerprint
                )
        # Where it was freed just now, the caller's next try takes it.
        return replayed(found or UnderWay(None))


def replayed(claim: Claim) -> Response:
    """The answer to a call whose key was not free. Raises DomainRefused (409, 422)."""
    match claim:
        case Replay(status, answer):
            headers = {"Idempotency-Replayed": "true"}
            return Response(answer, status, headers, media_type="application/json")
        case Reused():
            raise reused()
        case UnderWay() | Reserved():
            raise in_use()


def reused() -> DomainRefused:
    """Another call had the key."""
    return DomainRefused(
        "idempotency_key_reused", "Idempotency-Key was used for another request: take a new one", status=422
    )


def in_use() -> DomainRefused:
    """The same call is still under way."""
    return DomainRefused(
        "idempotency_key_in_use",
        "the first request with this Idempotency-Key is still under way: ask again for its answer",
        status=409,
    )

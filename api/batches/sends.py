"""The work of a batch send: take the body, hand its file in, wait for the verdict, and answer it; or withdraw the upload.

Whatever is answered with 5xx, nothing of it was accepted. So nothing is answered before that is certain: where the database
can't be asked, the connection ends without an answer, which says as little.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.batches.answers import final_answer
from api.batches.drain import Drain
from api.batches.file_names import check_file_name
from api.batches.repeated import RepeatedBatches
from api.calls import Call
from api.errors import RequestRefused
from api.idempotency import KeyedCall, idempotency_key
from audit.events import Actor
from config.identifiers import new_identifier
from config.logs import get_logger
from database.connections import Connection
from keys.api_keys import is_in_force
from processing.awaited.uploads import AwaitedOutcome, Withdrawal
from processing.awaited.waiting import Waiting
from processing.intake import AwaitedSpool, Intake, IntakeError, IntakeUnavailable, Sender
from processing.uploads import Source
from web.deadlines import allow_long_body
from web.forms.multipart import BodyLimits, BodyRefused, ReceivedFile, parse_boundary, received_file

logger = get_logger("api")

# What a body may have beside its file (8-api.md §1).
_BESIDE_FILE: Final = 64 * 1024
# So many batch sends may be under way, of a campaign and in all, in one process: each may hold a file of 30 MB on its disk.
MOST_OF_CAMPAIGN: Final = 64
MOST_UNDER_WAY: Final = 256
# Seconds for a withdrawal to be certain. A worker that is writing an outcome just then ends that first.
_WITHDRAW_WITHIN: Final = 20.0


class BatchSends:
    """The batch sends of one process."""

    def __init__(
        self,
        intake: Intake,
        waiting: Waiting,
        repeated: RepeatedBatches,
        drain: Drain,
        *,
        file_refused_from: int,
        decide_within: float,
    ) -> None:
        self._intake: Final = intake
        self._waiting: Final = waiting
        self._repeated: Final = repeated
        self._drain: Final = drain
        self._limits: Final = BodyLimits(file_refused_from + _BESIDE_FILE, file_refused_from)
        self._decide_within: Final = decide_within
        self._under_way: Final[Counter[str]] = Counter()

    async def send(self, call: Call) -> Response:
        """See the endpoint."""
        request = call.request
        if int(request.headers.get("content-length", "0")) > self._limits.most_body:
            raise RequestRefused(413)
        with _body_refusals():
            boundary = parse_boundary(request.headers.get("content-type", ""))
            key = idempotency_key(request)
            with self._place_of(call.campaign_id):
                allow_long_body(request.scope)
                async with self._file_of(request, boundary) as file:
                    call.begin_anew()
                    if key is None:
                        return await self._decide(call, file, None)
                    keyed = KeyedCall(call.campaign_id, key, _fingerprint_of(request, file))
                    async with self._repeated.hold(keyed) as answer:
                        return answer or await self._decide(call, file, keyed)

    @contextmanager
    def _place_of(self, campaign_id: str) -> Iterator[None]:
        if self._under_way[campaign_id] >= MOST_OF_CAMPAIGN:
            raise RequestRefused(429)
        if self._under_way.total() >= MOST_UNDER_WAY:
            raise RequestRefused(503)
        self._under_way[campaign_id] += 1
        try:
            yield
        finally:
            self._under_way[campaign_id] -= 1
            if not self._under_way[campaign_id]:
                del self._under_way[campaign_id]

    @asynccontextmanager
    async def _file_of(self, request: Request, boundary: bytes) -> AsyncIterator[ReceivedFile]:
        chunks = self._drain.until_stop(request.stream())
        async with received_file(chunks, boundary, self._limits, check_file_name) as file:
            yield file

    async def _decide(self, call: Call, file: ReceivedFile, keyed: KeyedCall | None) -> Response:
        """Hand the file in, and answer its outcome."""
        upload_id = new_identifier("upload")
        log = logger.bind(upload_id=upload_id, campaign_id=call.campaign_id, request_id=call.request_id)
        async with self._waiting.waiter() as waiter, _hang_up_of(call.request) as hung_up:
            spool = AwaitedSpool(
                upload_id=upload_id,
                sender=Sender(
                    call.campaign_id,
                    Actor(f"api key {call.admitted.key_prefix}", call.request_id, call.admitted.address),
                ),
                source=Source.API,
                file_name=file.file_name,
                file=file.file,
                byte_count=file.byte_count,
                sha256=file.sha256,
                waiter=waiter,
                find_unauthorized=self._authority_of(call, upload_id, keyed),
                creator_id=call.admitted.maker_id,
            )
            try:
                async with self._drain.timeout(self._decide_within):
                    await self._store(spool)
                    outcome = await self._outcome_or_hang_up(upload_id, hung_up)
                cause = Withdrawal.HUNG_UP
            except TimeoutError:
                outcome = None
                cause = Withdrawal.STOPPING if self._drain.is_over else Withdrawal.LATE
            is_gone = hung_up.done()
            if outcome is None:
                outcome = await self._withdraw(waiter, upload_id, cause)
        answer = None if outcome is None else final_answer(outcome)
        log.info("batch_send_ended", outcome=outcome and outcome.status.value, bytes=file.byte_count)
        if answer is None:
            if is_gone:
                raise ClientDisconnect
            raise RequestRefused(503)
        status, body = answer
        if keyed is not None:
            await self._repeated.keep(keyed, upload_id, status, body)
        return Response(body, status, media_type="application/json")

    def _authority_of(
        self, call: Call, upload_id: str, keyed: KeyedCall | None
    ) -> Callable[[Connection], Awaitable[Exception | None]]:
        """What is asked in the transaction that takes the upload: a body may take a quarter of an hour to come in."""

        async def find_unauthorized(connection: Connection) -> Exception | None:
            if not await is_in_force(connection, call.campaign_id, call.admitted.key_prefix):
                return RequestRefused(401, headers={"WWW-Authenticate": "Bearer"})
            return None if keyed is None else await self._repeated.reserve(connection, keyed, upload_id)

        return find_unauthorized

    async def _store(self, spool: AwaitedSpool) -> None:
        try:
            await self._intake.store_awaited(spool)
        except IntakeUnavailable:
            # Were it taken all the same, by a COMMIT that nobody heard of, it would find nobody waiting.
            raise RequestRefused(503) from None
        except IntakeError:
            # The campaign was suspended or deleted while the body came in.
            raise RequestRefused(403) from None

    async def _outcome_or_hang_up(
        self, upload_id: str, hung_up: "asyncio.Task[None]"
    ) -> AwaitedOutcome | None:
        """The outcome, or None where the client has hung up before."""
        outcome = asyncio.create_task(self._waiting.outcome(upload_id))
        try:
            await asyncio.wait({outcome, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            return outcome.result() if outcome.done() else None
        finally:
            outcome.cancel()
            await asyncio.wait({outcome})

    async def _withdraw(self, waiter: int, upload_id: str, cause: Withdrawal) -> AwaitedOutcome | None:
        try:
            async with asyncio.timeout(_WITHDRAW_WITHIN):
                return await self._waiting.withdraw(waiter, upload_id, cause)
        except TimeoutError:
            logger.error("withdrawal_uncertain", upload_id=upload_id)  # noqa: TRY400 - the database is away
            # The connection is cut: an answer would say more than is known.
            raise asyncio.CancelledError from None


def _fingerprint_of(request: Request, file: ReceivedFile) -> bytes:
    """What says which calls are the same one: method, path, and the file with its name.

    Not the bytes around them: programs draw a new boundary for each request, so that no call could ever be repeated.
    """
    parts = (
        request.method.encode(),
        request.scope["raw_path"],
        file.sha256.encode(),
        file.file_name.encode(),
    )
    return hashlib.sha256(b"\n".join(parts)).digest()


@asynccontextmanager
async def _hang_up_of(request: Request) -> AsyncIterator["asyncio.Task[None]"]:
    """A task that ends when the client hangs up, whose whole body was read."""

    async def hung_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(hung_up())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


@contextmanager
def _body_refusals() -> Iterator[None]:
    """What the body's reader refuses, as an answer."""
    try:
        yield
    except BodyRefused as refusal:
        raise RequestRefused(refusal.status, refusal.message) from None

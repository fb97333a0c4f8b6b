"""The work of five endpoints: retrieve a message, retry one, retry a batch, list a batch's messages, list a campaign's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from pydantic_core import to_json
from starlette.responses import Response

from api.bodies import drop_body
from api.calls import Call, Work
from api.errors import DomainRefused, RequestRefused
from api.lists.cursors import Cursor
from api.lists.queries import ListQuery, parse_query
from audit.events import Actor
from config.settings import Settings
from database.connections import Connection, Pool, database_troubles
from messages.archived.ranges import find_archive_of_message
from messages.changes import retry_batch, retry_message
from messages.documents import MessageDocuments
from messages.errors import BatchNotFound, ChangeRefused, MessageNotFound
from messages.identifiers import is_batch_id, parse_message_id
from messages.pages import (
    SEARCH_SECONDS,
    Page,
    Place,
    Scope,
    fetch_page,
    fetch_place,
    is_number,
    place_in_batch,
)
from messages.retrieval import Batch, Message, fetch_batch, fetch_message
from processing.rule_settings import footers_of
from rules.messages import Frame

# So many searches look through the database at once for one process, and so many batches are retried. Others wait for their turn,
# so that neither the database nor the pool's connections are theirs alone.
_MOST_SEARCHES: Final = 2
_MOST_RETRIES: Final = 2
# The more wait, the sooner each search is over, but never sooner than this, in seconds.
_LEAST_SEARCH_SECONDS: Final = 0.03
_ARCHIVED: Final = "These messages are archived: ask the operators of this service for them"
_OLDER_ARCHIVED: Final = "Older messages are archived: ask the operators of this service for them"
# So many items are made into JSON at once, before other calls have their turn.
_ITEMS_AT_ONCE: Final = 100


class ListsWork:
    """The five endpoints of one process."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool: Final = pool
        self._max_retries: Final = settings.sending.max_retries
        self._environment: Final = settings.environment
        self._footers: Final = footers_of(settings.messages)
        self._searches: Final = asyncio.Semaphore(_MOST_SEARCHES)
        self._retries: Final = asyncio.Semaphore(_MOST_RETRIES)
        self._searching = 0

    @property
    def by_endpoint(self) -> Mapping[str, Work]:
        """The work of each of the five, by its name in `ENDPOINTS`."""
        return {
            "retrieve_message": self.retrieve_message,
            "retry_message": self.retry_message,
            "retry_batch": self.retry_batch,
            "list_batch_messages": self.list_batch_messages,
            "list_messages": self.list_messages,
        }

    async def retrieve_message(self, call: Call) -> Response:
        """One message, its status and attempts (8-api.md §2.3)."""
        await drop_body(call.request)
        async with self._connection() as connection:
            identifier = call.request.path_params["message_id"]
            message = await fetch_message(connection, identifier)
            if message is None and await find_archive_of_message(connection, identifier, call.campaign_id):
                raise RequestRefused(410, _ARCHIVED)
        if message is None or message.batch.campaign_id != call.campaign_id:
            raise RequestRefused(404)
        return _json_answer(to_json(self._documents_for(call).retrieved(message)), 200)

    async def retry_message(self, call: Call) -> Response:
        """Begin a failed message anew (8-api.md §2.4)."""
        await drop_body(call.request)
        try:
            async with self._connection() as connection:
                message = await retry_message(
                    connection,
                    call.request.path_params["message_id"],
                    max_retries=self._max_retries,
                    actor=_actor_of(call),
                    campaign_id=call.campaign_id,
                )
        except MessageNotFound:
            raise RequestRefused(404) from None
        except ChangeRefused as error:
            raise DomainRefused(error.code, f"This message {error.reason}") from None
        return _json_answer(to_json(self._documents_for(call).retried(message)), 201)

    async def retry_batch(self, call: Call) -> Response:
        """Begin each failed message of a batch anew (8-api.md §2.6)."""
        await drop_body(call.request)
        try:
            async with self._retries, self._connection() as connection:
                batch = await _fetch_batch_of(connection, call)
                await retry_batch(
                    connection,
                    batch.id,
                    max_retries=self._max_retries,
                    actor=_actor_of(call),
                    campaign_id=call.campaign_id,
                )
        except BatchNotFound:
            raise RequestRefused(404) from None
        except ChangeRefused as error:
            raise DomainRefused(error.code, f"This batch {error.reason}") from None
        return Response(status_code=201)

    async def list_batch_messages(self, call: Call) -> Response:
        """A page of a batch's messages (8-api.md §2.7)."""
        await drop_body(call.request)
        query = parse_query(call.request.scope["query_string"])
        row_number = None
        if query.cursor is not None:
            row_number = _parse_row_number(query.cursor.identifier)
            if row_number is None:
                raise query.refuse_cursor()
        async with self._connection() as connection:
            batch = await _fetch_batch_of(connection, call)
        place = None
        if query.cursor is not None and row_number is not None:
            place = place_in_batch(batch, query.cursor.created_at, row_number)
        page = await self._fetch_page(Scope(call.campaign_id, batch, query.search), query, place)
        if page.archives:
            raise RequestRefused(410, _ARCHIVED)
        document = self._documents_for(call).in_batch
        return await _page_answer(page, document, lambda at: str(at.row_number))

    async def list_messages(self, call: Call) -> Response:
        """A page of a campaign's messages (8-api.md §2.7)."""
        await drop_body(call.request)
        query = parse_query(call.request.scope["query_string"])
        place = None
        if query.cursor is not None:
            key = parse_message_id(query.cursor.identifier)
            if key is None:
                raise query.refuse_cursor()
            async with self._connection() as connection:
                place = await fetch_place(connection, query.cursor.created_at, key)
        page = await self._fetch_page(Scope(call.campaign_id, search=query.search), query, place)
        return await _page_answer(page, self._documents_for(call).in_campaign, lambda at: at.message_id)

    async def _fetch_page(self, scope: Scope, query: ListQuery, place: Place | None) -> Page:
        if scope.search is None:
            async with self._connection() as connection:
                return await fetch_page(
                    connection, scope, limit=query.limit, place=place, towards=query.towards
                )
        if not is_number(scope.search):
            return Page()
        self._searching += 1
        try:
            async with self._searches, self._connection() as connection:
                seconds = max(
                    SEARCH_SECONDS * _MOST_SEARCHES / max(self._searching, _MOST_SEARCHES),
                    _LEAST_SEARCH_SECONDS,
                )
                return await fetch_page(
                    connection, scope, limit=query.limit, place=place, towards=query.towards, seconds=seconds
                )
        finally:
            self._searching -= 1

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        with database_troubles():
            async with self._pool.acquire() as connection:
                yield connection

    def _documents_for(self, call: Call) -> MessageDocuments:
        campaign = call.admitted.campaign
        frame = Frame(campaign.template.header, self._environment, self._footers)
        return MessageDocuments(
            campaign.id, campaign.template, campaign.made_at, campaign.creator, frame.document()
        )


async def _fetch_batch_of(connection: Connection, call: Call) -> Batch:
    """The batch of the path. A single send's is in no list of batches, and none to callers. Raises RequestRefused (404)."""
    batch_id: str = call.request.path_params["batch_id"]
    batch = await fetch_batch(connection, batch_id) if is_batch_id(batch_id) else None
    if batch is None or batch.campaign_id != call.campaign_id or batch.is_single:
        raise RequestRefused(404)
    return batch


async def _page_answer(
    page: Page,
    document: Callable[[Message], dict[str, object]],
    identifier_of: Callable[[Place], str],
) -> Response:
    """A page's answer, item by item in slices, so that no other call waits for a thousand of them."""

    def cursor(place: Place | None) -> str | None:
        return None if place is None else Cursor(place.created_at, identifier_of(place)).text()

    slices: list[bytes] = []
    for start in range(0, len(page.messages), _ITEMS_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        slices.append(_items(page.messages[start : start + _ITEMS_AT_ONCE], document))
    about = {
        "hasNextPage": page.has_older,
        "hasPreviousPage": page.has_newer,
        "startCursor": cursor(page.first),
        "endCursor": cursor(page.last),
    }
    end = b',"archived":' + to_json(_OLDER_ARCHIVED) if page.archives else b""
    return _json_answer(
        b'{"data":[' + b",".join(slices) + b'],"pageData":' + to_json(about) + end + b"}", 200
    )


def _items(messages: Sequence[Message], document: Callable[[Message], dict[str, object]]) -> bytes:
    return to_json([document(message) for message in messages])[1:-1]


def _json_answer(body: bytes, status: int) -> Response:
    return Response(body, status, media_type="application/json")


def _actor_of(call: Call) -> Actor:
    return Actor(name=f"api key {call.admitted.key_prefix}", source_address=call.admitted.address)


def _parse_row_number(text: str) -> int | None:
    """The row of a cursor of a batch's list, or None where it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and text[0] != "0"):
        return None
    return number if (number := int(text)) < 2**31 else None

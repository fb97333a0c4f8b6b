"""The HTTP client under the `twilio` package. The package's own one ignores time-outs, repeats POSTs and logs recipients.

This one sends each request once, follows no redirect, logs nothing, and tells by its exceptions whether a byte of a request may
have left. Answers of other statuses than 2xx are exceptions too, so that none reaches the package, whose own hold addresses.
"""

import asyncio
import contextlib
import json
import logging
import math
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import aiohttp
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from yarl import URL

from sending.providers.authorities import trusted_authorities

# Twilio ends its own requests after about 26 s (data/twilio.md): a shorter time-out of ours would only make unknowns.
TIMEOUT_SECONDS: Final = 35.0
_CONNECT_SECONDS: Final = 10.0
# Below what servers and middleboxes usually allow, since a request written to a link that is just being closed is an unknown one.
_KEEP_ALIVE_SECONDS: Final = 10.0
UNREADABLE: Final = "answer unreadable"
TOO_LATE: Final = "connected too late"
_QUIET: Final = logging.getLogger("sending.providers.twilio")


class NotSentError(Exception):
    """No byte of the request has left: no connection came about. `cause` is a fixed word."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class TooLateError(Exception):
    """No byte of the request has left, as its connection was there only after the moment that `leaving_by` named."""


class OutcomeUnknownError(Exception):
    """The request may have been carried out. `cause` is a fixed word or an HTTP status."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Refusal4xx:
    """A refusal's HTTP status, Twilio's code where there is one, and its Retry-After in seconds."""

    http_status: int
    code: int | None
    retry_after: float | None


class RefusedError(Exception):
    """The request was refused by HTTP status 400 to 499."""

    def __init__(self, refusal: Refusal4xx) -> None:
        super().__init__(refusal.http_status)
        self.refusal = refusal


_begun: ContextVar[list[bool]] = ContextVar("_begun")


_leave_by: ContextVar[float] = ContextVar("_leave_by", default=math.inf)


@contextlib.contextmanager
def leaving_by(moment: float) -> Iterator[None]:
    """The requests within the block leave until this moment of the loop's clock, or not at all."""
    token = _leave_by.set(moment)
    try:
        yield
    finally:
        _leave_by.reset(token)


class _Connector(aiohttp.TCPConnector):
    """Tells, for the request of the running task, that it has got a connection: from then on bytes may leave."""

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        connection = await super().connect(*args, **kwargs)
        if asyncio.get_running_loop().time() > _leave_by.get():
            connection.release()
            raise TooLateError
        _begun.get()[0] = True
        return connection


class TwilioHTTP(AsyncHttpClient):  # type: ignore[misc]
    """One account's connections to Twilio, kept alive between requests. `base_url` stands for each of Twilio's addresses."""

    def __init__(self, base_url: str | None, timeout: float | None = None) -> None:
        super().__init__(_QUIET, is_async=True)
        self._base_url = base_url
        timeout = timeout or TIMEOUT_SECONDS
        self._limits = aiohttp.ClientTimeout(total=timeout, sock_connect=min(_CONNECT_SECONDS, timeout))
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002
        allow_redirects: bool = False,  # noqa: ARG002
    ) -> Response:
        """The answer, of status 2xx. Raises NotSentError, TooLateError, OutcomeUnknownError, RefusedError."""
        begun = [False]
        _begun.set(begun)
        body = _form(data) if data else None
        sent_headers = dict(headers or {})
        if auth is not None:
            sent_headers["Authorization"] = _basic(*auth)
        try:
            async with self._opened().request(
                method,
                self._url(uri, params),
                data=body,
                headers=sent_headers,
                allow_redirects=False,
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = _cause(error)
            raise (OutcomeUnknownError(cause) if begun[0] else NotSentError(cause)) from error
        return _checked(response, content)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        # Made at the first request, since aiohttp wants the loop that will run it.
        if self._session is None:
            # How many connections there are is for the caller's limit of concurrency to say.
            connector = _Connector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS, ssl=trusted_authorities())
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._limits,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
        return self._session

    def _url(self, uri: str, params: Mapping[str, object] | None) -> URL:
        url = _parsed(uri, self._base_url)
        return URL(f"{url}?{urlencode(params)}", encoded=True) if params else url


@lru_cache(maxsize=64)
def _parsed(uri: str, base_url: str | None) -> URL:
    if base_url is not None:
        parts = urlsplit(uri)
        query = f"?{parts.query}" if parts.query else ""
        uri = f"{base_url.rstrip('/')}{parts.path}{query}"
    return URL(uri, encoded=True)


def _form(fields: Mapping[str, Any]) -> bytes:
    """The fields as `application/x-www-form-urlencoded`: yarl's quoting is in C, and takes a fifth of the time of urllib's."""
    return URL.build(query=fields).raw_query_string.encode("ascii")


@lru_cache(maxsize=16)
def _basic(name: str, password: str) -> str:
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


def _cause(error: BaseException) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls"
        case TimeoutError():
            return "time-out"
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return "connection refused"
        case aiohttp.ClientConnectorError() | aiohttp.ClientOSError() | aiohttp.ServerDisconnectedError():
            return "connection lost"
        case _:
            return "connection"


def _checked(response: aiohttp.ClientResponse, content: bytes) -> Response:
    status = response.status
    if 400 <= status < 500:
        raise RefusedError(Refusal4xx(status, _code(content), _retry_after(response)))
    if not 200 <= status < 300:
        raise OutcomeUnknownError(f"HTTP {status}")
    try:
        return Response(status, content.decode(), response.headers)
    except UnicodeDecodeError as error:
        raise OutcomeUnknownError(UNREADABLE) from error


def _code(content: bytes) -> int | None:
    try:
        code = json.loads(content)["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None

"""A request's head, read strictly (RFC 9112). Pure.

Requests pass a TLS front first, as a rule. Where the two read a head differently, a stranger can hide a second request inside the
first ("request smuggling"). httptools reads heads, but forgives some of the shapes that do this; so the bytes must first have the
one plain form that every reader understands alike. What hasn't is refused, and the connection ends.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

import httptools

# Bytes of a head, and of its path with the query (8-api.md §1).
MOST_HEAD_BYTES: Final = 32 * 1024
MOST_PATH_BYTES: Final = 2 * 1024
# Room for the method and the version beside the path.
_MOST_LINE_BYTES: Final = MOST_PATH_BYTES + 512
_MOST_FIELDS: Final = 128

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# Lines end with CR and LF, none is folded, no blank stands before a colon, and no control character in a value.
_HEAD: Final = re.compile(
    rb"([A-Z-]{1,20}) ([\x21-\x7e]+) HTTP/1\.([01])\r\n(?:%b:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n" % _TOKEN
)
_BEGINNING: Final = re.compile(rb"[A-Z-]{1,20}(?: |\Z)")
_BARE_LINE_END: Final = re.compile(rb"(?<!\r)\n")
_FRAMING: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"})
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_CLOSE: Final = re.compile(rb"(?:\A|,)[ \t]*close[ \t]*(?:,|\Z)", re.IGNORECASE)
_CONTINUE: Final = re.compile(rb"100-continue", re.IGNORECASE)
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]+)([^#]*)", re.IGNORECASE)


class RequestMalformed(Exception):  # noqa: N818 - a fact about bytes
    """No request, or none that is taken; `status` is its answer: 400, 414 or 431."""

    def __init__(self, status: int = 400) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class Head:
    """A request's head. Header names are in lower case. `length` of the body is None where it comes in chunks."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    is_1_0: bool
    keeps_alive: bool
    headers: list[tuple[bytes, bytes]]
    length: int | None
    expects_continue: bool


class _Fields:
    """What httptools reads of a head."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        # The values of those that say how the request is framed.
        self.framing: dict[bytes, list[bytes]] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        name, value = name.lower(), value.strip(b" \t")
        self.headers.append((name, value))
        if name in _FRAMING:
            self.framing.setdefault(name, []).append(value)


def check_beginning(received: bytes, scanned: int) -> None:
    """Check what has come of a head whose end hasn't come yet; `scanned` bytes were checked before. Raises RequestMalformed."""
    if not _BEGINNING.match(received) or _BARE_LINE_END.search(received, scanned):
        raise RequestMalformed
    if len(received) > _MOST_LINE_BYTES and received.find(b"\r\n", 0, _MOST_LINE_BYTES) < 0:
        raise RequestMalformed(414)
    if len(received) > MOST_HEAD_BYTES:
        raise RequestMalformed(431)


def parse_head(raw: bytes) -> Head:
    """The head `raw`, which has its empty line at the end. Raises RequestMalformed."""
    if raw.find(b"\r\n", 0, _MOST_LINE_BYTES) < 0:
        raise RequestMalformed(414 if _BEGINNING.match(raw) else 400)
    if len(raw) > MOST_HEAD_BYTES or raw.count(b"\r\n") > _MOST_FIELDS:
        raise RequestMalformed(431)
    match = _HEAD.fullmatch(raw)
    if match is None:
        raise RequestMalformed
    fields = _Fields()
    try:
        httptools.HttpRequestParser(fields).feed_data(raw)
    except httptools.HttpParserUpgrade:
        # Nothing here is upgraded to: the request is answered as if it hadn't asked (RFC 9110 §7.8).
        pass
    except httptools.HttpParserError:
        raise RequestMalformed from None
    method, target, version = match.groups()
    is_1_0, framing = version == b"0", fields.framing
    host = _parse_host(framing.get(b"host", []), is_1_0=is_1_0)
    raw_path, _, query = _parse_target(method, target, host).partition(b"?")
    if len(raw_path) + len(query) > MOST_PATH_BYTES:
        raise RequestMalformed(414)
    return Head(
        method=method.decode("ascii"),
        path=_decode_path(raw_path),
        raw_path=raw_path,
        query=query,
        is_1_0=is_1_0,
        keeps_alive=not is_1_0 and not _CLOSE.search(b",".join(framing.get(b"connection", []))),
        headers=fields.headers,
        length=_parse_length(framing, is_1_0=is_1_0),
        expects_continue=not is_1_0
        and _CONTINUE.fullmatch(b",".join(framing.get(b"expect", []))) is not None,
    )


def _parse_host(hosts: list[bytes], *, is_1_0: bool) -> bytes | None:
    if not hosts and is_1_0:
        return None
    if len(hosts) != 1 or _HOST.fullmatch(hosts[0]) is None:
        raise RequestMalformed
    return hosts[0].lower()


def _parse_target(method: bytes, target: bytes, host: bytes | None) -> bytes:
    """Path and query. A target that names a host must name the one that the request is for."""
    if b"#" in target or method == b"CONNECT":
        raise RequestMalformed
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target
    match = _ABSOLUTE.fullmatch(target)
    if match is None or match[1].lower() != host:
        raise RequestMalformed
    return match[2] if match[2].startswith(b"/") else b"/" + match[2]


def _parse_length(framing: dict[bytes, list[bytes]], *, is_1_0: bool) -> int | None:
    lengths = framing.get(b"content-length", [])
    codings = framing.get(b"transfer-encoding", [])
    if codings:
        if is_1_0 or lengths or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise RequestMalformed
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise RequestMalformed
    return int(lengths[0])


def _decode_path(raw_path: bytes) -> str:
    """The path without its escapes. One that is no text stays as it came, so that it names nothing."""
    plain = raw_path.decode("ascii")
    if "%" not in plain:
        return plain
    try:
        decoded = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        return plain
    return decoded if decoded.isprintable() else plain

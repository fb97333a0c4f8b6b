"""JSON bodies, strictly (8-api.md §1): what one reader takes for this and another for that is refused."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from starlette.requests import Request

from api.errors import RequestRefused
from rules.texts import quote

MOST_BODY_BYTES: Final = 64 * 1024
# So many unknown names are told.
_MOST_NAMED: Final = 5
_MEDIA_TYPE: Final = re.compile(
    rb'application/json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?', re.IGNORECASE
)
_ABOUT_BODY: Final = frozenset((b"content-length", b"content-type", b"content-encoding"))
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


async def read_json_body(request: Request) -> bytes:
    """The body of a call that has JSON. Raises RequestRefused (413, 415), ClientDisconnect."""
    headers = _headers_of(request)
    _check_length(headers)
    if not _MEDIA_TYPE.fullmatch(headers.get(b"content-type", b"")):
        raise RequestRefused(415)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RequestRefused(415)
    return await _read(request)


async def drop_body(request: Request) -> None:
    """Read the body of a call that has no use for one. Raises RequestRefused (413), ClientDisconnect."""
    _check_length(_headers_of(request))
    await _read(request)


def _headers_of(request: Request) -> dict[bytes, bytes]:
    """What the head says about the body. Looked for in one go, as each look by name goes through all headers."""
    return {name: value for name, value in request.scope["headers"] if name in _ABOUT_BODY}


def _check_length(headers: Mapping[bytes, bytes]) -> None:
    length = headers.get(b"content-length", b"0")
    if len(length) > len(str(MOST_BODY_BYTES)) or int(length) > MOST_BODY_BYTES:
        raise RequestRefused(413)


async def _read(request: Request) -> bytes:
    """The body, also without a length that says how large it is."""
    pieces = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MOST_BODY_BYTES:
            raise RequestRefused(413)
        pieces.append(piece)
    return b"".join(pieces)


def parse_json_object(body: bytes) -> dict[str, object]:
    """The object that a body is. Raises RequestRefused (400).

    RFC 8259 to the letter, and stricter where it leaves a choice: UTF-8 without a byte order mark, no name twice in an object, no
    half of a surrogate pair. Numbers that are no whole ones are floats.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise RequestRefused(400, "the body is not text in UTF-8") from None
    if text.startswith("\ufeff"):
        raise RequestRefused(400, "the body begins with a byte order mark: leave it out")
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise RequestRefused(
            400, f"the body is not valid JSON (line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise RequestRefused(400, "the body is nested too deeply") from None
    except ValueError:
        # A whole number of thousands of digits.
        raise RequestRefused(400, "the body has a number that is too long") from None
    if not isinstance(document, dict):
        raise RequestRefused(400, "the body must be a JSON object")
    # Only an escape can have brought one in.
    if "\\u" in text:
        _refuse_surrogates(document)
    return document


def refuse_unknown(document: Mapping[str, object], known: Sequence[str], *, within: str = "") -> None:
    """Refuse an object that has other members than these. `within` names the object, such as `recipient`."""
    unknown = [name for name in document if name not in known]
    if unknown:
        prefix = f"{within}." if within else ""
        named = ", ".join(prefix + quote(name) for name in unknown[:_MOST_NAMED])
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        raise RequestRefused(400, f"unknown in the body: {named}{more}")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise RequestRefused(400, f"the name {quote(name)} is there twice in an object of the body")
            seen.add(name)
    return members


def _refuse_constant(_name: str) -> NoReturn:
    raise RequestRefused(400, "the body has NaN or Infinity, which is not JSON")


def _refuse_surrogates(document: Mapping[str, object]) -> None:
    left: list[object] = [document]
    while left:
        match left.pop():
            case str(text) if _SURROGATE.search(text):
                raise RequestRefused(400, "the body has half of a surrogate pair, which is no character")
            case dict(members):
                left += [*members, *members.values()]
            case list(members):
                left += members
            case _:
                pass


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)

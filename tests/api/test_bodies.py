"""JSON bodies: what is one object of strict JSON is taken, and everything else is refused by one sentence."""

import json

import pytest
from starlette.requests import Request
from starlette.types import Message

from api.bodies import MOST_BODY_BYTES, parse_json_object, read_json_body, refuse_unknown
from api.errors import RequestRefused


def refusal(body: bytes) -> str:
    with pytest.raises(RequestRefused) as raised:
        parse_json_object(body)
    assert raised.value.status == 400
    return raised.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b' \t\r\n{ "a" : 1 } \n',
        '{"a":"陈 \\u9648 😀 \\ud83d\\ude00 \\u0000"}'.encode(),
        b'{"a":{"a":1},"b":[true,false,null,-1.5e3]}',
    ],
)
def test_strict_json_is_read(body: bytes) -> None:
    assert parse_json_object(body) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "valid JSON", id="nothing"),
        pytest.param(b"{", "valid JSON (line 1, column 2)", id="cut"),
        pytest.param(b'{"a":1,}', "valid JSON", id="a trailing comma"),
        pytest.param(b'{"a":[1,]}', "valid JSON", id="a trailing comma in an array"),
        pytest.param(b'{"a":1 // one\n}', "valid JSON", id="a comment"),
        pytest.param(b'{"a":1 /* one */}', "valid JSON", id="another comment"),
        pytest.param(b"{'a':1}", "valid JSON", id="single quotes"),
        pytest.param(b"{a:1}", "valid JSON", id="a name without quotes"),
        pytest.param(b'{"a":1}{"a":1}', "valid JSON", id="two of them"),
        pytest.param(b'{"a":01}', "valid JSON", id="a leading zero"),
        pytest.param(b'{"a":+1}', "valid JSON", id="a plus"),
        pytest.param(b'{"a":"\n"}', "valid JSON", id="a line break in a string"),
        pytest.param(b'{"a":"\\x41"}', "valid JSON", id="an escape that JSON hasn't"),
        pytest.param(b'{"a":NaN}', "NaN", id="NaN"),
        pytest.param(b'{"a":Infinity}', "Infinity", id="infinity"),
        pytest.param(b'{"a":-Infinity}', "Infinity", id="less than any"),
        pytest.param(b'{"a":1,"b":2,"a":1}', "the name a is there twice", id="a name twice"),
        pytest.param(b'{"a":{"b":1,"\\u0062":2}}', "the name b is there twice", id="a name twice, within"),
        pytest.param(b'{"a":"\\ud83d"}', "surrogate", id="half of a pair"),
        pytest.param(b'{"a":"\\ude00\\ud83d"}', "surrogate", id="a pair the wrong way round"),
        pytest.param(b'{"\\ud83d":1}', "surrogate", id="half of a pair in a name"),
        pytest.param(b'{"a":[{"b":"\\ud83d"}]}', "surrogate", id="half of a pair, deep within"),
        pytest.param(b'{"a":"\xed\xa0\xbd"}', "UTF-8", id="half of a pair as bytes"),
        pytest.param(b'{"a":"\xff"}', "UTF-8", id="no UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', "byte order mark", id="a byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), "UTF-8", id="UTF-16"),
        pytest.param('{"a":1}'.encode("utf-16-be"), "valid JSON", id="UTF-16 without a mark"),
        pytest.param(b"[]", "must be a JSON object", id="an array"),
        pytest.param(b'"a"', "must be a JSON object", id="a string"),
        pytest.param(b"1", "must be a JSON object", id="a number"),
        pytest.param(b"null", "must be a JSON object", id="null"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", "too long", id="a number of 5,000 digits"),
    ],
)
def test_everything_else_is_refused(body: bytes, words: str) -> None:
    assert words in refusal(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * MOST_BODY_BYTES, id="arrays"),
        pytest.param(b'{"a":' * (MOST_BODY_BYTES // 5), id="objects"),
        pytest.param(b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}", id="arrays that are closed again"),
        pytest.param(
            b'{"a":"\\u0061","b":' + b"[" * 900 + b"]" * 900 + b',"a":1}', id="deep, and a name twice"
        ),
    ],
)
def test_a_bomb_of_nesting_is_refused(body: bytes) -> None:
    assert refusal(body)


def test_many_names_are_read_in_no_time_that_grows_by_their_square() -> None:
    """Were each name looked up among all others, this would take minutes."""
    pairs = ",".join(f'"{number:x}":0' for number in range(200_000))
    assert len(parse_json_object(f"{{{pairs}}}".encode())) == 200_000
    assert "the name 30d3f" in refusal(f'{{{pairs},"30d3f":1}}'.encode())


def test_unknown_names_are_told_cut_and_not_all_of_them() -> None:
    refuse_unknown({"a": 1}, ["a", "b"])
    with pytest.raises(RequestRefused, match=r"^\(400, 'unknown in the body: recipient\.c'\)$"):
        refuse_unknown({"a": 1, "c": 1}, ["a", "b"], within="recipient")
    with pytest.raises(RequestRefused) as raised:
        refuse_unknown({**dict.fromkeys("cdefg"), "x" * 50: 1, "\u202e": 1}, ["a"])
    assert raised.value.message == "unknown in the body: c, d, e, f, g and 2 more"
    with pytest.raises(RequestRefused) as raised:
        refuse_unknown({"x" * 50: 1, "\u202e": 1}, ["a"])
    assert raised.value.message == f"unknown in the body: {'x' * 40}…, \\u202e"


def request_of(headers: dict[str, str], *pieces: bytes) -> Request:
    left = [*pieces]

    async def receive() -> Message:
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        'application/json ; charset="UTF-8"',
    ],
)
async def test_a_body_is_read_as_it_comes(media_type: str) -> None:
    request = request_of({"content-type": media_type}, b'{"a"', b"", b":1}")
    assert await read_json_body(request) == b'{"a":1}'


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 415, id="no type"),
        pytest.param({"content-type": "text/json"}, 415, id="another type"),
        pytest.param({"content-type": "application/json5"}, 415, id="a longer one"),
        pytest.param({"content-type": "application/json; charset=latin-1"}, 415, id="another charset"),
        pytest.param({"content-type": "application/json, text/html"}, 415, id="two"),
        pytest.param({"content-type": "application/json", "content-encoding": "gzip"}, 415, id="compressed"),
        pytest.param({"content-type": "application/json", "content-length": "65537"}, 413, id="too long"),
        pytest.param({"content-type": "text/html", "content-length": "65537"}, 413, id="too long, of another type"),
        pytest.param({"content-type": "application/json", "content-length": "9" * 30}, 413, id="far too long"),
    ],
)  # fmt: skip
async def test_type_and_length_are_checked_before_a_byte_is_read(
    headers: dict[str, str], status: int
) -> None:
    with pytest.raises(RequestRefused) as raised:
        await read_json_body(request_of(headers))
    assert raised.value.status == status


async def test_a_body_without_a_length_is_read_up_to_the_limit() -> None:
    headers = {"content-type": "application/json"}
    pieces = [b"x" * 1024] * 64
    assert len(await read_json_body(request_of(headers, *pieces))) == MOST_BODY_BYTES
    with pytest.raises(RequestRefused) as raised:
        await read_json_body(request_of(headers, *pieces, b"x", b"never read"))
    assert raised.value.status == 413

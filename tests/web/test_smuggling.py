"""No stranger gets two requests through where a strict front sees one: each shape is refused, and nothing behind it is heard."""

import pytest

from tests.web.echo import Echo
from web.bodies import ChunkedBody
from web.heads import RequestMalformed, check_beginning, parse_head

START = b"POST /a HTTP/1.1\r\nHost: x\r\n"
INNER = b"GET /smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(INNER)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"

HEADS = {
    "a length and chunks": START + LENGTH + CHUNKED + b"\r\n" + END + INNER,
    "chunks and a length": START + CHUNKED + b"Content-Length: 4\r\n\r\n" + END + INNER,
    "two lengths": START + b"Content-Length: 0\r\n" + LENGTH + b"\r\n" + INNER,
    "two equal lengths": START + LENGTH + LENGTH + b"\r\n" + INNER,
    "two lengths in one": START + b"Content-Length: 0, 0\r\n\r\n" + INNER,
    "a length with a sign": START + b"Content-Length: +0\r\n\r\n" + INNER,
    "a negative length": START + b"Content-Length: -1\r\n\r\n" + INNER,
    "a length in hexadecimal": START + b"Content-Length: 0x0\r\n\r\n" + INNER,
    "an empty length": START + b"Content-Length:\r\n\r\n" + INNER,
    "a length of other digits": START + b"Content-Length: \xd9\xa0\r\n\r\n" + INNER,
    "a length beyond all numbers": START + b"Content-Length: 99999999999999999999\r\n\r\n" + INNER,
    "a length with blanks inside": START + b"Content-Length: 5 0\r\n\r\n" + INNER,
    "another coding": START + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + END + INNER,
    "chunked twice": START + CHUNKED + CHUNKED + b"\r\n" + END + INNER,
    "chunked and identity": START + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + END + INNER,
    "chunked in quotes": START + b'Transfer-Encoding: "chunked"\r\n\r\n' + END + INNER,
    "xchunked": START + b"Transfer-Encoding: xchunked\r\n\r\n" + END + INNER,
    "chunked with a vertical tab": START + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + END + INNER,
    "chunked with a parameter": START + b"Transfer-Encoding: chunked;a=b\r\n\r\n" + END + INNER,
    "chunks in HTTP/1.0": b"POST /a HTTP/1.0\r\nHost: x\r\n" + CHUNKED + b"\r\n" + END + INNER,
    "a blank before the colon": START + b"Content-Length : 0\r\n\r\n" + INNER,
    "a tab before the colon": START + b"Transfer-Encoding\t: chunked\r\n\r\n" + END + INNER,
    "a name with a control character": START + b"Content-Length\x00: 0\r\n\r\n" + INNER,
    "a header without a name": START + b": 0\r\n\r\n" + INNER,
    "a header without a colon": START + b"Content-Length\r\n\r\n" + INNER,
    "a folded header": START + b"X: a\r\n Content-Length: 5\r\n\r\n" + INNER,
    "a folded length": START + b"Content-Length:\r\n 0\r\n\r\n" + INNER,
    "a blank before the first header": b"POST /a HTTP/1.1\r\n Host: x\r\n\r\n" + INNER,
    "a NUL in a value": START + b"X: a\x00b\r\n\r\n" + INNER,
    "a bare CR in a value": START + b"X: a\rContent-Length: 5\r\n\r\n" + INNER,
    "a bare LF after a header": START + b"X: a\nContent-Length: 5\r\n\r\n" + INNER,
    "bare LFs everywhere": (START + b"\r\n").replace(b"\r\n", b"\n") + INNER,
    "a bare LF at the end of the head": START + b"X: a\r\n\n" + INNER,
    "CR CR LF": START + b"X: a\r\r\n\r\n" + INNER,
    "no host": b"GET /a HTTP/1.1\r\n\r\n" + INNER,
    "two hosts": START + b"Host: x\r\n\r\n" + INNER,
    "two hosts in one": b"GET /a HTTP/1.1\r\nHost: x, y\r\n\r\n" + INNER,
    "a host with a path": b"GET /a HTTP/1.1\r\nHost: x/y\r\n\r\n" + INNER,
    "a host with a user": b"GET /a HTTP/1.1\r\nHost: a@x\r\n\r\n" + INNER,
    "an empty host": b"GET /a HTTP/1.1\r\nHost:\r\n\r\n" + INNER,
    "a target of another host": b"GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a target of a user at the host": b"GET http://y@x/a HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a target of another scheme": b"GET ftp://x/a HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a target without a slash": b"GET a HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "an asterisk": b"GET * HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a tunnel": b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n" + INNER,
    "a raw byte in the path": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a blank in the path": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "two blanks after the method": b"GET  /a HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a tab after the method": b"GET\t/a HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a blank after the version": b"GET /a HTTP/1.1 \r\nHost: x\r\n\r\n" + INNER,
    "HTTP/0.9": b"GET /a\r\n\r\n" + INNER,
    "HTTP/1.2": b"GET /a HTTP/1.2\r\nHost: x\r\n\r\n" + INNER,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + INNER,
    "http in lower case": b"GET /a http/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a method in lower case": b"get /a HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "no such method": b"BREW /a HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a blank before the method": b" GET /a HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "two empty lines before": b"\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "a PROXY header of a stranger": b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + INNER,
    "a TLS client": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
}  # fmt: skip


@pytest.mark.parametrize("shape", HEADS.values(), ids=HEADS.keys())
async def test_a_head_of_a_shape_that_readers_disagree_on_is_refused(echo: Echo, shape: bytes) -> None:
    answers = await echo.say_all(shape)
    assert [(answer.status, answer.shape_a) for answer in answers] == [(400, True)]
    assert answers[0].headers["connection"] == "close"
    assert len(answers[0].headers["x-request-id"]) == 32
    assert echo.seen == []


BODIES = {
    "an extension": b"0;a=b\r\n\r\n",
    "an extension with a line end in it": b'0;a="\r\n\r\n' + INNER + b'"\r\n\r\n',
    "a blank before the size": b" 0\r\n\r\n",
    "a blank after the size": b"0 \r\n\r\n",
    "a sign": b"+0\r\n\r\n",
    "hexadecimal said twice": b"0x0\r\n\r\n",
    "an empty size": b"\r\n\r\n",
    "a size beyond all numbers": b"ffffffffffffffff0\r\n\r\n",
    "a size of nine digits": b"000000001\r\na\r\n0\r\n\r\n",
    "a bare LF after the size": b"0\n\r\n",
    "a bare LF after the data": b"1\r\na\n0\r\n\r\n",
    "data longer than its size": b"1\r\nab\r\n0\r\n\r\n",
    "a bare LF at the end": b"0\r\n\n",
    "a trailer": b"0\r\nX: a\r\n\r\n",
    "a request where the last line end should be": b"0\r\n" + INNER,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_chunk_of_a_shape_that_readers_disagree_on_is_refused(echo: Echo, body: bytes) -> None:
    answers = await echo.say_all(START + CHUNKED + b"\r\n" + body + INNER)
    # The application was told that no whole body comes, and says so.
    assert [answer.status for answer in answers] == [400]
    assert answers[0].headers["connection"] == "close"
    assert echo.seen == []


def read_head_slowly(received: bytes) -> None:
    """As a connection does it to which a packet comes for each byte."""
    for end in range(1, len(received) + 1):
        if received[:end].endswith(b"\r\n\r\n"):
            parse_head(received[:end])
            return
        check_beginning(received[:end], end - 1)


def read_chunks_slowly(received: bytes) -> None:
    body, rest = ChunkedBody(), b""
    for byte in received:
        _, rest = body.split(rest + bytes([byte]))
        if body.is_whole:
            return


@pytest.mark.parametrize("shape", HEADS.values(), ids=HEADS.keys())
def test_such_a_head_is_refused_byte_by_byte_too(shape: bytes) -> None:
    with pytest.raises(RequestMalformed):
        read_head_slowly(shape)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_such_a_chunk_is_refused_byte_by_byte_too(body: bytes) -> None:
    with pytest.raises(RequestMalformed):
        read_chunks_slowly(body + INNER)


CHUNKS = b"5\r\nhello\r\n009\r\n, \r\n0\r\n\r\n\r\n1\r\n!\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", range(1, len(CHUNKS)))
def test_chunks_are_put_together_however_they_come(size: int) -> None:
    body, rest, whole, behind = ChunkedBody(), b"", b"", b""
    for at in range(0, len(CHUNKS), size):
        if body.is_whole:
            behind += CHUNKS[at : at + size]
            continue
        piece, rest = body.split(rest + CHUNKS[at : at + size])
        whole += piece
    assert (whole, body.is_whole, rest + behind) == (b"hello, \r\n0\r\n\r\n!", True, b"")


PLAIN = {
    "a length": (START + b"Content-Length: 3\r\n\r\nabc", b"abc"),
    "a length of zero": (START + b"Content-Length: 0\r\n\r\n", b""),
    "no length": (START + b"\r\n", b""),
    "blanks around a value": (START + b"Content-Length:\t 3 \t\r\n\r\nabc", b"abc"),
    "chunks": (START + CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
    "chunks in capitals": (START + b"TRANSFER-ENCODING: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
    "an empty line before": (b"\r\n" + START + b"\r\n", b""),
    "a target with its host": (b"POST http://X/a HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    "a host with a port": (b"POST /a HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n", b""),
    "an upgrade that isn't offered": (START + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
}  # fmt: skip


@pytest.mark.parametrize(("request_bytes", "body"), PLAIN.values(), ids=PLAIN.keys())
async def test_what_every_reader_understands_alike_is_answered_and_so_is_what_follows(
    echo: Echo, request_bytes: bytes, body: bytes
) -> None:
    answers = await echo.say_all(request_bytes + INNER)
    assert [answer.status for answer in answers] == [200, 200]
    assert echo.seen == [("POST", "/a", body), ("GET", "/smuggled", b"")]

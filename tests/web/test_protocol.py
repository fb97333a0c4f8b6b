"""A connection's life: requests one after another, answers that arrive whatever a client still sends; time and memory."""

import asyncio
import io
import json
import socket
import struct

import pytest

from tests.api.served import until
from tests.web.echo import Echo, parse_answers, push_until_cut, read_answer, read_to_end
from web import metrics

START = b"HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /a " + START + b"\r\n"
MANY = 30 * 1024 * 1024


def cut(cause: str) -> float:
    return float(metrics.CONNECTIONS_CUT.labels(cause)._value.get())


def post(path: str, body: bytes, headers: bytes = b"") -> bytes:
    return b"POST %b %bContent-Length: %d\r\n%b\r\n%b" % (path.encode(), START, len(body), headers, body)


async def test_requests_sent_ahead_are_answered_in_their_order_one_at_a_time(echo: Echo) -> None:
    requests = [post(f"/{n}", b"b" * n) for n in range(300)]
    answers = await echo.say_all(b"".join(requests) + b"GET /last " + START + b"Connection: close\r\n\r\n")
    assert [json.loads(answer.body)["path"] for answer in answers] == [f"/{n}" for n in range(300)] + [
        "/last"
    ]
    assert [body for _, _, body in echo.seen] == [b"b" * n for n in range(300)] + [b""]

    _, writer = await echo.connect()
    writer.write(b"GET /wait " + START + b"\r\n" + b"GET /behind " + START + b"\r\n")
    await until(lambda: echo.told == ["begun"])
    assert len(echo.seen) == 301


@pytest.mark.parametrize(
    ("request_bytes", "body", "connection"),
    [
        pytest.param(b"GET /a HTTP/1.0\r\n\r\n", b"{", "close", id="HTTP/1.0"),
        pytest.param(b"GET /a " + START + b"Connection: x, Close\r\n\r\n", b"{", "close", id="close"),
        pytest.param(b"HEAD /a " + START + b"Connection: close\r\n\r\n", b"", "close", id="HEAD"),
        pytest.param(b"GET /stream HTTP/1.0\r\n\r\n", b"onetwo", "close", id="a stream in HTTP/1.0"),
        pytest.param(b"GET /stream " + START + b"Connection: close\r\n\r\n", b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", "close",
                     id="a stream"),
        pytest.param(b"HEAD /stream " + START + b"Connection: close\r\n\r\n", b"", "close", id="HEAD of a stream"),
    ],
)  # fmt: skip
async def test_the_last_answer_ends_the_connection(
    echo: Echo, request_bytes: bytes, body: bytes, connection: str
) -> None:
    reader, writer = await echo.connect()
    writer.write(request_bytes)
    head, _, received = (await read_to_end(reader)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"connection: {connection}".encode() in head
    assert received == body or (body == b"{" and received.startswith(body))


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"GET /" + b"a" * 2047 + b" " + START + b"\r\n", 200, id="a path of 2 KiB"),
        pytest.param(b"GET /" + b"a" * 2048 + b" " + START + b"\r\n", 414, id="a longer one"),
        pytest.param(b"GET /?" + b"a" * 2048 + b" " + START + b"\r\n", 414, id="a longer query"),
        pytest.param(b"GET /" + b"a" * 65_536, 414, id="a path without an end"),
        pytest.param(b"GET /a " + START + b"X: " + b"a" * 32_700 + b"\r\n\r\n", 200, id="a head of 32 KiB"),
        pytest.param(b"GET /a " + START + b"X: " + b"a" * 32_768 + b"\r\n\r\n", 431, id="a longer one, whole"),
        pytest.param(b"GET /a " + START + b"X: " + b"a" * 65_536, 431, id="a head of 64 KB without an end"),
        pytest.param(b"GET /a " + START + b"X: a\r\n" * 11_000, 431, id="headers of 64 KB without an end"),
        pytest.param(b"GET /a " + START + b"X: a\r\n" * 200 + b"\r\n", 431, id="200 headers"),
        pytest.param(b"GET /a " + START + b"Content-Length: " + b"1" * 65_536, 431, id="a length of 64 KB"),
    ],
)  # fmt: skip
async def test_a_head_has_its_limits(echo: Echo, request_bytes: bytes, status: int) -> None:
    if status == 200:
        request_bytes += b"GET /a " + START + b"Connection: close\r\n\r\n"
    answers = await echo.say_all(request_bytes.replace(START, START + b"X-Request-Id: mine\r\n"))
    assert [answer.status for answer in answers] == ([200, 200] if status == 200 else [status])
    assert answers[0].shape_a or status == 200
    named = b"\r\n\r\n" in request_bytes or b"X: " in request_bytes or b"Content-Length" in request_bytes
    assert (answers[0].headers["x-request-id"] == "mine") == named


def test_the_kernel_would_eat_an_answer_whose_connection_is_just_closed() -> None:
    """What all the care for unread bodies is for: shown here, since the next test would otherwise prove nothing."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
    ):
        accepted, _ = listening.accept()
        client.sendall(b"x" * 100_000)
        accepted.recv(10)
        accepted.sendall(b"the answer")
        accepted.close()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # noqa: PT012 - either call may tell it
            client.sendall(b"x" * 1_000_000)
            client.recv(100)


@pytest.mark.parametrize("path", ["/refuse", "/close"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["counted", "chunked"])
async def test_a_client_that_sends_all_before_it_reads_gets_its_refusal(
    echo: Echo, path: str, is_chunked: bool
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode()
    if is_chunked:
        request = (
            head
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"100000\r\n%b\r\n" % bytes(0x100000) * 30
            + b"0\r\n\r\n"
        )
    else:
        request = head + b"Content-Length: %d\r\n\r\n" % MANY + bytes(MANY)

    def send_and_read() -> bytes:
        with socket.create_connection(("127.0.0.1", echo.port), timeout=60) as client:
            client.sendall(request)
            received = b""
            while more := client.recv(65536):
                received += more
            return received

    answers = parse_answers(await asyncio.to_thread(send_and_read))
    assert [(answer.status, answer.body) for answer in answers] == [(413, b"refused")]
    assert answers[0].headers["connection"] == "close"


async def test_a_short_body_that_nobody_reads_is_skipped_and_the_connection_goes_on(echo: Echo) -> None:
    reader, writer = await echo.connect()
    whole = post("/refuse", b"x" * 60_000)
    writer.write(whole[:1000])
    refused = await read_answer(reader)
    assert (refused.status, "connection" in refused.headers) == (413, False)
    writer.write(whole[1000:] + GET)
    assert (await read_answer(reader)).status == 200


async def test_lingering_has_an_end_in_bytes_and_in_quiet_seconds(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.protocol.LINGER_QUIET_SECONDS", 0.2)
    monkeypatch.setattr("web.protocol._MOST_LINGERED", 1_000_000)
    for request in (b"no request\r\n\r\n", b"POST /close " + START + b"Content-Length: 90000000\r\n\r\n"):
        reader, writer = await echo.connect()
        writer.write(request)
        # The end is told at once; the connection lives on until nothing more comes.
        assert await read_to_end(reader)
        await push_until_cut(writer, b"x", 0.3)
    reader, writer = await echo.connect()
    writer.write(b"POST /close " + START + b"Content-Length: 90000000\r\n\r\n")
    assert await push_until_cut(writer, bytes(100_000), 0) < 1000


async def test_continue_is_said_to_whom_will_be_read_and_to_nobody_else(echo: Echo) -> None:
    expects = b"Expect: 100-Continue\r\n"
    reader, writer = await echo.connect()
    whole = post("/a", b"body", expects)
    writer.write(whole[:-4])
    async with asyncio.timeout(30):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(whole[-4:])
    assert (await read_answer(reader)).status == 200
    # A body that comes without waiting needs no word.
    writer.write(post("/a", b"body", expects))
    assert (await read_answer(reader)).status == 200
    # A refusal is the first word, and the last: what would follow may be the body, or another request.
    writer.write(post("/refuse", b"body", expects)[:-4])
    answers = parse_answers(await read_to_end(reader))
    assert [(answer.status, answer.headers["connection"]) for answer in answers] == [(413, "close")]
    writer.close()
    assert (
        await echo.say(b"POST /a HTTP/1.0\r\nContent-Length: 4\r\n" + expects + b"\r\nbody")
    ).status == 200


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
async def test_who_hangs_up_is_told_of_after_the_whole_body(echo: Echo, is_reset: bool) -> None:
    _, writer = await echo.connect()
    writer.write(post("/wait", b"x" * 10_000))
    await until(lambda: echo.told == ["begun"])
    if is_reset:
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    writer.close()
    # Long enough for the end to have come before the body is asked for.
    await asyncio.sleep(0.1)
    echo.goes_on.set()
    await until(lambda: len(echo.told) == 3)
    assert echo.told == ["begun", "http.request", "http.disconnect"]


async def test_who_only_ends_sending_still_gets_the_answer(echo: Echo) -> None:
    echo.goes_on.set()
    for path, status in (("/a", 200), ("/wait", 200)):
        reader, writer = await echo.connect()
        writer.write(post(path, b"body"))
        writer.write_eof()
        assert parse_answers(await read_to_end(reader))[0].status == status


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"Content-Length: 5\r\n\r\nbody", id="shorter than its length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", id="without a last chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n", id="without the last line end"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n400\r\nbody", id="shorter than its chunk"),
    ],
)
async def test_a_body_that_ends_early_is_never_taken_for_whole(echo: Echo, body: bytes) -> None:
    reader, writer = await echo.connect()
    writer.write(b"POST /a " + START + body)
    writer.write_eof()
    answer = parse_answers(await read_to_end(reader))[0]
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert echo.seen == []


async def test_a_long_body_may_take_longer_than_a_request_as_long_as_something_comes(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo.goes_on.set()
    before = cut("slow")
    reader, writer = await echo.connect()
    writer.write(GET)
    assert (await read_answer(reader)).status == 200
    monkeypatch.setattr("web.protocol.REQUEST_SECONDS", 1.0)
    writer.write(b"POST /slow " + START + b"Content-Length: 10\r\n\r\n")
    for _ in range(10):
        await asyncio.sleep(0.13)
        writer.write(b"x")
    assert (await read_answer(reader)).body == b"10"
    # That held for that request alone.
    writer.write(b"POST /a " + START + b"Content-Length: 10\r\n\r\n")
    assert await read_to_end(reader) == b""
    await until(lambda: cut("slow") == before + 1)


@pytest.mark.parametrize("limit", ["QUIET_SECONDS", "LONG_BODY_SECONDS"])
async def test_a_long_body_is_cut_where_nothing_comes_and_in_the_end(
    echo: Echo, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(f"web.protocol.{limit}", 0.5)
    echo.goes_on.set()
    before = cut("slow")
    reader, writer = await echo.connect()
    writer.write(b"POST /slow " + START + b"Content-Length: 1000000\r\n\r\n")
    if limit == "LONG_BODY_SECONDS":
        await push_until_cut(writer, b"x", 0.05)
    assert await read_to_end(reader) == b""
    await until(lambda: cut("slow") == before + 1)


async def test_a_body_waits_at_the_client_while_nobody_takes_it_and_that_is_not_its_fault(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.protocol.QUIET_SECONDS", 0.3)
    reader, writer = await echo.connect()
    writer.write(b"POST /slow " + START + b"Content-Length: %d\r\n\r\n" % MANY + bytes(MANY))
    (connection,) = await echo.connections(1)
    await until(lambda: not connection._is_reading)
    await asyncio.sleep(0.5)
    exchange = connection._exchange
    assert exchange is not None
    # One packet may come on top: the loop reads 256 KiB at a time.
    assert exchange.untaken <= 64 * 1024 + 256 * 1024
    # From here on a busy machine could look like a quiet client.
    connection._deadline.start(60)
    echo.goes_on.set()
    assert (await read_answer(reader)).body == b"%d" % MANY


async def test_requests_sent_ahead_wait_at_the_client_too(echo: Echo) -> None:
    _, writer = await echo.connect()
    writer.write(b"GET /wait " + START + b"\r\n" + GET * 100_000)
    (connection,) = await echo.connections(1)
    await until(lambda: not connection._is_reading)
    assert len(connection._received) <= 64 * 1024 + 256 * 1024


async def test_who_takes_nothing_of_an_answer_is_cut(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.deadlines.ANSWER_SECONDS", 0.2)
    before = cut("slow")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", echo.port))
        await asyncio.get_running_loop().sock_sendall(client, b"GET /large " + START + b"\r\n")
        await until(lambda: cut("slow") == before + 1)


async def test_a_crash_is_answered_and_its_words_are_told_to_nobody(
    echo: Echo, log_lines: io.StringIO
) -> None:
    reader, writer = await echo.connect()
    writer.write(b"GET /crash " + START + b"\r\n" + GET)
    crashed = await read_answer(reader)
    assert (crashed.status, crashed.shape_a) == (500, True)
    assert (await read_answer(reader)).status == 200
    writer.close()
    assert "request_crashed" in log_lines.getvalue()
    assert "secretword" not in log_lines.getvalue() + str(crashed)


async def test_an_answer_is_held_back_and_nothing_behind_it_is_begun(echo: Echo) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await echo.connect()
    began = loop.time()
    writer.write(post("/held", b"x" * 100) + GET)
    assert (await echo.say(b"GET /b " + START + b"Connection: close\r\n\r\n")).status == 200
    assert (await read_answer(reader)).status == 402
    # Its clock counts milliseconds.
    assert loop.time() - began >= 0.298
    assert (await read_answer(reader)).status == 200
    assert [path for _, path, _ in echo.seen] == ["/b", "/a"]


async def test_a_body_that_nobody_reads_waits_too_while_its_answer_is_held_back(echo: Echo) -> None:
    echo.held_seconds = 20
    reader, writer = await echo.connect()
    writer.write(b"POST /held?unread " + START + b"Content-Length: %d\r\n\r\n" % MANY + bytes(MANY))
    await until(lambda: echo.held == 1)
    (connection,) = await echo.connections(1)
    assert not connection._is_reading
    connection.make_room()
    assert [answer.status for answer in parse_answers(await read_to_end(reader))] == [402]


async def test_whoever_is_kept_waiting_makes_room_first_and_is_answered_then(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.listener.MOST_OPEN", 3)
    idle = [await echo.connect() for _ in range(2)]
    reader, writer = await echo.connect()
    echo.held_seconds = 20
    writer.write(b"GET /held " + START + b"\r\n")
    await until(lambda: echo.held == 1)
    assert (await echo.say(b"GET /b " + START + b"Connection: close\r\n\r\n")).status == 200
    async with asyncio.timeout(10):
        answers = parse_answers(await read_to_end(reader))
    assert [answer.status for answer in answers] == [402]
    for idle_reader, idle_writer in idle:
        idle_writer.write(GET)
        assert (await read_answer(idle_reader)).status == 200


async def test_a_stop_gives_the_answers_that_are_due_and_ends_what_waits(echo: Echo) -> None:
    idle, _ = await echo.connect()
    held, held_writer = await echo.connect()
    echo.held_seconds = 20
    held_writer.write(GET.replace(b"/a", b"/held"))
    await until(lambda: echo.held == 1)
    busy, busy_writer = await echo.connect()
    busy_writer.write(GET.replace(b"/a", b"/wait") + GET)
    await until(lambda: echo.told == ["begun"])
    for connection in await echo.connections(3):
        connection.shutdown()
    assert await read_to_end(idle) == b""
    assert [answer.status for answer in parse_answers(await read_to_end(held))] == [402]
    assert len(echo.live) == 1
    busy_writer.write_eof()
    echo.goes_on.set()
    answers = parse_answers(await read_to_end(busy))
    assert [(answer.body, answer.headers["connection"]) for answer in answers] == [(b"waited", "close")]
    # What was sent ahead isn't begun any more.
    assert echo.seen == []

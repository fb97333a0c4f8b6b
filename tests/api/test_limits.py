"""What each request is answered whatever it asks for; connections themselves are tried in tests/web."""

import pytest

from tests.api.served import ServedAPI
from tests.messages.builders import MadeBatch


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        pytest.param("/api/v2/health", "GET", 200, id="health"),
        pytest.param("/api/v2/health", "HEAD", 200, id="health by HEAD"),
        pytest.param("/api/v2/health/", "GET", 404, id="never a redirect"),
        pytest.param("/api/v2/health", "POST", 405, id="health by POST"),
        pytest.param("/callbacks/twilio/1-2-1/AAAAAAAAAAAAAAAAAAAAAA", "GET", 405, id="a callback by GET"),
        pytest.param("/", "GET", 404, id="root"),
        pytest.param("/metrics", "GET", 404, id="not the ops endpoint"),
        pytest.param("/api/v2/campaigns/campaign_1/messages", "POST", 401, id="a call without a key"),
        pytest.param("/" + "a" * 2047, "GET", 404, id="a path of 2 KiB"),
        pytest.param("/" + "a" * 2048, "GET", 414, id="a longer path"),
        pytest.param("/?" + "a" * 2048, "GET", 414, id="a longer query"),
        pytest.param("/" + "a" * 40_000, "GET", 414, id="a path that is longer than any head"),
    ],
)
async def test_each_request_has_its_answer_and_each_answer_its_headers(
    api: ServedAPI, path: str, method: str, status: int
) -> None:
    answer = await api.get(path, method)
    assert answer.status == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/json"
    assert "server" not in answer.headers
    assert answer.shape_a or status == 200
    assert ("allow" in answer.headers) == (status == 405)


async def test_a_request_id_is_the_callers_own_where_it_is_fit(api: ServedAPI) -> None:
    assert (await api.get("/", headers="X-Request-Id: a.b_c-1\r\n")).headers["x-request-id"] == "a.b_c-1"
    for unfit in ("a b", "a" * 65, '"'):
        ours = (await api.get("/", headers=f"X-Request-Id: {unfit}\r\n")).headers["x-request-id"]
        assert len(ours) == 32


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", 400, id="a TLS client"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, id="a wrong length"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: x\r\nX: " + b"a" * 31_000 + b"\r\n\r\n", 404, id="32 KiB of headers"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 33_000 + b"\r\n\r\n", 431, id="more headers"),
        pytest.param(b"GET /" + b"a" * 40_000, 414, id="a path without an end"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 7_000, 431, id="headers without an end"),
    ],
)  # fmt: skip
async def test_what_is_no_request_or_too_long_a_one_is_told(
    api: ServedAPI, request_bytes: bytes, status: int
) -> None:
    answer = await api.say(request_bytes)
    assert (answer.status, answer.shape_a) == (status, True)
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_body_that_is_too_long_or_of_another_kind_is_refused_unread(
    api: ServedAPI, batch: MadeBatch
) -> None:
    path = api.path_of(batch.key())
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    start = f"POST {path} HTTP/1.1\r\nHost: x\r\n"
    # The length that is announced decides, before a byte of it.
    announced = await api.say(f"{start}{form}Content-Length: 16385\r\n\r\n".encode())
    chunk = b"1000\r\n" + b"a" * 4096 + b"\r\n"
    counted = await api.say(f"{start}{form}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 5)
    for answer in (announced, counted):
        assert (answer.status, answer.headers["connection"], answer.shape_a) == (413, "close", True)
    json = await api.say(
        f"{start}Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
    )
    assert (json.status, json.shape_a) == (415, True)

"""Hostile bodies of a caller that has a key, all at once: each is refused as what it is, and a call beside them is answered."""

import asyncio

from tests.api.batches.bodies import MEDIA_TYPE, body, part
from tests.api.client import APIClient
from tests.api.served import Answer, ServedAPI
from web import metrics

SECRET = "hostile-secret-value"
GOOD = b'{"recipient":"6591234567","language":"english","values":{"name":"%b"}}' % SECRET.encode()
JSON = {"Content-Type": "application/json"}


async def post(client: APIClient, content: bytes, path: str = "/messages", **headers: str) -> Answer:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.call("POST", path, content=content, headers=JSON | more)


async def say(client: APIClient, headers: str, content: bytes) -> Answer:
    """A POST of #1 whose framing is the caller's own affair; the client sends no more after it."""
    head = (
        f"POST /api/v2/campaigns/{client.campaign_id}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\n"
        f"Content-Type: application/json\r\nConnection: close\r\n{headers}\r\n"
    )
    return await ServedAPI(client.port).say(head.encode() + content)


def answers_5xx() -> float:
    """How many answers of all kinds were the server's own fault."""
    return sum(
        sample.value
        for family in metrics.REQUESTS.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["status"].startswith("5")
    )


async def test_hostile_bodies_are_refused_as_what_they_are_beside_calls_that_are_answered(
    client: APIClient,
) -> None:
    before = answers_5xx()
    hostile = {
        "nested arrays": (post(client, b"[" * 65_000), 400),
        "nested objects": (post(client, b'{"values":' * 6_500), 400),
        "closed nesting": (post(client, b"[" * 32_000 + b"]" * 32_000), 400),
        "a number of 60,000 digits": (post(client, b'{"recipient":' + b"9" * 60_000 + b"}"), 400),
        "a number beyond all exponents": (post(client, b'{"recipient":1e999999999}'), 400),
        "thousands of names": (post(client, b"{" + b'"a":1,' * 10_000 + b'"b":1}'), 400),
        "no UTF-8": (post(client, b'{"recipient":"\xff\xfe"}'), 400),
        "more than 64 KiB": (post(client, b" " * 65_536 + GOOD), 413),
        "30 MiB": (post(client, bytes(30 * 1024 * 1024)), 413),
        "compressed": (post(client, b"\x1f\x8b" + bytes(100), Content_Encoding="gzip"), 415),
        "a length that is too long": (say(client, "Content-Length: 65537\r\n", b""), 413),
        "a length beyond the file's": (say(client, "Content-Length: 999999999999999999\r\n", b""), 413),
        "a length beyond all numbers": (say(client, "Content-Length: 9999999999999999999\r\n", b""), 400),
        "chunks beyond 64 KiB": (
            say(client, "Transfer-Encoding: chunked\r\n", b"8000\r\n%b\r\n" % (b" " * 0x8000) * 40 + b"0\r\n\r\n"), 413
        ),
        "a chunk that is none": (say(client, "Transfer-Encoding: chunked\r\n", b"5;x=y\r\n12345\r\n0\r\n\r\n"), 400),
        "a length and chunks": (say(client, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
        "100,000 parts": (
            post(client, body(*[part(b"", 'form-data; name="a"')] * 100_000), "/batch/messages", Content_Type=MEDIA_TYPE), 400
        ),
        "NUL in the path": (post(client, GOOD, "/messages/%00/retry"), 404),
        "a slash in the path": (post(client, GOOD, "/messages/a%2Fretry"), 404),
        "an end of line in the path": (post(client, GOOD, "/messages/%0d%0aX:%20y/retry"), 404),
    }  # fmt: skip
    canary = asyncio.create_task(calls_until_done(client))
    answers = await asyncio.gather(*(call for call, _ in hostile.values()))
    assert not canary.done()
    canary.cancel()
    told = dict(zip(hostile, (answer.status for answer in answers), strict=True))
    assert told == {name: status for name, (_, status) in hostile.items()}
    assert all(answer.shape_a for answer in answers)
    assert not any(SECRET.encode() in answer.body for answer in answers)
    assert answers_5xx() == before
    assert (await client.get("/messages?limit=1")).body.startswith(b'{"data":[],')


async def calls_until_done(client: APIClient) -> None:
    while True:
        assert (await client.get("/messages?limit=1")).status == 200

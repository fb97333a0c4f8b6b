"""Whatever is called, and however it goes wrong: no key, number, value, NRIC or body in any log, metric or audit row."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from config.environment import Environment
from keys.api_key_form import new_key
from tests.api.client import APIClient
from tests.chaos.testbed.node import Node, new_port
from tests.chaos.testbed.testbed import Testbed, open_testbed
from tests.gateway import marked
from tests.gateway.test_nothing_leaks import places_of

NRIC = "Zugzwang-17"
REAL_NRIC = "S0000001I"
IDEMPOTENCY = "walrus-2291"
CURSOR = base64.b64encode(json.dumps([marked.NAME, f"message_{marked.TOPIC}"]).encode()).decode()
HOSTILE = """
create function tell() returns trigger language plpgsql as $$ begin raise exception 'no: %', new; end $$;
create trigger hostile before insert on messages for each row execute function tell();
"""
GOOD = {
    "recipient": f"{marked.NUMBER}001",
    "language": "english",
    "values": {"name": marked.NAME, "topic": f"{marked.TOPIC} {marked.CHINESE}"},
}


def changed(**changes: object) -> dict[str, object]:
    return {**GOOD, **changes}


def refused_bodies() -> Iterator[bytes]:
    """Each with marks, and refused for another reason."""
    values = GOOD["values"]
    assert isinstance(values, dict)
    for body in (
        changed(recipient=f"+{marked.NUMBER}001"),
        changed(recipient=f"{marked.NUMBER}00199999"),
        changed(recipient=marked.NAME),
        changed(recipient=[marked.NUMBER]),
        changed(recipient={"value": REAL_NRIC, "type": "nric"}),
        changed(recipient={"value": f"{NRIC}-unknown", "type": "nric"}),
        changed(recipient={"value": NRIC, "type": marked.TOPIC}),
        changed(recipient={"value": NRIC, marked.NAME: "nric"}),
        changed(language=marked.CHINESE),
        changed(language="tamil"),
        changed(values={**values, "name": f"“{marked.NAME}”"}),
        changed(values={**values, "name": f" {marked.NAME}"}),
        changed(values={**values, "name": f"{marked.NAME}\x07"}),
        changed(values={**values, marked.TOPIC: marked.NAME}),
        changed(values={"name": marked.NAME}),
        changed(values={**values, "name": marked.NAME * 100}),
        changed(values={**values, "name": 1, "topic": marked.NAME}),
        {**GOOD, marked.NAME: marked.CHINESE},
        [marked.NAME],
    ):
        yield json.dumps(body, ensure_ascii=False).encode()
    text = json.dumps(GOOD)
    yield text.replace("}", ",}").encode()
    yield text.replace('"language"', f'"recipient": "{marked.NAME}", "language"').encode()
    yield text.encode()[:-1] + b"\xff" + marked.NAME.encode()
    yield text.encode("utf-16")


def form(content: bytes, name: str, *, kind: str = "file") -> tuple[bytes, dict[str, str]]:
    """A multipart body with this file, and its header."""
    start = f'--{marked.TOPIC}\r\nContent-Disposition: form-data; name="{kind}"; filename="{name}"\r\n\r\n'
    body = start.encode() + content + f"\r\n--{marked.TOPIC}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={marked.TOPIC}"}


async def singles(client: APIClient) -> set[int]:
    """Good ones, one again by its key, by NRIC; then all that are refused."""
    keyed = {"Idempotency-Key": IDEMPOTENCY, "User-Agent": marked.NAME, "X-Forwarded-For": marked.NUMBER}
    bodies = (GOOD, GOOD, changed(recipient=f"{marked.NUMBER}002"))
    statuses = [(await client.post("/messages", json=body, headers=keyed)).status for body in bodies]
    for value in (NRIC, f"{NRIC}-none"):
        by_nric = changed(recipient={"value": value, "type": "nric"})
        headers = {"Idempotency-Key": value}
        statuses.append((await client.post("/messages", json=by_nric, headers=headers)).status)
    assert statuses == [201, 201, 422, 201, 400]
    found = set(statuses)
    for refused in refused_bodies():
        for headers in ({}, {"Idempotency-Key": f"{marked.NAME} {refused[:20]!r}"}):
            json_type = {"Content-Type": "application/json", **headers}
            found.add((await client.call("POST", "/messages", content=refused, headers=json_type)).status)
    found.add((await client.call("POST", "/messages", content=next(refused_bodies()))).status)
    return found


async def reads(client: APIClient) -> set[int]:
    """Paths, queries and cursors with marks; another campaign's."""
    found = set()
    for path in (
        f"/messages/{quote(marked.NAME)}",
        f"/messages/message_{marked.TOPIC}",
        f"/batch/batch_{marked.TOPIC}/messages?limit=10&search={marked.NUMBER}",
        f"/messages?limit=10&search={marked.NUMBER}",
        f"/messages?limit={quote(marked.NAME)}",
        f"/messages?limit=10&after={quote(CURSOR)}",
        f"/messages?limit=10&{quote(marked.NAME)}={quote(marked.CHINESE)}",
        f"/{quote(marked.NAME)}",
        f"/api/v2/campaigns/{quote(marked.NAME)}/messages?limit=1",
        f"/api/v2/{quote(marked.NAME)}",
    ):
        found.add((await client.get(path)).status)
    for path in (f"/messages/message_{marked.TOPIC}/retry", f"/batch/{quote(marked.NAME)}/retry"):
        found.add((await client.post(path, json={marked.NAME: marked.NUMBER})).status)
    return found


async def strangers(client: APIClient, other: APIClient, keys: list[str]) -> set[int]:
    """Keys that aren't in force, of another environment, cut, doubled; and a right one for another campaign."""
    found = set()
    for key in keys:
        for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"Basic {key}"}):
            found.add((await client.post("/messages", json=GOOD, headers=headers)).status)
    own = {"Authorization": f"Bearer {client.key}"}
    found.add((await other.post("/messages", json=GOOD, headers=own)).status)
    found.add((await client.get(f"/api/v2/campaigns/{client.key}/messages?limit=1")).status)
    return found


async def batches(client: APIClient) -> set[int]:
    """Good and bad files under marked names, forms that are none, and a client that hangs up."""
    found = set()
    contents = [marked.good_file(1), *marked.bad_files(), b""]
    for number, content in enumerate(contents):
        body, headers = form(content, f"{marked.FILE}-{number}.csv")
        found.add((await client.call("POST", "/batch/messages", content=body, headers=headers)).status)
    for name, kind in ((f"{marked.FILE}.xlsx", "file"), (f"{marked.FILE}.csv", marked.NAME)):
        body, headers = form(marked.good_file(2), name, kind=kind)
        found.add((await client.call("POST", "/batch/messages", content=body, headers=headers)).status)
    body, headers = form(marked.good_file(3), f"{marked.FILE}.csv")
    wrong = {"Content-Type": f"multipart/form-data; boundary={marked.NAME}"}
    found.add((await client.call("POST", "/batch/messages", content=body, headers=wrong)).status)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    _, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(
        f"POST /api/v2/campaigns/{client.campaign_id}/batch/messages HTTP/1.1\r\nHost: x\r\n{lines}"
        f"Authorization: Bearer {client.key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    await writer.drain()
    writer.close()
    return found


async def what_is_no_http(client: APIClient) -> None:
    """Lines with marks and a key where a head should be."""
    for text in (
        f"{marked.NAME} {client.key}\r\n\r\n",
        f"GET /{marked.NAME} HTTP/1.1\r\n{marked.TOPIC} {client.key}: x\r\n\r\n",
        f"POST /callbacks/x HTTP/1.1\r\nHost: x\r\nContent-Length: {marked.NUMBER}9999999999\r\n\r\n{marked.NAME}",
        f"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{marked.NAME}\r\n{marked.NUMBER}",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        with contextlib.suppress(ConnectionError):
            writer.write(text.encode())
            async with asyncio.timeout(20):
                await reader.read()
        writer.close()


async def troubles(testbed: Testbed, node: Node, client: APIClient) -> set[int]:
    """PostgreSQL refuses a row and quotes it; the bucket is away; a process dies after the commit; PostgreSQL stops."""
    found = set()
    for statement in HOSTILE.strip().splitlines():
        await testbed.fetch(statement)
    found.add((await client.post("/messages", json=GOOD)).status)
    await testbed.fetch("drop function tell cascade")
    # A call whose commit is unclear waits until PostgreSQL is back, and so can't be waited for before.
    calls = [asyncio.create_task(client.post("/messages", json=GOOD))]
    stopping = asyncio.create_task(asyncio.to_thread(testbed.postgres.stop))
    while not stopping.done():
        calls.append(asyncio.create_task(client.post("/messages", json=GOOD)))
        await asyncio.wait({stopping}, timeout=0.05)
    await stopping
    # Nobody takes a connection now: this call is refused before anything of it could be committed.
    found.add((await client.post("/messages", json=GOOD)).status)
    await asyncio.to_thread(testbed.postgres.start)
    return found | {(await call).status for call in calls}


@pytest.mark.timeout(240)
async def test_nothing_leaks_from_calls() -> None:
    async with open_testbed() as testbed:
        port = new_port()
        node = await testbed.add_node(
            environment="test",
            log__level="debug",
            api__processes="1",
            api__port=str(port),
            sending__processes="1",
        )
        clients = [await access(node, port, campaign_id) for campaign_id in testbed.campaigns[:2]]
        client, other = clients
        await node.command_line("campaign", "nric", client.campaign_id, "on")
        await testbed.fetch(
            "insert into nric_test_identifiers (identifier, number) values ($1, $2)",
            NRIC,
            f"{marked.NUMBER}003",
        )
        wrong = [new_key(Environment.TEST), new_key(Environment.PRODUCTION), client.key[:-1], client.key * 2]
        statuses = await singles(client)
        statuses |= await reads(client)
        statuses |= await strangers(client, other, wrong)
        of_batches = await batches(client)
        assert of_batches >= {201, 400}
        await what_is_no_http(client)
        statuses |= await troubles(testbed, node, client)
        assert statuses >= {200, 201, 400, 401, 403, 404, 415, 500, 503}
        places = await places_of(testbed, node)
        for table in ("api_keys", "api_calls", "schema_migrations"):
            rows = await testbed.fetch(f"select t::text as line from {table} t")
            places[table] = "\n".join(row["line"] for row in rows)
        kept = await testbed.fetch("select t::text as line from messages t")

    secrets = [key for own in (client.key, other.key, *wrong) for key in (own, own[17:60])]
    marks = [*marked.MARKS, *secrets, NRIC, REAL_NRIC, IDEMPOTENCY, CURSOR]
    assert not (found := marked.leaks(places, marks)), "\n".join(found[:20])
    # None of this would mean anything if nothing had been sent, or if nothing could be found.
    texts = "\n".join(row["line"] for row in kept)
    assert marked.marks_in(texts, marks) == {marked.NUMBER, marked.NAME, marked.TOPIC, marked.CHINESE}
    assert client.key[9:17] in places["log"]
    for event in ("call_refused", "call_forbidden", "call_unavailable"):
        assert f'"{event}"' in places["log"]
    assert 'sftp_gateway_api_refusals_total{code="recipient_invalid"}' in places["metrics"]


async def access(node: Node, port: int, campaign_id: str) -> APIClient:
    """A client of that campaign, which may call as often as it likes."""
    await node.command_line("campaign", "addresses", campaign_id, "--add", "127.0.0.1")
    await node.command_line("campaign", "rate", campaign_id, "1000")
    made = json.loads(await node.command_line("apikey", "add", campaign_id, "--json"))
    return APIClient(port, campaign_id, made["key"])

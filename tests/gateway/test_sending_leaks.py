"""Whatever goes wrong while messages leave and callbacks come, no number, text, secret or token gets where it doesn't belong."""

import asyncio
import base64
import os
import urllib.error
import urllib.parse
import urllib.request

import pytest

from gateway.embedded.server_process import free_port
from tests.chaos.testbed.testbed import Testbed, open_testbed, until
from tests.gateway import marked
from tests.gateway.test_nothing_leaks import QUICK, Agency, places_of
from tests.sending.twilio_control import ACCOUNT_SID, KEY_SID, SERVICE_SID, TwilioServer, twilio_server

SECRET = "hush-zxcvb-hush"
# Everything that the sending core and the callbacks write, but messages and batches, which hold what is sent.
TABLES = ("attempts", "due", "senders", "lanes", "secret_keys", "twilio_accounts", "schema_migrations")
FAULTS: list[dict[str, object]] = [
    {"then": "error", "status": 500, "creates": True, "count": 3},
    {"then": "cut", "creates": True, "count": 3},
    {"then": "unreadable", "count": 2},
    {"then": "error", "status": 400, "code": 21211, "count": 2},
    {"then": "error", "status": 429, "code": 20429, "count": 2},
    {"then": "error", "status": 401, "code": 20003, "count": 1},
]


async def ended(testbed: Testbed, batches: int) -> bool:
    """Whether so many batches were accepted, and all of their messages have come to an end or to a look-up."""
    return await testbed.holds(
        "select count(*) = $1::integer and sum(total_messages) = sum(sending + sent + success + failure) from batches",
        batches,
    )


def post(url: str, fields: dict[str, str]) -> int:
    request = urllib.request.Request(url, urllib.parse.urlencode(fields).encode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def strange_callbacks(addresses: list[str]) -> set[int]:
    """Callbacks full of marks, to addresses that are right and to others; the statuses of the answers."""
    marks = f"{marked.NAME} {marked.NUMBER}001 {marked.CHINESE}"
    found = set()
    for address in addresses[:3]:
        for fields in (
            {"MessageSid": "SM1", "MessageStatus": marks, "To": f"+{marked.NUMBER}001", "Body": marks},
            {"MessageSid": marks, "MessageStatus": "delivered", "ErrorMessage": marks},
            {"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "30003", "ErrorMessage": marks},
            {marks: marks},
        ):
            found.add(post(address, fields))
        found.add(post(address[:-1], {"MessageStatus": "delivered", "To": marks}))
        found.add(post(f"{address}/{urllib.parse.quote(marks)}", {"To": marks}))
    return found


def tokens_of(addresses: list[str]) -> list[str]:
    return [address.rpartition("/")[2] for address in addresses]


@pytest.mark.timeout(300)
async def test_nothing_leaks_while_messages_leave() -> None:
    key = base64.b64encode(os.urandom(32)).decode()
    port = free_port()
    async with open_testbed() as testbed:
        with twilio_server() as twilio:
            twilio.behave(secret=SECRET)
            node = await testbed.add_node(
                "run",
                start=True,
                **QUICK,
                api__processes="1",
                api__port=str(port),
                secrets__key=key,
                sending__processes="1",
                sending__public__provider="twilio",
                sending__public__rate="500",
                sending__look_up_after="1,2,3",
                sending__sweep_every="1",
                sending__twilio__base_url=twilio.base_url,
                sending__twilio__callback_base_url=f"http://127.0.0.1:{port}",
                sending__twilio__account_sid=ACCOUNT_SID,
                sending__twilio__key_sid=KEY_SID,
                sending__twilio__key_secret=SECRET,
                sending__twilio__service_sid=SERVICE_SID,
            )
            agency = Agency(testbed, node)
            twilio.fail(*FAULTS)
            await agency.put_all(map(marked.good_file, range(20)))
            await agency.until_logged("sender_paused")
            twilio.fail()
            await node.command_line("sending", "resume", "--all")
            await until(lambda: ended(testbed, 20), "the first ones are sent", 60)
            await killed_and_restarted(testbed, agency, twilio)
            await until(lambda: ended(testbed, 40), "all are sent", 90)
            called = [message["callback"] for message in twilio.messages() if message["callback"]]
            # Without what stands behind it for Twilio alone: how often to repeat.
            addresses = [address.partition("#")[0] for address in called]
            assert len(addresses) > 50
            statuses = await asyncio.to_thread(strange_callbacks, addresses)
            assert statuses == {204, 400, 404}
            texts = "\n".join(message["body"] for message in twilio.messages())
            places = await places_of(testbed, node)
            for table in TABLES:
                rows = await testbed.fetch(f"select t::text as line from {table} t")
                places[table] = "\n".join(row["line"] for row in rows)

    marks = [*marked.MARKS, SECRET, key, "embedded/secret", *tokens_of(addresses)]
    assert not (found := marked.leaks(places, marks)), "\n".join(found[:20])
    # None of this would mean anything if nothing had left, or if nothing could be found.
    assert marked.marks_in(texts, marked.MARKS) >= {marked.NAME, marked.TOPIC, marked.CHINESE}
    assert all(
        len(places[table]) > 20 for table in ("attempts", "senders", "lanes", "secret_keys", "log", "metrics")
    )
    assert "sftp_gateway_callbacks_total" in places["metrics"]


async def killed_and_restarted(testbed: Testbed, agency: Agency, twilio: TwilioServer) -> None:
    """A sender dies between claim and hand-over, PostgreSQL is restarted, and hangs on what is sent."""
    (testbed.fault_points / "sending.claimed").touch()
    await agency.put_all(map(marked.good_file, range(20, 30)))
    await agency.until_logged("process_died")
    await asyncio.to_thread(testbed.postgres.restart)
    await agency.put_all(map(marked.good_file, range(30, 40)))
    assert twilio.record()

"""A sender process and the accounts of internal campaigns: a missing one, a new one, a rotation, keys that are wrong."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from campaigns.campaigns import Channel
from campaigns.fields import TwilioCredentials
from campaigns.secret_keys import load_keys, rewrap_secrets
from campaigns.twilio_accounts import rotate_secrets, set_twilio_account
from config.sending_sections import SecretsSettings, TwilioSettings
from config.settings import Settings
from database.connections import Connection
from gateway.processes.sender import sender
from messages.callback_urls import parse_callback_path
from tests.conftest import ADMIN
from tests.sending.sending_node import add_batch, add_campaign, until
from tests.sending.twilio_control import (
    ACCOUNT_SID,
    KEY_SECRET,
    KEY_SID,
    SERVICE_SID,
    TwilioServer,
    twilio_server,
)

CREDENTIALS = TwilioCredentials(ACCOUNT_SID, KEY_SID, KEY_SECRET, SERVICE_SID, "CLINIC")


def some_key() -> SecretsSettings:
    return SecretsSettings(key=SecretStr(base64.b64encode(os.urandom(32)).decode()))


class Callbacks(ThreadingHTTPServer):
    """Takes callbacks, and keeps the paths that they came to, in order of arrival."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        paths = self.paths

        class Page(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                paths.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                return

        super().__init__(("127.0.0.1", 0), Page)

    def rows_signed_by(self, keys: Sequence[bytes], batch_no: int) -> set[int]:
        """The rows of a batch whose callbacks came with a token of one of these keys."""
        found = (parse_callback_path(path, keys) for path in self.paths)
        return {key.row_number for key in found if key is not None and key.batch_no == batch_no}


@pytest.fixture
def callbacks() -> Iterator[Callbacks]:
    """Where Twilio calls back."""
    with Callbacks() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def twilio() -> Iterator[TwilioServer]:
    """A Twilio of this test's own."""
    with twilio_server() as server:
        yield server


@pytest.fixture
def sending_settings(settings: Settings, twilio: TwilioServer, callbacks: Callbacks) -> Settings:
    """Settings that lead to that Twilio, with a SECRETS__KEY."""
    near = TwilioSettings(
        base_url=twilio.base_url, callback_base_url=f"http://127.0.0.1:{callbacks.server_port}"
    )
    sending = settings.sending.model_copy(update={"twilio": near})
    return settings.model_copy(update={"sending": sending, "secrets": some_key()})


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """A sender process's inside."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(sender(settings, cast(Any, SimpleNamespace()), stop, ready.set))
    try:
        async with asyncio.timeout(30):
            await ready.wait()
        yield
    finally:
        stop.set()
        await task


async def set_account(
    connection: Connection, settings: Settings, credentials: TwilioCredentials = CREDENTIALS
) -> None:
    async with connection.transaction():
        await set_twilio_account(connection, settings.secrets, "staff-1", credentials, actor=ADMIN)


async def created(twilio: TwilioServer, number: int) -> None:
    """Wait until Twilio has created so many messages."""
    await until(lambda: twilio.record()["created"] == number, f"{number} messages at Twilio", seconds=60)


async def called_back(callbacks: Callbacks, keys: Sequence[bytes], batch_no: int) -> None:
    """Wait until a callback of the batch has come, whichever of the keys signed it."""
    await until(lambda: bool(callbacks.rows_signed_by(keys, batch_no)), "a callback of the batch")


async def answers(connection: Connection, question: str, *values: object) -> None:
    """Wait until the database answers yes."""
    async with asyncio.timeout(30):
        while not await connection.fetchval(question, *values):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.1)


@pytest.fixture
async def internal(connection: Connection) -> str:
    """An internal campaign without an account."""
    return await add_campaign(connection, "staff-1", channel=Channel.INTERNAL)


async def others_leave(connection: Connection, campaign_id: str) -> None:
    """Let two batches of the public channel leave, one after the other: what may leave has had its turn since."""
    for _ in range(2):
        public = await add_batch(connection, campaign_id, 2)
        await answers(connection, "select success = 2 from batches where batch_no = $1", public)


async def none_left(connection: Connection, batch_no: int) -> bool:
    """Whether no message of the batch was handed over."""
    return bool(
        await connection.fetchval(
            "select (sending, sent, success, failure) = (0, 0, 0, 0) from batches where batch_no = $1",
            batch_no,
        )
    )


async def test_messages_wait_for_an_account_and_leave_once_it_is_set(
    connection: Connection, sending_settings: Settings, internal: str, campaign_id: str, twilio: TwilioServer
) -> None:
    waiting = await add_batch(connection, internal, 3)
    async with running(sending_settings):
        await others_leave(connection, campaign_id)
        assert twilio.record()["requests"] == 0
        assert await none_left(connection, waiting)
        await set_account(connection, sending_settings)
        await created(twilio, 3)
    assert twilio.record()["refused"] == {}


async def test_callbacks_are_signed_with_the_newest_key_after_a_rotation(
    connection: Connection, sending_settings: Settings, internal: str, callbacks: Callbacks
) -> None:
    await set_account(connection, sending_settings)
    before = await add_batch(connection, internal, 3)
    async with running(sending_settings):
        (old_key,) = (await load_keys(connection, sending_settings.secrets)).callback_keys
        await until(
            lambda: callbacks.rows_signed_by([old_key], before) == {2, 3, 4}, "callbacks of the first batch"
        )
        async with connection.transaction():
            await rotate_secrets(connection, sending_settings.secrets, actor=ADMIN)
        new_key = (await load_keys(connection, sending_settings.secrets)).callback_keys[0]
        # Within a second or two the sender has seen it, on a machine that has time.
        for _ in range(60):
            after = await add_batch(connection, internal, 1)
            await called_back(callbacks, [old_key, new_key], after)
            if callbacks.rows_signed_by([new_key], after):
                return
            await asyncio.sleep(0.5)
    pytest.fail("callbacks are still signed with the retired key")


async def test_while_the_key_is_changed_processes_with_either_key_send(
    connection: Connection, sending_settings: Settings, internal: str, twilio: TwilioServer
) -> None:
    await set_account(connection, sending_settings)
    changed = sending_settings.model_copy(update={"secrets": some_key()})
    async with connection.transaction():
        await rewrap_secrets(connection, changed.secrets, sending_settings.secrets, actor=ADMIN)
    for sent, settings in ((2, sending_settings), (4, changed)):
        await add_batch(connection, internal, 2)
        async with running(settings):
            await created(twilio, sent)


async def test_with_a_wrong_key_messages_wait_and_nothing_else_does(
    connection: Connection, sending_settings: Settings, internal: str, campaign_id: str, twilio: TwilioServer
) -> None:
    await set_account(connection, sending_settings)
    waiting = await add_batch(connection, internal, 2)
    async with running(sending_settings.model_copy(update={"secrets": some_key()})):
        await others_leave(connection, campaign_id)
        assert twilio.record()["requests"] == 0
        assert await none_left(connection, waiting)
    async with running(sending_settings):
        await created(twilio, 2)


async def test_a_refused_secret_pauses_the_sender_and_loses_no_message(
    connection: Connection, sending_settings: Settings, internal: str, campaign_id: str, twilio: TwilioServer
) -> None:
    await set_account(connection, sending_settings, replace(CREDENTIALS, secret="old"))
    batch_no = await add_batch(connection, internal, 20)
    paused = "select paused_since is not null from senders where name = $1"
    async with running(sending_settings):
        await answers(connection, paused, SERVICE_SID)
        await set_account(connection, sending_settings)
        await others_leave(connection, campaign_id)
        assert await connection.fetchval(paused, SERVICE_SID)
        assert twilio.record()["created"] == 0
        await connection.execute("update senders set paused_since = null, paused_because = null")
        await created(twilio, 20)
    row = await connection.fetchrow("select failure, sending from batches where batch_no = $1", batch_no)
    assert row is not None
    assert tuple(row) == (0, 0)
    assert max(twilio.record()["attempts"].values()) == 1

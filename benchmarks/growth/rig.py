"""A gateway on a filled database: servers, one node with all parts, and every call of `calls.py`, timed or with its plans."""

import asyncio
import contextlib
import io
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final
from unittest import mock

from benchmarks.growth.calls import APICall, Call, Command, Page
from benchmarks.growth.filling import Sizes, fill
from benchmarks.growth.plans import SETTINGS, Plan, find_programs, read_plans
from benchmarks.transfer import Target, sftp_command
from config.console_section import ConsoleSettings
from config.environment import Environment
from config.settings import variable_of
from console.login.sessions import COOKIE, begin_session
from database.connections import Connection
from gateway.cli.main import run_command_line
from gateway.embedded.postgres import postgres_server
from gateway.embedded.server_process import free_port
from gateway.embedded.stack import BUCKET, database_variables, mailbox_variables, s3_variables
from tests.api.conftest import make_api_key
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import DATABASE, Testbed, open_testbed, until

# Beside what PostgreSQL has by itself; nothing outlasts a power cut.
_TUNING: Final[Mapping[str, str]] = {
    "shared_buffers": "1GB", "max_wal_size": "8GB", "wal_level": "minimal", "max_wal_senders": "0", "fsync": "off",
    "full_page_writes": "off", "autovacuum": "off",
}  # fmt: skip
_KNOWN: Final = """
select (select id from campaigns where created_at = (select min(created_at) from campaigns)) as large,
    (select id from campaigns order by created_at offset 1 limit 1) as singles,
    u.campaign_id as usual, u.id as upload, u.batch_id as batch,
    message_id(u.batch_id, 3) as message, c.agency_id, c.creator_id as officer_id, o.email as officer_email,
    (select id from uploads where campaign_id = c.id and status = 'rejected' order by received_at desc limit 1) as rejected,
    (select support_id from uploads where status = 'failed' order by received_at desc limit 1) as support_id,
    (select id from users where agency_id = c.agency_id and is_pic) as pic_id, (select id from users where is_ops) as ops_id
from uploads u join campaigns c on c.id = u.campaign_id join users o on o.id = c.creator_id
where u.status = 'accepted' and c.status = 'active' and c.channel = 'public' and c.id not in (
        select id from (select id from campaigns order by created_at limit 2) first_ones)
    and c.agency_id = (select id from agencies where name = 'Agency 1')
    and exists (select from uploads r where r.campaign_id = c.id and r.status = 'rejected')
order by u.received_at desc limit 1
"""
# Workers post a month on the fifth day of the next one.
_ARE_POSTED: Final = """
select exists (
    select from billing_months
    where month = date_trunc('month', now() at time zone interval '08:00' - interval '4 days') - interval '1 month'
)
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What the calls name, and who makes them: ids, sessions of the console, keys of the API by campaign."""

    ids: Mapping[str, str]
    sessions: Mapping[str, str] = field(repr=False)
    keys: Mapping[str, str] = field(repr=False)

    def filled(self, text: str) -> str:
        return text.format_map(self.ids)


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway that runs."""

    testbed: Testbed
    node: Node
    known: Known
    api_port: int
    console_port: int
    ops_port: int
    settings: Mapping[str, str] = field(repr=False)

    @property
    def log(self) -> Path:
        return self.testbed.postgres.folder / "postgresql.log"

    @contextlib.asynccontextmanager
    async def explained(self) -> AsyncIterator[list[Plan]]:
        """Meanwhile every statement's plan is logged; the list has them at the end."""
        plans: list[Plan] = []
        begin = self.log.stat().st_size
        await self._log_plans("0")
        try:
            yield plans
        finally:
            await self._log_plans("-1")
        plans.extend(read_plans(self.log, begin))

    async def _log_plans(self, least: str) -> None:
        async with self.testbed.connected() as connection:
            await connection.execute(f"alter system set auto_explain.log_min_duration = {least}")
            await connection.execute("select pg_reload_conf()")
        # Each session reads it before its next statement; those that run meanwhile end as they began.
        await asyncio.sleep(0.2)

    async def run(self, call: Call) -> float:
        """Seconds of one call. Raises RuntimeError where it ends otherwise than it is to."""
        match call:
            case Command():
                return await asyncio.to_thread(self._run_command, call)
            case Page():
                headers = (
                    f"Sec-Fetch-Site: same-origin\r\nCookie: {COOKIE}={self.known.sessions[call.visitor]}\r\n"
                )
                return await self._get(self.console_port, self.known.filled(call.path), headers, call.status)
            case APICall():
                path = f"/api/v2/campaigns/{self.known.ids[call.campaign]}{self.known.filled(call.path)}"
                headers = f"Authorization: Bearer {self.known.keys[call.campaign]}\r\n"
                return await self._get(self.api_port, path, headers, call.status)

    async def read_metrics(self) -> float:
        """Seconds of a scrape."""
        return await self._get(self.ops_port, "/metrics", "", 200)

    async def put(self, file: Path) -> tuple[float, float]:
        """Put a file by `sftp`, a new login with it: seconds until the client has ended, and until the e-mail is there."""
        before = len(self.testbed.mailbox.messages())
        client = Target(
            "", self.node.port, f"{self.testbed.campaigns[0]}@127.0.0.1", self.testbed.key.private_file, ""
        )
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(*sftp_command(client), stdin=asyncio.subprocess.PIPE)
        await process.communicate(f"put {file} {time.time_ns()}.csv\n".encode())
        if process.returncode:
            message = f"sftp ended with {process.returncode}"
            raise RuntimeError(message)
        put = time.perf_counter() - began
        await self.testbed.mailbox.arrival(before + 1, 60)
        return put, time.perf_counter() - began

    async def start(self) -> float:
        """Seconds until a second node with all parts is ready, which then ends."""
        node = await self.testbed.add_node(
            "run", start=False, **_parts(free_port(), free_port(), free_port())
        )
        began = time.perf_counter()
        await node.start()
        seconds = time.perf_counter() - began
        await node.stop()
        return seconds

    def _run_command(self, call: Command) -> float:
        words = [self.known.filled(word).replace("~", " ") for word in call.words]
        out = io.StringIO()
        with (
            mock.patch.dict(os.environ, self.settings),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
        ):
            began = time.perf_counter()
            status = run_command_line(words)
            seconds = time.perf_counter() - began
        if status != call.status:
            message = f"{' '.join(words)}: exit status {status}: {out.getvalue()[-400:]}"
            raise RuntimeError(message)
        return seconds

    async def _get(self, port: int, path: str, headers: str, status: int) -> float:
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}\r\n".encode())
        answer = await reader.read()
        writer.close()
        if not answer.startswith(f"HTTP/1.1 {status} ".encode()):
            message = f"{path} was answered {answer[:600]!r}"
            raise RuntimeError(message)
        return time.perf_counter() - began


@contextlib.asynccontextmanager
async def open_place(sizes: Sizes, tell: Callable[[str], None], **more: str) -> AsyncIterator[Place]:
    """A gateway with so many rows; `more` are settings of its PostgreSQL."""
    server = partial(postgres_server, programs=find_programs())
    async with open_testbed(campaigns=1, proxied=False, server=server) as testbed:
        async with testbed.connected() as connection:
            await connection.execute("load 'auto_explain'")
            for name, value in {**_TUNING, **SETTINGS, **more}.items():
                await connection.execute(f"alter system set {name} = '{value}'")
        await asyncio.to_thread(testbed.postgres.restart)
        began = time.perf_counter()
        await fill(testbed.postgres.socket_url(DATABASE), sizes)
        size = await testbed.fetch_value("select pg_size_pretty(pg_database_size($1))", DATABASE)
        tell(
            f"{sizes.messages:,} messages, {sizes.uploads:,} uploads, {sizes.events:,} audit events,"
            f" {sizes.campaigns:,} campaigns: {size}, after {time.perf_counter() - began:.0f} s"
        )
        async with testbed.connected() as connection:
            known = await _find(connection)
        api_port, console_port, ops_port = free_port(), free_port(), free_port()
        node = await testbed.add_node("run", start=True, **_parts(api_port, console_port, ops_port))
        await until(partial(testbed.holds, _ARE_POSTED), "all months are posted", 900)
        async with testbed.connected() as connection:
            for table in ("billing_reports", "billing_report_campaigns", "billing_report_lines"):
                await connection.execute(f"vacuum (analyze) {table}")
        yield Place(testbed, node, known, api_port, console_port, ops_port, _settings(testbed))


async def _find(connection: Connection) -> Known:
    row = await connection.fetchrow(_KNOWN)
    assert row is not None
    ids = dict(row)
    sessions = {
        who: await begin_session(
            connection, ids[f"{who}_id"], source_address=None, browser="", settings=ConsoleSettings()
        )
        for who in ("ops", "pic", "officer")
    }
    keys = {
        name: await make_api_key(connection, ids[name], Environment.PRODUCTION)
        for name in ("large", "singles", "usual")
    }
    return Known(ids, sessions, keys)


def _parts(api_port: int, console_port: int, ops_port: int) -> dict[str, str]:
    return {
        "api__port": str(api_port), "console__port": str(console_port), "ops__port": str(ops_port),
        "console__secret": secrets.token_urlsafe(32), "api__processes": "1", "console__processes": "1", "sending__processes": "1",
    }  # fmt: skip


def _settings(testbed: Testbed) -> dict[str, str]:
    """What leads commands here."""
    return {
        variable_of("environment"): "production",
        **database_variables(testbed.postgres.tcp_url(DATABASE)),
        **s3_variables(testbed.s3_url, BUCKET),
        **mailbox_variables(testbed.mailbox),
        variable_of("sftp.host_key_dir"): str(testbed.folder / "host-keys"),
    }

"""Show 4 of admin and operations: whatever fails, no number, name, value or key gets into logs, metrics, audit or queue."""

import asyncio
import contextlib
import json
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import asyncssh
import pytest

from config.fault_points import POINTS
from gateway.embedded.mail_server import MailboxMode
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.proxy import ProxyMode
from tests.chaos.testbed.testbed import Testbed, open_testbed, until
from tests.conftest import make_key
from tests.gateway import marked

# Uploads fail after seconds instead of an hour, e-mails are given up at once, and everything is logged.
QUICK = {
    "log__level": "debug",
    "worker__retry_for": "2",
    "sftp__acknowledge_timeout": "2",
    "smtp__give_up_hours": "0.0001",
    "sftp__max_upload_bytes": "200000",
    "sftp__temporary_name_minutes": "0.01",
}
_DEATHS = ("verdict.copied", "intake.before_commit", "notification.sent")
assert set(_DEATHS) <= set(POINTS)
_TROUBLES = (asyncssh.Error, OSError, TimeoutError)
# What PostgreSQL then says holds the row: a recipient, or a file's name.
_HOSTILE = """
create function tell() returns trigger language plpgsql as $$ begin raise exception 'no: %', new; end $$;
create trigger hostile before {when} on {table} for each row execute function tell();
"""


class Agency:
    """Sends to one node, by asyncssh's client."""

    def __init__(self, testbed: Testbed, node: Node) -> None:
        self.testbed = testbed
        self.node = node
        self.sent = 0

    @contextlib.asynccontextmanager
    async def session(self, campaign: int = 0) -> AsyncIterator[asyncssh.SFTPClient]:
        async with (
            self.connection(self.testbed.key.private_file, campaign) as connection,
            connection.start_sftp_client() as client,
        ):
            yield client

    def connection(
        self, key: Path, campaign: int = 0, *, password: str | None = None
    ) -> contextlib.AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
        return asyncssh.connect(
            "127.0.0.1", self.node.port, username=self.testbed.campaigns[campaign], client_keys=[str(key)],
            password=password, known_hosts=None, config=None, login_timeout=20,
        )  # fmt: skip

    async def put(self, client: asyncssh.SFTPClient, content: bytes, name: str | bytes | None = None) -> bool:
        """One upload; whether it was acknowledged."""
        self.sent += 1
        try:
            async with (
                asyncio.timeout(20),
                client.open(name or f"{marked.FILE}-{self.sent}.csv", "wb") as file,
            ):
                await file.write(content)
        except _TROUBLES:
            return False
        return True

    async def put_all(self, contents: Iterable[bytes], campaign: int = 0) -> None:
        with contextlib.suppress(*_TROUBLES):
            async with self.session(campaign) as client:
                for content in contents:
                    await self.put(client, content)

    async def until_logged(self, event: str) -> None:
        async def logged() -> bool:
            return f'"{event}"' in self.node.log.read_text()

        await until(logged, f"the node logs {event}", 40)


async def all_kinds_of_files(agency: Agency) -> None:
    """Accepted and rejected ones, four sessions at once."""
    await asyncio.gather(
        agency.put_all(map(marked.good_file, range(25)), 0),
        agency.put_all(map(marked.good_file, range(25, 50)), 1),
        agency.put_all(marked.bad_files(), 2),
        agency.put_all(marked.bad_files(), 0),
    )


async def refused_at_the_door(agency: Agency) -> None:
    """Names, sizes, interruptions, other requests than uploads, other keys."""
    content = marked.good_file(1000)
    async with agency.session() as client:
        for name in marked.names():
            await agency.put(client, content, name)
        await agency.put(client, content, f"{marked.FILE}.csv.part")
        await agency.put(client, content * 2000)
        await agency.put(client, (content * 400)[: 2 * 16_384])
        for request in (
            client.rename(f"{marked.FILE}-1.csv", f"{marked.FILE}-renamed.csv"),
            client.remove(f"{marked.FILE}-1.csv"),
            client.mkdir(marked.NAME),
            client.symlink(marked.NAME, marked.FILE),
            client.stat(f"{marked.FILE}-none.csv"),
            client.getsize(f"{marked.NAME}/{marked.FILE}"),
            client.get(f"{marked.FILE}-1.csv", agency.testbed.folder / "got.csv"),
        ):
            with contextlib.suppress(asyncssh.SFTPError):
                await request
        begun = await client.open(f"{marked.FILE}-cut.csv", "wb")
        await begun.write(content)
        agency.sent += 1
    for password in (None, marked.NAME):
        with contextlib.suppress(*_TROUBLES):
            async with agency.connection(agency.testbed.folder / "stranger", password=password):
                raise AssertionError("a stranger was let in")
    with contextlib.suppress(*_TROUBLES):
        async with agency.connection(agency.testbed.key.private_file) as connection:
            await connection.run(f"cat {marked.FILE}", check=False)


async def malformed_packets(agency: Agency) -> None:
    """Each stream in a channel of its own."""
    async with agency.connection(agency.testbed.key.private_file) as connection:
        for stream in marked.malformed_streams():
            with contextlib.suppress(*_TROUBLES):
                async with (
                    asyncio.timeout(10),
                    connection.create_process(subsystem="sftp", encoding=None) as process,
                ):
                    process.stdin.write(stream)
                    process.stdin.write_eof()
                    await process.stdout.read()


async def bucket_away(agency: Agency) -> None:
    """At CLOSE, and at the verdict."""
    proxy = agency.testbed.proxy
    async with agency.session() as client:
        for mode in (ProxyMode.FORBIDDING, ProxyMode.AWAY):
            await proxy.become(mode)
            assert not await agency.put(client, marked.good_file(2000))
        await proxy.become(ProxyMode.PASSING)
        for number in range(2001, 2007):
            assert await agency.put(client, marked.good_file(number))
        await proxy.become(ProxyMode.AWAY)
        await agency.until_logged("verdict_delayed")
        await proxy.become(ProxyMode.PASSING)
    await agency.until_logged("upload_not_stored")


async def database_restarted(agency: Agency) -> None:
    """In the middle of uploads: those that meet it fail or wait."""
    async with agency.session() as client:
        sending = asyncio.create_task(agency.put(client, marked.good_file(3000)))
        restarting = asyncio.create_task(asyncio.to_thread(agency.testbed.postgres.restart))
        await sending
        for number in range(3001, 3006):
            await agency.put(client, marked.good_file(number))
        await restarting
    await agency.until_logged("access_watch_lost")


async def mail_refused(agency: Agency) -> None:
    """For now (and given up at once, here), for good."""
    for mode, event in (
        (MailboxMode.REFUSING_FOR_GOOD, "notification_refused"),
        (MailboxMode.REFUSING_FOR_NOW, "notification_given_up"),
    ):
        agency.testbed.mailbox.become(mode)
        await agency.put_all([marked.good_file(4000 + mode.value), *list(marked.bad_files())[:2]])
        await agency.until_logged(event)
    agency.testbed.mailbox.become(MailboxMode.ACCEPTING)


async def rows_that_postgresql_quotes(agency: Agency) -> None:
    """PostgreSQL refuses a row, and says all of it: to the intake, to the verdict, to the queue."""
    for table, when, event in (
        ("uploads", "insert", "internal_error"),
        # The verdict crashes until its time is up, however long a busy machine takes over each attempt.
        ("messages", "insert", "upload_failed"),
        ("uploads", "update", "job_crashed"),
    ):
        for statement in _HOSTILE.format(table=table, when=when).strip().splitlines():
            await agency.testbed.fetch(statement)
        await agency.put_all([marked.good_file(5000 + len(table))])
        await agency.until_logged(event)
        await agency.testbed.fetch("drop function tell cascade")


async def killed_at_steps(agency: Agency) -> None:
    """A front and a worker die in the middle of their work; `make chaos` has all the steps."""
    for number, point in enumerate(_DEATHS):
        trap = agency.testbed.fault_points / point
        await asyncio.to_thread(trap.touch)
        await agency.put_all([marked.good_file(6000 + number)])

        async def sprung(trap: Path = trap) -> bool:
            return not await asyncio.to_thread(trap.exists)

        await until(sprung, f"a death at {point}", 40)


async def keys_refused(agency: Agency) -> None:
    """A private key is pasted, a stranger's public one looked at."""
    for file in ("stranger", "key"):
        with pytest.raises(subprocess.CalledProcessError):
            await agency.node.command_line(
                "key", "add", agency.testbed.campaigns[0], str(agency.testbed.folder / file)
            )
    await agency.node.command_line("key", "check", str(agency.testbed.folder / "stranger.pub"))


async def places_of(testbed: Testbed, node: Node) -> dict[str, str]:
    """All that may hold no mark, as text."""
    ready = [json.loads(line) for line in node.log.read_text().splitlines() if '"node_ready"' in line]
    places = {"metrics": await asyncio.to_thread(_fetch, f"http://127.0.0.1:{ready[-1]['ops_port']}/metrics")}
    tables = await testbed.fetch(
        "select relname from pg_class where relkind = 'r' and relname like 'pgqueuer%'"
    )
    for table in ["audit_events", *(row["relname"] for row in tables)]:
        places[table] = "\n".join(
            row["line"] for row in await testbed.fetch(f"select t::text as line from {table} t")
        )
    places["log"] = node.log.read_text()
    return places


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read(), "utf-8")


@pytest.mark.timeout(240)
async def test_nothing_leaks_whatever_fails() -> None:
    async with open_testbed() as testbed:
        stranger = make_key(testbed.folder, "-t", "ed25519", name="stranger")
        node = await testbed.add_node("run", start=True, **QUICK)
        agency = Agency(testbed, node)
        for stage in (
            all_kinds_of_files,
            refused_at_the_door,
            malformed_packets,
            bucket_away,
            database_restarted,
            mail_refused,
            rows_that_postgresql_quotes,
            killed_at_steps,
            keys_refused,
        ):
            await stage(agency)
        await until(lambda: _is_quiet(testbed), "all outcomes", 60)
        places = await places_of(testbed, node)

        secrets = marked.secrets_of(
            testbed.key.private_file, stranger.private_file, *(testbed.folder / "host-keys").glob("*_key")
        )
        password = testbed.postgres.tcp_url("postgres").partition("@")[0].rpartition(":")[2]
        marks = [*marked.MARKS, *secrets, password, "embedded/secret", "night1@agency.example"]
        assert not (found := marked.leaks(places, marks)), "\n".join(found)

        # None of this would mean anything if nothing had failed, or if nothing could be found.
        assert agency.sent >= 100
        statuses = {row["status"] for row in await testbed.fetch("select distinct status from uploads")}
        assert statuses == {"accepted", "rejected", "failed"}
        kept = {
            table: "\n".join(
                row["line"] for row in await testbed.fetch(f"select t::text as line from {table} t")
            )
            for table in ("uploads", "messages")
        }
        assert marked.marks_in(kept["uploads"], [marked.FILE]) == {marked.FILE}
        assert marked.marks_in(kept["messages"], marked.MARKS) >= set(marked.MARKS) - {marked.FILE}
        assert all(len(text) > 100 for text in places.values() if text)
        assert {"metrics", "audit_events", "pgqueuer", "pgqueuer_log", "log"} <= places.keys()


async def _is_quiet(testbed: Testbed) -> bool:
    left = await testbed.fetch_value(
        "select (select count(*) from uploads where finished_at is null)"
        " + (select count(*) from notifications where done_at is null)"
    )
    return bool(left == 0)

"""A whole gateway that real clients send to: one node of the chaos testbed, a slow line to it, and what came of an upload."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from tests.chaos.testbed.files import UploadFile
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import Testbed, open_testbed, until
from tests.clients.driver import Abort, AccessDetails, Client, Invocation
from tests.clients.relay import Relay, open_relay

_DEADLINE: Final = 90.0
# A client that goes on trying after its connection is gone or after a signal is killed after so many seconds.
_PATIENCE: Final = 4.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a client ended. `status`: negative is the signal that killed it."""

    status: int
    screen: str


@dataclass(frozen=True, slots=True)
class Aborted:
    """How an upload that was to be brought down ended.

    `hit` says whether the client was still sending when the abort came, `moved` how many bytes had passed by then.
    """

    ended: Ended
    hit: bool
    moved: int


@dataclass
class GatewayUnderTest:
    """The testbed with a node or two, a home folder for each client, and the uploads on disk.

    `node` has the default settings; `wide`, where there is one, is a front for clients that need `sftp.compatibility = "wide"`.
    """

    testbed: Testbed
    node: Node
    wide: Node | None
    ppk: Path
    homes: int = 0
    _paths: dict[str, Path] = field(default_factory=dict)

    def node_for(self, client: Client) -> Node:
        """The node that this client can speak to."""
        if not client.needs_wide:
            return self.node
        assert self.wide is not None, f"{client.name} needs a gateway that was opened with `wide`"
        return self.wide

    def access_for(self, campaign_id: str, port: int) -> AccessDetails:
        """What a client of that campaign needs to log in at `port`, a node's or that of a line which leads to one."""
        self.homes += 1
        home = self.testbed.folder / "homes" / str(self.homes)
        (home / ".ssh").mkdir(parents=True)
        # Twisted looks for the address without its port.
        lines = "".join(
            f"{key.known_hosts_line('127.0.0.1', port)}\n{key.known_hosts_line('127.0.0.1', 22)}\n"
            for key in self.testbed.host_keys
        )
        (home / ".ssh" / "known_hosts").write_text(lines)
        fingerprints = [key.fingerprint for key in self.testbed.host_keys]
        return AccessDetails(port, campaign_id, self.testbed.key.private_file, self.ppk, home, fingerprints)

    def path_of(self, file: UploadFile) -> Path:
        """The upload on this machine's disk."""
        path = self._paths.get(file.name)
        if path is None:
            path = self._paths[file.name] = self.testbed.folder / "files" / file.name
            path.write_bytes(file.content)
        return path

    def forget(self, file: UploadFile) -> None:
        """Remove the upload from this machine's disk."""
        if path := self._paths.pop(file.name, None):
            path.unlink()

    async def run(self, invocation: Invocation, deadline: float = _DEADLINE) -> Ended:
        """Run a client to its end."""
        async with _started(invocation, self.testbed.folder) as program:
            return await program.finish(deadline)

    async def abort(
        self,
        client: Client,
        invocation: Invocation,
        relay: Relay,
        way: Abort,
        *,
        at: int,
        whole_group: bool = True,
    ) -> Aborted:
        """Run a client over that line, and bring it down when `at` bytes have gone over it."""
        async with _started(invocation, self.testbed.folder) as program:
            ended = asyncio.create_task(program.finish(_DEADLINE))
            if way is Abort.OWN:
                return Aborted(await ended, hit=True, moved=relay.moved)
            reached = asyncio.create_task(relay.reached(at))
            await asyncio.wait({ended, reached}, return_when=asyncio.FIRST_COMPLETED)
            reached.cancel()
            if ended.done():
                return Aborted(await ended, hit=False, moved=relay.moved)
            moved = relay.moved
            if way is Abort.CUT:
                await relay.cut()
            else:
                program.strike(signal.Signals[f"SIG{way.value}"], whole_group=whole_group)
                # The line gets fast, so that what the client has queued does not take long.
                relay.rate = None
            done, _ = await asyncio.wait({ended}, timeout=_PATIENCE)
            if not done:
                program.strike(signal.SIGKILL, whole_group=True)
            return Aborted(await ended, hit=True, moved=moved)

    @contextlib.asynccontextmanager
    async def line(self, node: Node, rate: int | None) -> AsyncIterator[Relay]:
        """A line to a node, at `rate` bytes a second."""
        async with open_relay(node.port, rate) as relay:
            yield relay

    async def fetch_taken(self, campaign_id: str, name: str) -> list[tuple[str, str, int | None]]:
        """The uploads taken in under that name, refusals not among them: id, sha256, messages where accepted."""
        rows = await self.testbed.fetch(
            """select id, sha256, status, total_messages from uploads
               where campaign_id = $1 and file_name = $2 and refusal_code is null order by received_at""",
            campaign_id,
            name,
        )
        return [
            (row["id"], row["sha256"], row["total_messages"] if row["status"] == "accepted" else None)
            for row in rows
        ]

    async def until_mailed(self, campaign_id: str, name: str, timeout: float = 60) -> None:
        """Wait until every upload of that name has been decided, and its e-mail sent."""

        async def mailed() -> bool:
            return await self.testbed.holds(
                """select count(*) > 0 and count(*) = count(notified_at) from uploads
                       where campaign_id = $1 and file_name = $2 and refusal_code is null""",
                campaign_id,
                name,
            )

        await until(mailed, f"the e-mail for {name}", timeout)

    async def check_accepted_once(self, campaign_id: str, file: UploadFile) -> None:
        """Check that exactly one whole upload of this name was taken, with one batch of the right rows and one e-mail.

        Raises AssertionError.
        """
        await self.until_mailed(campaign_id, file.name)
        taken = await self.fetch_taken(campaign_id, file.name)
        assert [(sha256, rows) for _, sha256, rows in taken] == [(file.sha256, file.rows)], taken
        batches = await self.testbed.fetch_value(
            "select count(*) from batches where campaign_id = $1 and original_file_name = $2",
            campaign_id,
            file.name,
        )
        assert batches == 1, f"{batches} batches of {file.name}"
        bodies = [_body(mail) for mail in await self.mails_of(taken[0][0])]
        assert [body["isValid"] for body in bodies] == [True], bodies

    async def mails_of(self, upload_id: str) -> list[EmailMessage]:
        """The e-mails for an upload."""
        messages = await asyncio.to_thread(self.testbed.mailbox.messages)
        return [message for message in messages if str(message["X-Upload-Id"]) == upload_id]


def _body(mail: EmailMessage) -> dict[str, object]:
    body = json.loads(mail.get_content())
    assert isinstance(body, dict)
    return body


class _Program:
    """A running client, in a process group of its own as under a terminal."""

    def __init__(self, process: asyncio.subprocess.Process, stdin: bytes) -> None:
        self._process = process
        self._stdin = stdin

    async def finish(self, deadline: float) -> Ended:
        try:
            async with asyncio.timeout(deadline):
                screen, _ = await self._process.communicate(self._stdin)
        except TimeoutError:
            self.strike(signal.SIGKILL, whole_group=True)
            await self._process.wait()
            screen = b"killed by its deadline"
        assert self._process.returncode is not None
        return Ended(self._process.returncode, screen.decode(errors="replace"))

    def strike(self, number: signal.Signals, *, whole_group: bool) -> None:
        with contextlib.suppress(ProcessLookupError):
            if whole_group:
                os.killpg(self._process.pid, number)
            elif self._process.returncode is None:
                self._process.send_signal(number)


@contextlib.asynccontextmanager
async def _started(invocation: Invocation, folder: Path) -> AsyncIterator[_Program]:
    process = await asyncio.create_subprocess_exec(
        *invocation.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env={**os.environ, **invocation.environment},
        start_new_session=True,
    )
    program = _Program(process, invocation.stdin)
    try:
        yield program
    finally:
        # The whole group is killed: an `ssh` may outlive the client that started it.
        program.strike(signal.SIGKILL, whole_group=True)
        await process.wait()


@contextlib.asynccontextmanager
async def open_gateway(
    *, campaigns: int, wide: bool = False, keep_logs: Path | None = None
) -> AsyncIterator[GatewayUnderTest]:
    """Open a testbed with one node, and with `wide` a second one for clients that need it.

    Clients would inherit an ignored SIGINT from a shell's background job and could not be interrupted, so it is set back.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    async with open_testbed(campaigns=campaigns, keep_logs=keep_logs) as testbed:
        node = await testbed.add_node("run")
        second = await testbed.add_node("sftpd", sftp__compatibility="wide") if wide else None
        ppk = testbed.folder / "key.ppk"
        if puttygen := shutil.which("puttygen"):
            command = [puttygen, str(testbed.key.private_file), "-O", "private", "-o", str(ppk)]
            await asyncio.to_thread(subprocess.run, command, check=True, timeout=30)
        yield GatewayUnderTest(testbed, node, second, ppk)

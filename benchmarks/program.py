"""A whole gateway from one source tree, measured from outside: by its commands, its settings, SFTP and its tables.

Those are contracts, so that the same measure fits any earlier commit, whatever its modules are called. Only validation is
measured by the tree's own `benchmarks.validation --one`, which has no other way in that leaves out the imports.
"""

import asyncio
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import asyncssh

from benchmarks.files import TEMPLATE
from benchmarks.transfer import Target, put_together, sftp_command
from config.settings import PREFIX, variable_of
from gateway.embedded.server_process import ServerProcess, free_port
from gateway.embedded.stack import DATABASE, EmbeddedStack, embedded_stack
from tests.chaos.testbed.testbed import until
from tests.conftest import KeyPair, make_key

_DEADLINE: Final = 120.0


@dataclass(frozen=True, slots=True)
class Program:
    """The gateway of the source tree `tree`, run by this Python with the libraries that are installed for it."""

    name: str
    tree: Path

    @property
    def environment(self) -> dict[str, str]:
        """This shell's environment without settings of a gateway; modules come from the tree before any other place."""
        own = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
        return {**own, "PYTHONPATH": str(self.tree)}

    def check_origin(self) -> None:
        """Raises RuntimeError where Python would take the gateway's modules from another tree than this one."""
        found = self._run(["-P", "-c", "import gateway; print(*gateway.__path__)"], self.environment).strip()
        if Path(found).parent.resolve() != self.tree.resolve():
            message = f"the program {self.name} would be taken from {found}, not from {self.tree}"
            raise RuntimeError(message)

    def measure_validation(self, kind: str, runs: int) -> dict[str, float]:
        """Seconds and processor seconds of the best run over that kind of file, and the peak memory above idle in MB."""
        call = ["-m", "benchmarks.validation", "--one", kind, "--runs", str(runs)]
        figures: dict[str, float] = json.loads(self._run(call, self.environment))
        return figures

    def command(self, *arguments: str, settings: dict[str, str]) -> str:
        """What `sftp-gateway …` prints with those settings. Raises CalledProcessError."""
        return self._run(["-P", "-m", "gateway", *arguments], {**self.environment, **settings})

    def _run(self, call: list[str], environment: dict[str, str]) -> str:
        done = subprocess.run(
            [sys.executable, *call],
            cwd=self.tree,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=600,
        )
        return done.stdout

    @contextlib.contextmanager
    def node(self, command: str, settings: dict[str, str], log: Path) -> Iterator[ServerProcess]:
        """`sftp-gateway sftpd` or `worker`, ready; stopped at the end. Raises EmbeddedError with the end of its log."""
        begin = log.stat().st_size if log.exists() else 0

        def ready() -> bool:
            with log.open("rb") as lines:
                lines.seek(begin)
                return b'"node_ready"' in lines.read()

        process = ServerProcess(
            f"{self.name} {command}",
            [sys.executable, "-P", "-m", "gateway", command],
            log=log,
            environment={**self.environment, **settings},
        )
        try:
            process.wait_until_ready(ready, timeout=60)
            yield process
        finally:
            process.stop(timeout=60)


@dataclass
class Installation:
    """A program with servers, a schema, a campaign and a listening front of its own. The worker runs where a measure needs it."""

    program: Program
    folder: Path
    settings: dict[str, str]
    customer: Target
    connection: "asyncpg.Connection[asyncpg.Record]"

    async def measure_large_upload(self, path: Path, warm_up: Path) -> tuple[float, float]:
        """Seconds of the client's whole put, and seconds from the CLOSE of another one to the commit of its messages.

        `warm_up` is put before, since a worker loads its tables with the first upload.
        """
        with self._worker():
            async with self._one_batch():
                await asyncio.to_thread(put_together, self.customer, [warm_up])
            async with self._one_batch():
                put = await asyncio.to_thread(put_together, self.customer, [path])
            return put, await self._close_to_verdict(await asyncio.to_thread(path.read_bytes))

    async def _close_to_verdict(self, content: bytes) -> float:
        session = asyncssh.connect(
            "127.0.0.1",
            self.customer.port,
            username=self.customer.login.partition("@")[0],
            client_keys=[str(self.customer.key)],
            known_hosts=None,
        )
        async with session as opened, opened.start_sftp_client() as client:
            upload = await client.open(f"{time.time_ns()}.csv", "wb")
            await upload.write(content)
            async with self._one_batch() as batch:
                began = time.perf_counter()
                await upload.close()
            return batch.committed_at - began

    async def measure_copy(self, rows: int) -> float:
        """Seconds of COPY of so many rows into the table of messages as it is, rolled back; the median of three."""
        numbered = await self.connection.fetchval(
            "select exists (select from information_schema.columns where table_name = 'messages' and column_name = 'batch_no')"
        )
        # The number of a batch is a default, which its own insertion leaves in this setting; before that rows named their batch.
        columns = ["recipient", "language", "values", "segments", "encoding", "row_number"]
        begin = "" if numbered else "batch_copied\t"
        text = "".join(
            f'{begin}65{80_000_000 + row}\tenglish\t{{"name": "Emily Yeo", "topic": "letter {row}"}}\t1\tGSM-7\t{row}\n'
            for row in range(2, rows + 2)
        ).encode()
        seconds = []
        for _ in range(3):
            await self.connection.execute("checkpoint")
            transaction = self.connection.transaction()
            await transaction.start()
            await self.connection.execute("select set_config('sftp_gateway.batch_no', '999999', true)")
            began = time.perf_counter()
            await self.connection.copy_to_table(
                "messages",
                source=io.BytesIO(text),
                columns=columns if numbered else ["batch_id", *columns],
                format="text",
            )
            seconds.append(time.perf_counter() - began)
            await transaction.rollback()
        return statistics.median(seconds)

    async def measure_uploads_per_second(self, path: Path, count: int) -> float:
        """The rate at which a worker that finds `count` uploads waiting decides them and has their e-mails taken."""
        names = [f"{time.time_ns()}-{number}.csv" for number in range(count)]
        lines = "".join(f"put {path} {name}\n" for name in names)
        await asyncio.to_thread(
            subprocess.run,
            sftp_command(self.customer),
            input=lines.encode(),
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=_DEADLINE,
        )

        async def all_notified() -> bool:
            return bool(await self._ask(names, "count(*) = count(notified_at)"))

        with self._worker():
            await until(all_notified, "all uploads decided and their e-mails sent", _DEADLINE)
        seconds = await self._ask(
            names, "extract(epoch from max(notified_at) - min(deciding_since))::double precision"
        )
        return count / float(seconds)

    def _worker(self) -> contextlib.AbstractContextManager[ServerProcess]:
        return self.program.node("worker", self.settings, self.folder / "worker.log")

    async def _ask(self, names: list[str], question: str) -> Any:
        # The question is one of two that stand in this module.
        statement = f"select {question} from uploads where file_name = any($1)"
        return await self.connection.fetchval(statement, names)

    @contextlib.asynccontextmanager
    async def _one_batch(self) -> "AsyncIterator[_Batch]":
        """Leave only when a batch has been committed since; then remove its messages, so that no round meets more of them."""
        batch = _Batch()
        await self.connection.execute("checkpoint")
        await self.connection.add_listener("sftp_gateway_batches", batch.note)
        try:
            yield batch
            await asyncio.wait_for(batch.committed.wait(), _DEADLINE)
        finally:
            await self.connection.remove_listener("sftp_gateway_batches", batch.note)
        await self.connection.execute("truncate messages")


class _Batch:
    """The next batch that PostgreSQL tells of, and when it did, on the clock of `time.perf_counter`."""

    def __init__(self) -> None:
        self.committed = asyncio.Event()
        self.committed_at = 0.0

    def note(self, *_: object) -> None:
        self.committed_at = time.perf_counter()
        self.committed.set()


@contextlib.asynccontextmanager
async def installed(program: Program, folder: Path) -> AsyncIterator[Installation]:
    """The program on embedded servers under `folder`, set up by its own commands. Everything ends at the end."""
    with ExitStack() as stack:
        servers = stack.enter_context(embedded_stack(folder))
        settings = _settings(servers)
        key = make_key(folder, "-t", "ed25519")
        campaign_id = await asyncio.to_thread(_provision, program, settings, key)
        stack.enter_context(program.node("sftpd", settings, folder / "sftpd.log"))
        port = int(settings[variable_of("sftp.port")])
        customer = Target(program.name, port, f"{campaign_id}@127.0.0.1", key.private_file, "")
        connection = await asyncpg.connect(servers.postgres.socket_url(DATABASE), timeout=10)
        try:
            yield Installation(program, folder, settings, customer, connection)
        finally:
            await connection.close()


def _settings(servers: EmbeddedStack) -> dict[str, str]:
    # An earlier commit refuses settings that it doesn't know.
    common = {name: value for name, value in servers.settings().items() if "_SENDING__" not in name}
    return {
        **common,
        variable_of("environment"): "production",
        variable_of("sftp.host"): "127.0.0.1",
        variable_of("sftp.port"): str(free_port()),
        variable_of("ops.port"): "0",
        variable_of("log.format"): "json",
    }


def _provision(program: Program, settings: dict[str, str], key: KeyPair) -> str:
    program.command("migrate", settings=settings)
    program.command("hostkey", "generate", settings=settings)
    bodies = [
        part
        for language, body in TEMPLATE.bodies.items()
        for part in ("--template", f"{language.value}={body}")
    ]
    created = program.command(
        "campaign", "create", "--name", TEMPLATE.header, "--notify", "bench@agency.example", "--json", *bodies,
        settings=settings,
    )  # fmt: skip
    campaign_id = str(json.loads(created)["campaignId"])
    public_file = key.private_file.with_suffix(".pub")
    program.command("key", "add", campaign_id, str(public_file), settings=settings)
    return campaign_id

"""Uploads that cost much, through a running gateway: a campaign that sends them pays for them, and its neighbours don't.

The order of outcomes is checked, and deadlines are wide, since machines differ. `pytest -s` prints what was measured.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import asyncpg
import psutil
import pytest

from audit.events import Actor
from campaigns.campaigns import add_keys
from campaigns.creation import create_campaign
from config.settings import Settings, variable_of
from database.connections import connect
from gateway.embedded.mail_server import Mailbox
from keys.key_files import parse_public_keys
from processing.object_store import make_client
from rules.characters.unsupported import UnsupportedRule
from rules.templates import Language, Template
from tests.conftest import KeyPair, run_apart
from tests.gateway.nodes import Node, call, wait_until

PRODUCTION: Final = {
    variable_of("environment"): "production",
    # As it is by default: the tests' other workers have one.
    variable_of("worker.concurrent_verdicts"): "2",
}
MEGABYTE: Final = 1_000_000
# What the contract lets one worker take above its idle memory, and a report's largest size.
MOST_MEMORY: Final = 700 * MEGABYTE
MOST_REPORT: Final = 110 * MEGABYTE
COPIES: Final = 200
SESSIONS: Final = 4
HEADER: Final = b"recipient,language,name\n"

Fetch = Callable[..., list[asyncpg.Record]]


@pytest.fixture
def fetch(database_url: str) -> Fetch:
    """Asks the database."""

    async def ask(statement: str, *arguments: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(database_url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    return lambda statement, *arguments: run_apart(ask(statement, *arguments))


def add_campaign(settings: Settings, key: KeyPair, parameters: int) -> str:
    """A campaign whose body has so many parameters, `p1` and so on. Gives its campaignId."""

    async def add() -> str:
        connection = await connect(settings.database)
        try:
            async with connection.transaction():
                body = " ".join(f"{{{{p{number}}}}}" for number in range(1, parameters + 1))
                campaign = await create_campaign(
                    connection,
                    name=f"Heavy {parameters}",
                    template=Template("Agency", {Language.ENGLISH: body}),
                    notify_email="heavy@agency.example",
                    unsupported=UnsupportedRule(),
                    actor=Actor("test"),
                )
                keys = parse_public_keys(key.public_line.encode())
                await add_keys(connection, campaign.id, keys, label="test", actor=Actor("test"))
        finally:
            await connection.close()
        return campaign.id

    return run_apart(add())


def put_copies(node: Node, path: Path, copies: int) -> None:
    """Upload the same file under the same name so often, in several sessions at once."""

    def put(count: int) -> None:
        with node.sftp() as client:
            _, errors = client.communicate(f"put {path}\n" * count, timeout=240)
            assert client.returncode == 0, errors

    with ThreadPoolExecutor(SESSIONS) as threads:
        list(threads.map(put, [copies // SESSIONS] * SESSIONS))


@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    ("row", "outcome"), [(b"6599999999,english,Emily\n", "accepted"), (b"1,english,Emily\n", "rejected")]
)
def test_identical_uploads_are_decided_together(
    start_node: Callable[..., Node],
    fetch: Fetch,
    mailbox: Mailbox,
    tmp_path: Path,
    row: bytes,
    outcome: str,
) -> None:
    """Half of them wait when the worker starts, and half come while it works."""
    path = tmp_path / "same.csv"
    path.write_bytes(HEADER + row)
    front = start_node("sftpd")
    put_copies(front, path, COPIES // 2)
    began = time.monotonic()
    worker = start_node("worker")
    wait_until(lambda: bool(fetch("select from uploads where finished_at is not null")), "one decided", 60)
    put_copies(front, path, COPIES // 2)

    def all_decided() -> bool:
        return bool(fetch("select count(*) from uploads where finished_at is not null")[0][0] == COPIES)

    wait_until(all_decided, "all of them decided", 120)
    longest = fetch(
        "select extract(epoch from max(finished_at - received_at))::float from "
        "(select * from uploads order by received_at desc limit $1) latest",
        COPIES // 2,
    )[0][0]
    print(
        f"\n{COPIES} identical uploads, {outcome}: all decided {time.monotonic() - began:.1f} s after the worker's start; "
        f"those that came while it worked waited {longest:.2f} s at most"
    )
    assert [tuple(found) for found in fetch("select status, count(*) from uploads group by 1")] == [
        (outcome, COPIES)
    ]
    batches = fetch("select count(*) from batches")[0][0]
    assert batches == (1 if outcome == "accepted" else 0)
    mailbox.wait_for(COPIES, 120)
    wait_until(lambda: not fetch("select from pgqueuer"), "an empty queue", 60)
    messages = mailbox.messages()
    assert len({message["Message-ID"] for message in messages}) == len(messages) == COPIES
    # Nobody waits by being tried again: each job is taken once and ends well.
    troubles = fetch("select status, traceback from pgqueuer_log where traceback is not null")
    assert not troubles, f"{len(troubles)} troubles, the first: {troubles[0]}"
    runs = fetch(
        "select job_id from pgqueuer_log where status = 'picked' group by job_id having count(*) > 1"
    )
    assert not runs
    # Nobody is forgotten either, until the sweep finds him.
    assert not worker.events("jobs_swept")


class TreeMemory:
    """The memory of a process and all its descendants, looked at in a thread."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.most = 0
        self.done = threading.Event()

    def now(self) -> int:
        """Bytes of memory, where what processes share counts for each."""
        total = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total

    def watch(self) -> None:
        while not self.done.wait(0.05):
            self.most = max(self.most, self.now())


@contextmanager
def watched(memory: TreeMemory) -> Iterator[None]:
    with ThreadPoolExecutor(1) as thread:
        watching = thread.submit(memory.watch)
        try:
            yield
        finally:
            memory.done.set()
            watching.result()


def wait_idle(memory: TreeMemory) -> int:
    """Wait until nothing grows any more, as the child processes get warm. Gives the bytes that the tree has then."""
    before, still_since = memory.now(), time.monotonic()
    deadline = time.monotonic() + 60
    while time.monotonic() - still_since < 2:
        assert time.monotonic() < deadline, "its memory goes on growing"
        time.sleep(0.1)
        now = memory.now()
        if abs(now - before) > MEGABYTE:
            before, still_since = now, time.monotonic()
    return memory.now()


@pytest.mark.timeout(500)
def test_heavy_uploads_take_no_more_than_their_share(
    start_node: Callable[..., Node],
    settings: Settings,
    ed25519_key: KeyPair,
    fetch: Fetch,
    good_file: Path,
    tmp_path: Path,
) -> None:
    """Both uploads under way are such that each row has a finding for each column; another campaign's small one passes."""
    heavy = {"narrow.csv": 3, "wide.csv": 10}
    node = start_node(**PRODUCTION)
    (worker,) = node.children("worker")
    memory = TreeMemory(worker)
    idle = wait_idle(memory)
    with watched(memory), ThreadPoolExecutor(len(heavy)) as threads:

        def put(name: str, parameters: int) -> int:
            columns = ",".join(f"p{number}" for number in range(1, parameters + 1))
            path = tmp_path / name
            path.write_bytes(
                f"recipient,language,{columns}\n".encode()
                + (b"1" + b"," * (parameters + 1) + b"\n") * 1_699_000
            )
            print(f"\n{name}: {path.stat().st_size / MEGABYTE:.1f} MB")
            campaign = add_campaign(settings, ed25519_key, parameters)
            return replace(node, campaign=campaign).upload(path)

        assert list(threads.map(put, heavy, heavy.values())) == [0] * len(heavy)
        wait_until(lambda: bool(fetch("select from uploads where status <> 'received'")), "one begun", 60)
        assert node.upload(good_file) == 0
        wait_until(
            lambda: fetch("select count(*) from uploads where finished_at is not null")[0][0] == 3,
            "all decided",
            240,
        )
    found = {row["file_name"]: row for row in fetch("select * from uploads")}
    client = make_client(settings.s3, endpoint_url=settings.s3.endpoint_url)
    reports = {
        name: client.head_object(Bucket=settings.s3.bucket, Key=found[name]["report_key"])["ContentLength"]
        for name in heavy
    }
    seconds = {name: (row["finished_at"] - row["received_at"]).total_seconds() for name, row in found.items()}
    small = found.pop(good_file.name)
    print(
        f"\nidle {idle / MEGABYTE:.0f} MB, at most {(memory.most - idle) / MEGABYTE:.0f} MB above it; "
        f"bytes of the reports: {reports}; seconds from receipt to outcome: {seconds}"
    )
    assert {row["status"] for row in found.values()} == {"rejected"}
    assert small["status"] == "accepted"
    assert small["finished_at"] < max(row["finished_at"] for row in found.values())
    assert memory.most - idle <= MOST_MEMORY
    assert max(reports.values()) <= MOST_REPORT


def test_an_upload_over_a_limit_fails_at_once_and_ops_see_which(
    start_node: Callable[..., Node],
    gateway_variables: dict[str, str],
    fetch: Fetch,
    good_file: Path,
    tmp_path: Path,
) -> None:
    node = start_node(**PRODUCTION, **{variable_of("worker.verdict_memory_mb"): "30"})
    heavy = tmp_path / "heavy.csv"
    heavy.write_bytes(HEADER + b"1,,[x] \n" * 600_000)
    assert node.upload(heavy) == 0
    assert node.upload(good_file) == 0
    wait_until(
        lambda: fetch("select count(*) from uploads where finished_at is not null")[0][0] == 2,
        "both decided",
        60,
    )
    (upload_id,) = fetch("select id from uploads where file_name = 'heavy.csv'")[0]
    shown = call(gateway_variables, "upload", "show", upload_id)
    assert "the verdict exceeded a limit: memory" in shown
    assert "S-" in shown
    assert [row[0] for row in fetch("select status from uploads order by received_at")] == [
        "failed",
        "accepted",
    ]

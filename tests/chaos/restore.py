"""The database is put back to an earlier moment: after `reconcile` nothing is sent again, and nothing acknowledged is missing.

Each round copies the running cluster by `pg_basebackup`, goes on for a while, kills everything at once and puts the copy in its
place. Then it does what the runbook says: `reconcile`, killed in its middle and called again, the node, `sending resume --all`,
and what ops do with what is held. The provider counts what was sent.
"""

import asyncio
import contextlib
import json
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from audit.events import Actor
from messages.changes import stop_batch
from processing.reconcile.holds import refuse, release_any
from processing.uploads import fetch_upload
from tests.chaos.testbed.clients import Attempt, Clients
from tests.chaos.testbed.files import UploadFile, any_file
from tests.chaos.testbed.invariants import quiet
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import Testbed, open_testbed, until
from tests.sending.twilio_control import (
    ACCOUNT_SID,
    KEY_SECRET,
    KEY_SID,
    SERVICE_SID,
    TwilioServer,
    twilio_server,
)

# What came within so many seconds is left to the next run (processing.reconcile.run.SETTLED), and a little more.
_SETTLED: Final = 33.0
_OPS: Final = Actor(name="ops")
_POINT: Final = "reconcile.entered"
_TOPIC: Final = re.compile(r"letter (\d+) of row (\d+)")
_UNFINISHED: Final = """
select count(*) from batches where finished_at is null and (held_since is null or released_at is not null)
"""
_HELD: Final = "select id, file_name, campaign_id, status, batch_id from uploads where held is not null"
_HELD_BATCHES: Final = """
select id from batches where held_because = 'restored' and released_at is null and ended_at is null and finished_at is null
"""


@dataclass
class Report:
    """What was counted over all rounds. Each round looks at once that nothing acknowledged is missing and nothing sent twice."""

    restores: int = 0
    acknowledged: int = 0
    lost: int = 0
    """Acknowledged, and not in the database that was put back."""
    found: Counter[str] = field(default_factory=Counter)
    batches_held: int = 0
    released: int = 0
    refused: int = 0
    sent: int = 0
    kills: int = 0

    def lines(self) -> list[str]:
        """It in words."""
        became = ", ".join(f"{count} {what}" for what, count in sorted(self.found.items()))
        return [
            f"{self.restores} restores, reconcile killed {self.kills} times",
            f"{self.acknowledged} uploads acknowledged, {self.lost} of them not in the database put back, 0 missing after it",
            f"found: {became}",
            f"{self.batches_held} batches held; of held uploads {self.released} released and {self.refused} refused",
            f"{self.sent:,} messages at the provider, 0 twice",
        ]


@dataclass
class Restoring:
    """A testbed with one node that does everything, and its provider."""

    testbed: Testbed
    node: Node
    twilio: TwilioServer
    clients: Clients
    chance: random.Random
    report: Report = field(default_factory=Report)

    @property
    def cluster(self) -> Path:
        """Where PostgreSQL keeps its files."""
        return self.testbed.postgres._cluster

    async def send(self, enough: asyncio.Event) -> None:
        """Upload files as agencies do until `enough`."""
        while not enough.is_set():
            campaign_id = self.chance.choice(self.testbed.campaigns)
            await self.clients.put(campaign_id, any_file(self.chance, largest=40), self.node, deadline=20)
            await asyncio.sleep(self.chance.uniform(0, 2))

    async def back_up(self, folder: Path) -> None:
        """Copy the running cluster."""
        postgres = self.testbed.postgres
        await asyncio.to_thread(
            postgres._run, "pg_basebackup", "-D", str(folder), "-h", str(postgres.folder), "-p", str(postgres.port),
            "-U", "postgres", "-X", "stream", "-c", "fast", "--no-sync",
        )  # fmt: skip

    async def put_back(self, folder: Path) -> None:
        """Put the copy in the place of the cluster, which is gone."""
        await asyncio.to_thread(shutil.rmtree, self.cluster)
        await asyncio.to_thread(folder.rename, self.cluster)
        await asyncio.to_thread(self.testbed.postgres.start)

    async def reconcile(self, *options: str) -> dict[str, Any]:
        """One call of it, which must leave nothing that somebody must look at."""
        return dict(json.loads(await self.node.command_line("reconcile", "--json", *options)))

    async def sent_of(self) -> Counter[int]:
        """How many messages of each file the provider has. None may be there twice."""
        messages = await asyncio.to_thread(self.twilio.messages)
        texts = Counter(message["body"] for message in messages)
        twice = [text for text, times in texts.items() if times > 1]
        assert not twice, f"{len(twice)} messages were sent again"
        self.report.sent = len(texts)
        return Counter(int(match[1]) for text in texts if (match := _TOPIC.search(text)))


@contextlib.asynccontextmanager
async def open_restoring(*, seed: int, keep_logs: Path | None = None) -> AsyncIterator[Restoring]:
    """Start servers, provider and node."""
    async with open_testbed(proxied=False, keep_logs=keep_logs) as testbed:
        with twilio_server() as twilio:
            # Unknown outcomes are looked up, and silent messages polled, so soon that a run ends in time.
            node = await testbed.add_node(
                "run",
                sending__processes="1",
                sending__public__provider="twilio",
                sending__public__rate="30",
                sending__twilio__base_url=twilio.base_url,
                sending__twilio__account_sid=ACCOUNT_SID,
                sending__twilio__key_sid=KEY_SID,
                sending__twilio__key_secret=KEY_SECRET,
                sending__twilio__service_sid=SERVICE_SID,
                sending__look_up_after="1,3,10",
                sending__sweep_every="1",
                sending__twilio__poll_after="2",
                sending__twilio__poll_every="1",
            )
            yield Restoring(testbed, node, twilio, Clients(testbed), random.Random(seed))


async def run_restores(restoring: Restoring, rounds: int) -> Report:
    """Restore so often. Raises AssertionError where anything is missing, or was sent again."""
    for number in range(rounds):
        await _restore_once(restoring, with_since=number % 2 == 0)
        restoring.report.restores += 1
    return restoring.report


async def _restore_once(restoring: Restoring, *, with_since: bool) -> None:
    testbed, node, report = restoring.testbed, restoring.node, restoring.report
    copy = testbed.postgres.folder / "copy"
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(restoring.send(enough))
        await asyncio.sleep(restoring.chance.uniform(6, 12))
        await restoring.back_up(copy)
        restored_to = datetime.now(UTC)
        await _until_more(restoring, acknowledged=12, claimed_after=restored_to)
        # All at once, in the middle of whatever is under way.
        testbed.postgres.kill()
        await node.kill()
        enough.set()
    died = time.monotonic()
    await restoring.put_back(copy)
    acknowledged = [attempt for attempt in restoring.clients.ledger.attempts if attempt.acknowledged]
    report.acknowledged = len(acknowledged)
    report.lost += len(await _missing(testbed, acknowledged))
    await asyncio.sleep(max(0.0, _SETTLED - (time.monotonic() - died)))
    await _reconcile(restoring, ["--since", restored_to.isoformat()] if with_since else [])
    missing = await _missing(testbed, acknowledged)
    assert not missing, f"{len(missing)} acknowledged uploads are missing after reconcile: {missing[:5]}"
    await node.start()
    await restoring.node.command_line("sending", "resume", "--all")
    await _until_done(restoring)
    sent = await restoring.sent_of()
    await _decide_held(restoring, {attempt.file.name: attempt.file for attempt in acknowledged}, sent)
    await _until_done(restoring)
    await restoring.sent_of()
    await _check_outcomes(restoring)


async def _until_more(restoring: Restoring, *, acknowledged: int, claimed_after: datetime) -> None:
    """Wait until more uploads were acknowledged, and messages have left, and the senders have noted that in the bucket."""
    before = restoring.clients.ledger.acknowledged
    began = time.monotonic()
    mark = restoring.testbed.s3.folder / "buckets" / "sftp-gateway" / "sending" / "newest-claim"

    async def enough() -> bool:
        if restoring.clients.ledger.acknowledged - before < acknowledged:
            return False
        noted = await asyncio.to_thread(lambda: mark.read_text() if mark.exists() else "")
        return bool(noted) and datetime.fromisoformat(noted) > claimed_after

    await until(enough, "uploads that were acknowledged and sent after the copy", 150)
    # For how long it goes on after the mark is a matter of chance too.
    await asyncio.sleep(restoring.chance.uniform(0, 5) + max(0.0, 8 - (time.monotonic() - began)))


async def _missing(testbed: Testbed, acknowledged: list[Attempt]) -> list[str]:
    rows = await testbed.fetch("select campaign_id, file_name, sha256 from uploads")
    known = {(row["campaign_id"], row["file_name"], row["sha256"]) for row in rows}
    return [
        attempt.file.name
        for attempt in acknowledged
        if (attempt.campaign_id, attempt.file.name, attempt.file.sha256) not in known
    ]


async def _reconcile(restoring: Restoring, since: list[str]) -> None:
    """What the runbook says, with a kill in the middle."""
    report = restoring.report
    wanted = await restoring.reconcile("--dry-run", *since)
    fault = restoring.testbed.fault_points / _POINT
    fault.touch()
    killed = 0
    for _ in range(2):
        try:
            await restoring.reconcile(*since)
        except subprocess.CalledProcessError as error:
            assert error.returncode == -9, error.stderr  # noqa: PT017 - it was to be killed
            killed += 1
            fault.touch()
    fault.unlink(missing_ok=True)
    report.kills += killed
    found = await restoring.reconcile(*since)
    entered = {"held", "received", "to_check", "interrupted"}
    total = sum(count for what, count in wanted["counts"].items() if what in entered)
    again = sum(count for what, count in found["counts"].items() if what in entered)
    assert again == total - killed, (wanted["counts"], found["counts"], killed)
    report.found.update({what: count for what, count in wanted["counts"].items() if what in entered})
    last = await restoring.reconcile(*since)
    assert not entered & set(last["counts"]), last["counts"]
    report.batches_held += await restoring.testbed.fetch_value(f"select count(*) from ({_HELD_BATCHES}) held")


async def _decide_held(restoring: Restoring, files: dict[str, UploadFile], sent: Counter[int]) -> None:
    """What ops do: by the provider's log they release what surely never left, and refuse or stop the rest.

    Each by the functions that the commands call, since a command takes seconds to start here.
    """
    testbed, report = restoring.testbed, restoring.report
    released = []
    async with testbed.connected() as connection:
        for held in await connection.fetch(_HELD):
            file = files.get(held["file_name"])
            number = file and _TOPIC.search(file.content.decode())
            never_left = file is not None and file.is_good and number and not sent[int(number[1])]
            async with connection.transaction():
                upload = await fetch_upload(connection, held["id"])
                assert upload is not None
                await (release_any if never_left else refuse)(connection, upload, actor=_OPS)
            if file is not None and number and never_left:
                released.append((int(number[1]), file.rows, held["batch_id"], held["id"]))
            else:
                report.refused += 1
        for batch in await connection.fetch(_HELD_BATCHES):
            await stop_batch(connection, batch["id"], actor=_OPS)
    report.released += len(released)
    await _until_done(restoring)
    now_sent = await restoring.sent_of()
    for letters, rows, batch_id, upload_id in released:
        assert now_sent[letters] == rows, f"{upload_id}: {now_sent[letters]} of {rows} messages were sent"
        assert await testbed.holds("select batch_id = $2 from uploads where id = $1", upload_id, batch_id)


async def _until_done(restoring: Restoring) -> None:
    """Wait until every upload has its outcome, and every message that isn't held its last status."""
    await quiet(restoring.testbed)

    async def finished() -> bool:
        with contextlib.suppress(asyncpg.PostgresError, OSError):
            return not await restoring.testbed.fetch_value(_UNFINISHED)
        return False

    await until(finished, "last statuses", 600)


async def _check_outcomes(restoring: Restoring) -> None:
    """Each upload has one outcome, and messages only under its own batch's id."""
    testbed = restoring.testbed
    undecided = await testbed.fetch_value(
        "select count(*) from uploads where finished_at is null or held is not null"
    )
    assert not undecided, f"{undecided} uploads have no outcome, or are held"
    twice = await testbed.fetch_value(
        "select count(*) from (select from messages group by \"values\"->>'topic' having count(*) > 1) twice"
    )
    assert not twice, f"{twice} messages were made twice"

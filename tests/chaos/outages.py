"""Each service away, slow, refusing, cutting or full, in turn: the gateway recovers by itself, and says why it refused."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from gateway.embedded.mail_server import MailboxMode
from gateway.errors import EmbeddedError
from tests.chaos.world.clients import Clients
from tests.chaos.world.files import UploadFile, make_file
from tests.chaos.world.outage_world import (
    NOT_STORED,
    PATIENCE,
    QUOTA,
    SPOOL_FULL,
    UNHURRIED,
    World,
    expect,
    expect_nothing_taken,
    length_of,
    receives,
)
from tests.chaos.world.proxy import (
    CommitCutter,
    ProxyMode,
    open_commit_cutter,
    open_proxy,
)
from tests.chaos.world.rig import DATABASE, Rig, until


async def database_restarts_under_load(world: World) -> str:
    """Restarts while night jobs send: no process ends, no upload is lost."""
    before = world.front.parts("front"), world.worker.parts("worker")
    enough = asyncio.Event()

    async def send() -> None:
        while not enough.is_set():
            await world.clients.night_job(world.campaign, make_file(20), [world.front], tries=5)

    async def restart() -> None:
        try:
            for _ in range(3):
                known = await world.rig.fetch_value("select count(*) from uploads")

                async def more(known: int = known) -> bool:
                    return await world.rig.holds("select count(*) > $1 from uploads", known)

                await until(more, "uploads before the restart", PATIENCE)
                await asyncio.to_thread(world.rig.postgres.restart)
        finally:
            enough.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(restart())
        tasks.create_task(send())
        tasks.create_task(send())
    last = make_file(5)
    assert await world.clients.night_job(world.campaign, last, [world.front], tries=5)
    await world.until_decided(last)
    assert (world.front.parts("front"), world.worker.parts("worker")) == before, "a process ended"
    return "3 restarts under load; no process ended"


async def database_is_away_for_a_moment(world: World) -> str:
    """PostgreSQL goes in the middle of an upload and comes back within the 10 s of its CLOSE: the answer is OK."""
    file = make_file(10_000)
    sending = asyncio.create_task(world.put(file, *UNHURRIED))
    await world.until_receiving()
    since = length_of(world.front)
    await asyncio.to_thread(world.rig.postgres.stop)
    try:
        await world.until_logged(world.front, "intake_step_repeated", since)
    finally:
        await asyncio.to_thread(world.rig.postgres.start)
    attempt = await sending
    assert attempt.acknowledged, attempt.words
    await world.until_decided(file)
    return "CLOSE waited for it and answered OK"


async def database_is_away(world: World, seconds: float = 20) -> str:
    """PostgreSQL goes in the middle of an upload, for longer than a CLOSE waits: a clear error, then the retry passes."""
    file = make_file(10_000)
    sending = asyncio.create_task(world.put(file, *UNHURRIED))
    await world.until_receiving()
    await asyncio.to_thread(world.rig.postgres.stop)
    began = time.monotonic()
    try:
        attempt = await sending
        expect(attempt, NOT_STORED)
        newcomer = await world.put(make_file(3))
        assert not newcomer.acknowledged
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began)))
    finally:
        await asyncio.to_thread(world.rig.postgres.start)
    away = time.monotonic() - began
    await expect_nothing_taken(world, file)
    assert await world.clients.night_job(world.campaign, file, [world.front], tries=5)
    took = await world.until_decided(file)
    return f"away {away:.0f} s; clear error, the retry was decided within {took:.1f} s"


async def database_crashes_under_load(world: World) -> str:
    """SIGKILL of PostgreSQL, which recovers from its log: whatever was acknowledged is there."""
    enough = asyncio.Event()

    async def send() -> None:
        while not enough.is_set():
            await world.clients.night_job(world.campaign, make_file(20), [world.front], tries=5)

    async def crash() -> None:
        try:
            for _ in range(3):
                known = world.clients.ledger.acknowledged

                async def more(known: int = known) -> bool:
                    return world.clients.ledger.acknowledged > known + 2

                await until(more, "acknowledged uploads before the crash", PATIENCE)
                await asyncio.to_thread(world.rig.postgres.kill)
                await until(lambda: _starts(world.rig), "PostgreSQL again", 60)
        finally:
            enough.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crash())
        tasks.create_task(send())
        tasks.create_task(send())
    return "3 crashes under load"


async def _starts(rig: Rig) -> bool:
    """Start PostgreSQL; not possible before the dead one's other processes have left."""
    try:
        await asyncio.to_thread(rig.postgres.start)
    except EmbeddedError:
        return False
    return True


async def commits_are_unclear(rig: Rig, clients: Clients, *, rounds: int = 5) -> str:
    """The answer to a COMMIT is lost: the front asks by the upload's id and says OK; the worker finds its own outcome."""
    async with open_commit_cutter(rig.postgres.port) as cutter:
        url = rig.postgres.tcp_url(DATABASE).replace(f":{rig.postgres.port}/", f":{cutter.port}/")
        front = await rig.add_node("sftpd", database__url=url)
        sent = []
        for _ in range(rounds):
            file = make_file(10_000)
            sending = asyncio.create_task(clients.put(rig.campaigns[0], file, front, *UNHURRIED))
            await until(lambda: receives(front), "an upload in the middle", PATIENCE)
            before, cutter.armed = cutter.cut, True
            await until(partial(_cut, cutter, before), "a COMMIT cut", PATIENCE)
            cutter.armed = False
            attempt = await sending
            assert attempt.acknowledged, attempt.words
            sent.append(file.name)
        worker = await rig.add_node("worker", database__url=url, start=False)
        file = make_file(20)
        assert (await clients.put(rig.campaigns[0], file, front)).acknowledged
        before, cutter.armed = cutter.cut, True
        await worker.start()
        await until(lambda: _cut(cutter, before), "a COMMIT cut", PATIENCE)
        cutter.armed = False
        names = [*sent, file.name]

        async def told() -> bool:
            return await rig.holds(
                "select count(*) = $2 from uploads where file_name = any($1) and notified_at is not null",
                *(names, len(names)),
            )

        await until(told, "their outcomes and e-mails, one each", PATIENCE)
        await asyncio.gather(worker.stop(), front.stop())
        return f"{cutter.cut} COMMITs without an answer: acknowledged and decided once"


async def _cut(cutter: CommitCutter, before: int) -> bool:
    return cutter.cut > before


# S3

REFUSING: Final = (
    ProxyMode.BUSY,
    ProxyMode.FORBIDDING,
    ProxyMode.AWAY,
    ProxyMode.HANGING,
    ProxyMode.SLOW,
    ProxyMode.CUTTING_REQUESTS,
    ProxyMode.CUTTING_ANSWERS,
)


async def bucket_fails_at_intake(world: World, modes: Sequence[ProxyMode] = REFUSING) -> str:
    """While the bucket can't take it, CLOSE fails with the clear error and nothing is taken; then the same file passes."""
    for mode in modes:
        # At the slow service's speed this takes 50 s.
        file = make_file(10_000)
        await world.rig.proxy.become(mode)
        expect(await world.put(file), NOT_STORED)
        await expect_nothing_taken(world, file)
        await world.rig.proxy.become(ProxyMode.PASSING)
        attempt = await world.put(file)
        assert attempt.acknowledged, (mode, attempt.words)
        await world.until_decided(file)
    return f"{len(modes)} ways to fail: clear error each time, then accepted"


async def bucket_cuts_once_at_intake(world: World) -> str:
    """A connection cut half-way is tried again within the CLOSE, and the client never knows."""
    for mode in (ProxyMode.CUTTING_REQUESTS, ProxyMode.CUTTING_ANSWERS, ProxyMode.BUSY):
        before = world.rig.proxy.troubles
        await world.rig.proxy.become(mode, connections=1)
        file = make_file(3000)
        attempt = await world.put(file)
        await world.rig.proxy.become(ProxyMode.PASSING)
        assert attempt.acknowledged, (mode, attempt.words)
        assert world.rig.proxy.troubles == before + 1
        await world.until_decided(file)
    return "3 cuts, each made good within the CLOSE"


async def bucket_fails_at_verdict(world: World, modes: Sequence[ProxyMode] = REFUSING) -> str:
    """While the worker's bucket fails, verdicts and reports wait; then they are there, once."""
    for mode in modes:
        await world.worker_proxy.become(mode)
        # Large enough that the slow service doesn't deliver them at once.
        good, bad = make_file(2000), make_file(2000, bad_rows=1)
        for file in (good, bad):
            assert (await world.put(file)).acknowledged
        begun = 1 if mode in {ProxyMode.HANGING, ProxyMode.SLOW} else 2

        async def tried(file: UploadFile = bad, begun: int = begun) -> bool:
            return await world.attempts_of(file) >= begun

        await until(tried, f"{begun} verdicts begun while the bucket is {mode.name}", PATIENCE)
        await world.worker_proxy.become(ProxyMode.PASSING)
        await world.until_decided(good, bad)
    return f"{len(modes)} ways to fail: decided once when it was back"


async def bucket_fails_for_good(rig: Rig, clients: Clients) -> str:
    """The bucket fails for longer than verdicts are tried: `failed`, with a support ID; `upload retry` gives another outcome."""
    async with open_proxy(rig.s3.port) as proxy:
        await proxy.become(ProxyMode.FORBIDDING)
        front = rig.fronts[0]
        worker = await rig.add_node("worker", s3__endpoint_url=proxy.endpoint_url, worker__retry_for="2")
        file = make_file(5)
        assert (await clients.put(rig.campaigns[0], file, front)).acknowledged

        async def told(outcome: int, status: str) -> bool:
            return await rig.holds(
                "select count(*) = 1 from uploads where file_name = $1 and outcome = $2 and status = $3 "
                "and notified_at is not null",
                *(file.name, outcome, status),
            )

        await until(lambda: told(1, "failed"), "the failure and its e-mail", PATIENCE)
        row = (await rig.fetch("select id, support_id from uploads where file_name = $1", file.name))[0]
        await proxy.become(ProxyMode.PASSING)
        await worker.command_line("upload", "retry", row["id"])
        await until(lambda: told(2, "accepted"), "the second outcome and its e-mail", PATIENCE)
        await worker.stop()
    mails = [
        message
        for message in await asyncio.to_thread(rig.mailbox.messages)
        if message["X-Upload-Id"] == row["id"]
    ]
    first, second = (str(message["Message-ID"]).partition("@")[0] for message in mails)
    assert (first, second) == (f"<{row['id']}.1", f"<{row['id']}.2")
    assert f"support ID:{row['support_id'] or ''}" in mails[0].get_content()
    return "failed with a support ID, then accepted by `upload retry`: two outcomes, two Message-IDs"


# SMTP


async def mail_server_fails_for_now(world: World, mode: MailboxMode, seconds: float = 0) -> str:
    """While the mail server takes nothing, outcomes are there in time and e-mails wait; then each arrives."""
    file = make_file(5)
    since = length_of(world.worker)
    world.rig.mailbox.become(mode)
    began = time.monotonic()
    try:
        assert (await world.put(file)).acknowledged
        decided_after = await world.until_decided(file)
        await world.until_logged(world.worker, "notification_delayed", since)
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began)))
    finally:
        world.rig.mailbox.become(MailboxMode.ACCEPTING)
    took = await until(lambda: _told(world, file), "the e-mail", 120)
    return f"outcome within {decided_after:.1f} s; e-mail {took:.0f} s after its return"


async def _told(world: World, file: UploadFile) -> bool:
    return await world.rig.holds(
        "select notified_at is not null from uploads where file_name = $1", file.name
    )


async def mail_server_refuses_for_good(world: World) -> str:
    """Recorded on the upload, and not tried again; the outcome stands."""
    file = make_file(5)
    world.rig.mailbox.become(MailboxMode.REFUSING_FOR_GOOD)
    try:
        assert (await world.put(file)).acknowledged

        async def recorded() -> bool:
            return await world.rig.holds(
                "select notification_refused_at is not null and status = 'accepted' from uploads "
                "where file_name = $1",
                file.name,
            )

        await until(recorded, "the refusal on the upload", PATIENCE)
    finally:
        world.rig.mailbox.become(MailboxMode.ACCEPTING)
    return "recorded on the upload"


# The spool


async def spool_is_full(world: World) -> str:
    """A limit of the process: the large upload fails with the clear error, small ones pass; then it passes too."""
    large = make_file(40_000)
    world.front.limit_file_size(1_000_000)
    try:
        expect(await world.put(large), SPOOL_FULL)
        assert (await world.put(make_file(10))).acknowledged
    finally:
        world.front.limit_file_size(None)
    attempt = await world.put(large)
    assert attempt.acknowledged, attempt.words
    await world.until_decided(large)
    return "clear error at 1 MB, small uploads passed, then the large one"


async def campaign_is_at_its_quota(rig: Rig, clients: Clients) -> str:
    """The campaign's share of the spool is used up: the clear error; its small uploads and other campaigns' pass."""
    node = await rig.add_node("sftpd", sftp__max_spool_bytes_per_campaign="1000000")
    attempt = await clients.put(rig.campaigns[0], make_file(40_000), node)
    expect(attempt, QUOTA)
    for campaign in rig.campaigns[:2]:
        assert (await clients.put(campaign, make_file(10), node)).acknowledged
    return "clear error at 1 MB, small uploads passed"


Scenario = Callable[[World], Awaitable[str]]


async def run_outages(
    world: World, scenarios: Sequence[tuple[str, Scenario]]
) -> dict[str, tuple[float, str]]:
    """Each in turn: the seconds it took and what it found. Raises at the first that fails, naming it."""
    results = {}
    for name, scenario in scenarios:
        began = time.monotonic()
        try:
            words = await scenario(world)
        except BaseException as error:
            error.add_note(f"in the outage: {name}")
            raise
        results[name] = time.monotonic() - began, words
    return results


def all_outages() -> list[tuple[str, Scenario]]:
    """The long form."""

    def mail(mode: MailboxMode, seconds: float = 0) -> Scenario:
        return lambda world: mail_server_fails_for_now(world, mode, seconds)

    return [
        ("PostgreSQL restarted under load", database_restarts_under_load),
        ("PostgreSQL crashing under load", database_crashes_under_load),
        ("PostgreSQL away for a moment", database_is_away_for_a_moment),
        ("PostgreSQL away", database_is_away),
        ("S3 failing at CLOSE", bucket_fails_at_intake),
        ("S3 cutting once at CLOSE", bucket_cuts_once_at_intake),
        ("S3 failing at the verdict", bucket_fails_at_verdict),
        ("SMTP 4xx", mail(MailboxMode.REFUSING_FOR_NOW)),
        ("SMTP 5xx", mail_server_refuses_for_good),
        ("SMTP hanging", mail(MailboxMode.HANGING)),
        ("SMTP cutting after DATA", mail_server_cuts),
        ("SMTP away for a minute", mail(MailboxMode.AWAY, 60)),
        ("spool full", spool_is_full),
    ]


async def mail_server_cuts(world: World) -> str:
    """The server keeps the e-mail and cuts before it says so: it is sent again, with the same Message-ID."""
    before = len(world.rig.mailbox.messages())
    words = await mail_server_fails_for_now(world, MailboxMode.CUTTING)
    arrived = world.rig.mailbox.messages()[before:]
    ids = {str(message["Message-ID"]) for message in arrived}
    assert len(arrived) >= 2, "it was not sent again"
    assert len(ids) == 1, ids
    return f"{len(arrived)} deliveries, one Message-ID; {words}"

"""Which upload is decided first, and that none is forgotten. The order of events is checked, not seconds, as machines differ."""

import asyncio
from functools import partial

import asyncpg
from pgqueuer import Queries

from tests.chaos.testbed.clients import Clients
from tests.chaos.testbed.files import UploadFile, make_file
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import DATABASE, Testbed, until


async def single_upload_passes_backlog(
    testbed: Testbed, clients: Clients, front: Node, *, files: int, rows: int, under_way: bool
) -> str:
    """One campaign sends `files` uploads and then another one sends a single one, which must not wait for the backlog.

    Only the verdicts that are already under way may come before it. With `under_way` this is tried a second time when a
    worker is at the backlog already; else only while no worker runs.
    """
    at_once = 2  # the default of worker.concurrent_verdicts
    places = []
    for begun in (False, True) if under_way else (False,):
        backlog = [make_file(rows) for _ in range(files)]
        single = make_file(3)
        worker = None
        sent = await clients.put_all(testbed.campaigns[0], backlog, front, deadline=300)
        assert sent[0].acknowledged, sent[0].error_text
        if begun:
            worker = await testbed.add_node("worker")
            await until(partial(_decided, testbed, backlog, 1), "the backlog being decided", 90)
        assert (await clients.put(testbed.campaigns[1], single, front)).acknowledged
        received = await testbed.fetch_value(
            "select received_at from uploads where file_name = $1", single.name
        )
        worker = worker or await testbed.add_node("worker")
        await until(partial(_decided, testbed, backlog, files), "the whole backlog decided", 600)
        # The verdicts of the backlog that were stored after the single file had come, and before its own.
        before = await testbed.fetch_value(
            "select count(*) from uploads where file_name = any($1) and finished_at > $2 "
            "and finished_at <= (select finished_at from uploads where file_name = $3)",
            *([file.name for file in backlog], received, single.name),
        )
        after = await testbed.fetch_value(
            "select count(*) from uploads where file_name = any($1) "
            "and finished_at > (select finished_at from uploads where file_name = $2)",
            *([file.name for file in backlog], single.name),
        )
        assert before <= at_once, f"{before} files of another campaign were decided first"
        assert after > 0, "the backlog was decided before the single file came, so the order shows nothing"
        places.append(before)
        await worker.stop()
    return f"{files} files of another campaign: {' and '.join(map(str, places))} of them decided before it"


async def _decided(testbed: Testbed, files: list[UploadFile], count: int) -> bool:
    return await testbed.holds(
        "select count(*) >= $2 from uploads where file_name = any($1) and finished_at is not null",
        [file.name for file in files],
        count,
    )


async def lost_jobs_are_found(testbed: Testbed, clients: Clients, front: Node) -> str:
    """Jobs are deleted, or cancelled by the queue's own means, and notifications have no job: the sweeper finds them all."""
    deleted, cancelled = make_file(5), make_file(5, bad_rows=2)
    for file in (deleted, cancelled):
        assert (await clients.put(testbed.campaigns[0], file, front)).acknowledged
    connection = await asyncpg.connect(testbed.postgres.socket_url(DATABASE))
    try:
        jobs = await connection.fetch(
            "select q.id from pgqueuer q join uploads u on q.dedupe_key = 'verdict ' || u.id where u.file_name = $1",
            cancelled.name,
        )
        assert len(jobs) == 1
        await Queries.from_asyncpg_connection(connection).mark_job_as_cancelled([row["id"] for row in jobs])
        await connection.execute("delete from pgqueuer where entrypoint = 'verdict'")
        # The sweeper ignores uploads younger than 10 s, whose jobs may still be about to come.
        await connection.execute("update uploads set received_at = received_at - interval '1 minute'")
    finally:
        await connection.close()
    assert await testbed.fetch_value("select count(*) from pgqueuer where entrypoint = 'verdict'") == 0
    # The jobs of their notifications vanish too when they are enqueued, until the trigger is dropped.
    await testbed.fetch(
        "create function forget() returns trigger language plpgsql as $$ begin return null; end $$"
    )
    await testbed.fetch(
        "create trigger forget before insert on pgqueuer for each row when (new.entrypoint = 'notification') "
        "execute function forget()"
    )
    worker = await testbed.add_node("worker")
    took = await until(lambda: _decided(testbed, [deleted, cancelled], 2), "the lost uploads decided", 60)
    assert await testbed.fetch_value("select count(*) from pgqueuer where entrypoint = 'notification'") == 0
    await testbed.fetch("drop trigger forget on pgqueuer")
    await testbed.fetch("update notifications set created_at = created_at - interval '1 minute'")

    async def notified() -> bool:
        return await testbed.holds(
            "select count(*) = 2 from uploads where file_name = any($1) and notified_at is not null",
            [deleted.name, cancelled.name],
        )

    mailed = await until(notified, "the lost notifications mailed", 60)
    await worker.stop()
    return f"verdicts found within {took:.0f} s, notifications within {mailed:.0f} s"


async def cancelled_while_running(testbed: Testbed, clients: Clients, front: Node) -> str:
    """A job is cancelled while a worker runs it: its upload still gets its outcome, and gets it once."""
    file = make_file(40_000)
    worker = await testbed.add_node("worker", worker__concurrent_verdicts="1")
    assert (await clients.put(testbed.campaigns[0], file, front)).acknowledged

    async def picked() -> bool:
        return await testbed.holds(
            "select count(*) = 1 from uploads where file_name = $1 and status = 'validating'", file.name
        )

    async def picked_or_done() -> bool:
        return await picked() or await _decided(testbed, [file], 1)

    await until(picked_or_done, "the verdict begun", 60)
    connection = await asyncpg.connect(testbed.postgres.socket_url(DATABASE))
    try:
        rows = await connection.fetch("select id from pgqueuer where entrypoint = 'verdict'")
        await Queries.from_asyncpg_connection(connection).mark_job_as_cancelled([row["id"] for row in rows])
    finally:
        await connection.close()
    await until(lambda: _decided(testbed, [file], 1), "its outcome", 60)
    await worker.stop()
    return f"{len(rows)} cancelled in flight; decided all the same"


async def same_bytes_at_once(testbed: Testbed, clients: Clients, nodes: list[Node], *, times: int = 6) -> str:
    """Several clients send the same bytes under the same name at once, on all nodes: one batch, and an e-mail for each."""
    file = make_file(30)
    attempts = await asyncio.gather(
        *(clients.put(testbed.campaigns[0], file, nodes[number % len(nodes)]) for number in range(times))
    )
    assert all(attempt.acknowledged for attempt in attempts), [attempt.error_text for attempt in attempts]

    async def all_decided() -> bool:
        return await testbed.holds(
            "select count(*) = $2 from uploads where file_name = $1 and finished_at is not null",
            file.name,
            times,
        )

    await until(all_decided, "all of them decided", 90)
    batches = await testbed.fetch_value(
        "select count(*) from batches b join uploads u on u.id = b.upload_id where u.file_name = $1",
        file.name,
    )
    assert batches == 1, f"{batches} batches"
    return f"{times} at once: one batch"

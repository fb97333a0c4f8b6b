"""After a restore nothing that was acknowledged is missing, and nothing that may have been told or sent is so again by itself."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from audit.events import Actor
from config.identifiers import identifier_of
from database.connections import Connection, Pool
from processing.awaited.job import AwaitedVerdictJob
from processing.awaited.uploads import Withdrawal, withdraw
from processing.checked.job import CheckJob
from processing.checked.sending import ask_for_sending
from processing.errors import ReopeningRefused
from processing.intake import FinishedSpool, Intake, IntakeError
from processing.job import VerdictJob
from processing.object_store import Description, S3ObjectStore, original_key
from processing.reconcile.holds import refuse
from processing.reconcile.marks import Marked, fetch_mark, put_mark
from processing.reconcile.run import Became, reconcile
from processing.reconcile.uploads import list_held
from processing.verdicts.queueing import sweep_uploads
from rules.codes import FindingCode
from tests.conftest import ADMIN
from tests.processing.conftest import BAD, CAMPAIGN, GOOD, MakeSpool, run_job
from tests.processing.reconcile.conftest import (
    USER,
    Run,
    forget,
    let_go,
    made,
    row_of,
    run,
    scope_of,
    take_by_console,
    taken_by_api,
    told,
    upload_of,
)


async def test_an_accepted_upload_comes_back_held_with_its_batch_and_is_neither_told_nor_sent(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, compare: Run
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await run_job(job, spool)
    before = await row_of(pool, spool.upload_id)
    await forget(pool, spool.upload_id)
    expected = [(spool.upload_id, Became.HELD, "accepted")]
    assert told(await compare(dry_run=True)) == expected
    assert await pool.fetchval("select count(*) from uploads") == 0
    assert told(await compare()) == expected
    after = await row_of(pool, spool.upload_id)
    assert after["held"] is not None
    changed = {name for name, value in before.items() if after[name] != value}
    # The report's name is drawn anew, and the outcome was decided when its mark was put.
    assert changed <= {
        "held", "report_name", "finished_at", "deciding_since", "attempts", "notified_at",
    }  # fmt: skip
    assert (after["status"], after["batch_id"]) == ("accepted", identifier_of("batch", spool.upload_id))
    assert await made(pool) == (0, 0, 0, 0)
    # Again finds nothing, and no sweep judges it.
    assert await compare() == []
    async with pool.acquire() as connection:
        assert await sweep_uploads(connection, timedelta(0)) == 0
        assert [each.id for each in await list_held(connection)] == [spool.upload_id]
    await run_job(job, spool)
    assert await made(pool) == (0, 0, 0, 0)
    event = await pool.fetchrow("select * from audit_events where event = 'upload_restored'")
    assert event is not None
    assert (event["upload_id"], event["actor"]) == (spool.upload_id, ADMIN.name)


async def test_a_released_upload_gets_the_batch_that_it_had(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, compare: Run
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await run_job(job, spool)
    batch_id = (await row_of(pool, spool.upload_id))["batch_id"]
    await forget(pool, spool.upload_id)
    await compare()
    await let_go(pool, spool.upload_id)
    await run_job(job, spool)
    row = await row_of(pool, spool.upload_id)
    assert (row["status"], row["batch_id"], row["held"]) == ("accepted", batch_id, None)
    assert (await made(pool))[:3] == (1, 2, 1)
    with pytest.raises(ReopeningRefused, match="not refused as interrupted"):
        await let_go(pool, spool.upload_id)


async def test_a_refused_upload_keeps_its_outcome_and_makes_the_same_content_no_second_batch(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, compare: Run
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await run_job(job, spool)
    await forget(pool, spool.upload_id)
    await compare()
    # The client that lost its answer sends it again, while it is held.
    again = make_spool()
    await intake.store(again)
    await run_job(job, again)
    repeated = await row_of(pool, again.upload_id)
    assert repeated["duplicate_of"] == spool.upload_id
    assert repeated["batch_id"] == identifier_of("batch", spool.upload_id)
    async with pool.acquire() as connection, connection.transaction():
        await refuse(connection, await upload_of(pool, spool.upload_id), actor=ADMIN)
    row = await row_of(pool, spool.upload_id)
    assert (row["status"], row["held"]) == ("accepted", None)
    assert (await made(pool))[:2] == (0, 0)
    with pytest.raises(ReopeningRefused, match="not held"):
        async with pool.acquire() as connection, connection.transaction():
            await refuse(connection, await upload_of(pool, spool.upload_id), actor=ADMIN)


async def test_an_upload_that_was_not_decided_is_judged(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, compare: Run
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await forget(pool, spool.upload_id)
    assert told(await compare()) == [(spool.upload_id, Became.RECEIVED, None)]
    assert await compare() == []
    assert await pool.fetchval("select count(*) from pgqueuer") == 1
    await run_job(job, spool)
    assert (await made(pool))[:3] == (1, 2, 1)
    assert (await upload_of(pool, spool.upload_id)).file_name == spool.file_name


async def test_a_rejected_upload_comes_back_with_its_report(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, compare: Run
) -> None:
    spool = make_spool(BAD)
    await intake.store(spool)
    await run_job(job, spool)
    before = await row_of(pool, spool.upload_id)
    await forget(pool, spool.upload_id)
    assert told(await compare()) == [(spool.upload_id, Became.HELD, "rejected")]
    after = await row_of(pool, spool.upload_id)
    names = ("status", "num_rows", "num_errors", "report_key", "report_name", "has_unicode", "outcome")
    assert [after[name] for name in names] == [before[name] for name in names]
    assert (await made(pool))[2:] == (0, 0)


async def test_of_the_same_content_none_is_judged_once_one_was_decided(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, compare: Run
) -> None:
    spools = [make_spool() for _ in range(3)]
    for spool in spools:
        await intake.store(spool)
    # The others get their outcome with the first one's, and have no mark of their own.
    await run_job(job, spools[0])
    ids = [spool.upload_id for spool in spools]
    await forget(pool, *ids)
    assert told(await compare()) == sorted((upload_id, Became.HELD, "accepted") for upload_id in ids)
    rows = [await row_of(pool, upload_id) for upload_id in ids]
    assert [row["duplicate_of"] for row in rows] == [None, ids[0], ids[0]]
    assert len({row["batch_id"] for row in rows}) == 1


async def test_a_run_that_was_stopped_half_way_is_completed_by_the_next(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, store: S3ObjectStore, compare: Run
) -> None:
    spools = [make_spool(GOOD + b"\r\n" * number) for number in range(4)]
    for spool in spools:
        await intake.store(spool)
    await run_job(job, *spools[:2])
    await forget(pool, *(spool.upload_id for spool in spools))
    found = []
    for _ in range(5):
        stopped = reconcile(pool, store, scope_of())
        async for each in stopped:
            found.append(each)
            break
        await stopped.aclose()  # type: ignore[attr-defined]
    assert sorted(each.became for each in found) == [Became.HELD] * 2 + [Became.RECEIVED] * 2
    # What was decided comes first, whatever the order of the keys.
    assert [each.became for each in found[:2]] == [Became.HELD] * 2
    assert await compare() == []


async def test_an_upload_that_the_database_knows_as_undecided_is_held_if_it_was_decided(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, store: S3ObjectStore, compare: Run
) -> None:
    spool, other = make_spool(), make_spool(BAD)
    for each in (spool, other):
        await intake.store(each)
    # As the database was before: the mark is of an attempt that it doesn't know.
    upload = replace(await upload_of(pool, spool.upload_id), attempts=1)
    await put_mark(store, upload, Marked.ACCEPTED, batch_id="batch_x", total_messages=2, has_unicode=False)
    assert told(await compare(dry_run=True)) == [(spool.upload_id, Became.HELD, "accepted")]
    assert (await row_of(pool, spool.upload_id))["status"] == "received"
    assert told(await compare()) == [(spool.upload_id, Became.HELD, "accepted")]
    row = await row_of(pool, spool.upload_id)
    assert (row["status"], row["batch_id"], row["total_messages"]) == ("accepted", "batch_x", 2)
    await run_job(job, spool)
    assert (await made(pool))[:3] == (0, 0, 0)
    assert (await row_of(pool, other.upload_id))["status"] == "received"


async def test_a_worker_that_comes_first_holds_it_too(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, store: S3ObjectStore
) -> None:
    spool = make_spool()
    await intake.store(spool)
    upload = replace(await upload_of(pool, spool.upload_id), attempts=1)
    await put_mark(store, upload, Marked.ACCEPTED, batch_id="batch_x", total_messages=2, has_unicode=False)
    await pool.execute("update uploads set received_at = pg_postmaster_start_time() - interval '1 s'")
    await run_job(job, spool)
    row = await row_of(pool, spool.upload_id)
    assert (row["status"], row["batch_id"]) == ("accepted", "batch_x")
    assert row["held"] is not None
    assert (await made(pool))[:3] == (0, 0, 0)


async def test_an_attempt_that_died_after_its_mark_is_repeated(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, store: S3ObjectStore
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await pool.execute(
        "update uploads set received_at = pg_postmaster_start_time() - interval '1 s', attempts = 1"
    )
    await put_mark(
        store, await upload_of(pool, spool.upload_id), Marked.ACCEPTED, batch_id="batch_x", total_messages=2
    )
    await run_job(job, spool)
    assert (await made(pool))[:3] == (1, 2, 1)


async def test_what_the_api_has_answered_is_held_and_what_it_has_not_is_left(
    intake: Intake,
    campaign: str,
    awaited_job: AwaitedVerdictJob,
    check_job: CheckJob,
    pool: Pool,
    store: S3ObjectStore,
    compare: Run,
) -> None:
    async with taken_by_api(intake, pool) as answered, taken_by_api(intake, pool) as unanswered:
        await run(awaited_job, answered)
        # This one's sender hangs up while its batch is being made: the mark is there before it.
        async with taken_by_api(intake, pool) as withdrawn:
            upload = await upload_of(pool, withdrawn)
            await put_mark(store, upload, Marked.ACCEPTED, batch_id="batch_y", total_messages=2)
            async with pool.acquire() as connection, connection.transaction():
                await withdraw(connection, withdrawn, Withdrawal.HUNG_UP)
            await awaited_job._unmark(upload)
    batch_id = (await row_of(pool, answered))["batch_id"]
    await forget(pool, answered, unanswered, withdrawn)
    expected = [
        (answered, Became.HELD, "accepted"),
        (unanswered, Became.NOT_ANSWERED, None),
        (withdrawn, Became.NOT_TAKEN, None),
    ]
    assert told(await compare()) == sorted(expected)
    assert await pool.fetchval("select array_agg(id) from uploads") == [answered]
    row = await row_of(pool, answered)
    assert (row["source"], row["batch_id"], row["sha256"], row["listed"]) == ("api", batch_id, None, False)
    # Released, it gets its batch, and nobody gets an e-mail.
    await let_go(pool, answered)
    await run(check_job, answered)
    row = await row_of(pool, answered)
    assert (row["status"], row["batch_id"], row["checked_at"]) == ("accepted", batch_id, None)
    assert (await made(pool))[:3] == (1, 2, 0)


async def test_a_file_of_the_console_is_never_sent_by_a_restore(
    intake: Intake, campaign: str, check_job: CheckJob, pool: Pool, compare: Run
) -> None:
    only_checked, sent = await take_by_console(intake), await take_by_console(intake)
    for upload_id in (only_checked, sent):
        await run(check_job, upload_id)
    async with pool.acquire() as connection, connection.transaction():
        assert await ask_for_sending(
            connection, sent, timedelta(hours=1), user_id=USER, actor=Actor(USER), known_same=""
        )
    await run(check_job, sent)
    batch_id = (await row_of(pool, sent))["batch_id"]
    assert batch_id is not None
    await forget(pool, only_checked, sent)
    expected = [(only_checked, Became.TO_CHECK, None), (sent, Became.HELD, "accepted")]
    assert told(await compare()) == sorted(expected)
    # It is checked again, and waits for somebody, as before.
    await run(check_job, only_checked)
    assert (await upload_of(pool, only_checked)).status == "checked"
    assert (await made(pool))[:3] == (0, 0, 0)
    await let_go(pool, sent)
    await run(check_job, sent)
    row = await row_of(pool, sent)
    assert (row["status"], row["batch_id"]) == ("accepted", batch_id)
    assert await pool.fetchval("select creator_id from batches") == USER


async def test_an_interrupted_upload_can_be_released_again_and_is_not_told_twice(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, pool: Pool, compare: Run
) -> None:
    spool = make_spool()
    upload_id = await intake.refuse(
        spool.sender, "a.csv", FindingCode.UPLOAD_INTERRUPTED, byte_count=len(GOOD), path=spool.path
    )
    assert upload_id is not None
    before = await row_of(pool, upload_id)
    await forget(pool, upload_id)
    assert told(await compare()) == [(upload_id, Became.INTERRUPTED, None)]
    after = await row_of(pool, upload_id)
    changed = {name for name, value in before.items() if after[name] != value}
    assert changed <= {"report_name"}
    assert (await made(pool))[2:] == (0, 0)
    await let_go(pool, upload_id)
    await run_job(job, replace(spool, upload_id=upload_id))
    assert (await made(pool))[:3] == (1, 2, 1)


async def test_what_its_sender_was_told_was_not_taken_is_left(
    intake: Intake, make_spool: MakeSpool, compare: Run
) -> None:
    async def refuse_it(_connection: Connection) -> Exception:
        return IntakeError("the key was revoked")

    spool = make_spool(find_unauthorized=refuse_it)
    with pytest.raises(IntakeError):
        await intake.store(spool)
    assert told(await compare()) == [(spool.upload_id, Became.NOT_TAKEN, None)]


async def test_what_is_not_ours_is_listed_and_left(
    intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore, compare: Run
) -> None:
    spool: FinishedSpool = make_spool()
    await intake.store(spool)
    await forget(pool, spool.upload_id)
    await pool.execute("delete from template_bodies")
    await pool.execute("delete from campaigns")
    bare, sealed, strange = "upload_bare", "upload_sealed", "originals/notes.txt"
    for key, description in (
        (original_key(CAMPAIGN, bare), None),
        (original_key(CAMPAIGN, sealed), Description({"receipt": "1"}, {})),
        (strange, None),
    ):
        await store.put(key, io.BytesIO(GOOD), download_name="x", description=description)
    found = await compare()
    assert sorted((each.key, each.became) for each in found) == sorted(
        [
            (original_key(CAMPAIGN, spool.upload_id), Became.NO_CAMPAIGN),
            (original_key(CAMPAIGN, bare), Became.UNKNOWN),
            (original_key(CAMPAIGN, sealed), Became.UNREADABLE),
            (strange, Became.UNKNOWN),
        ]
    )
    assert await pool.fetchval("select count(*) from uploads") == 0


async def test_what_came_before_the_restored_moment_or_just_now_is_left(
    intake: Intake, make_spool: MakeSpool, pool: Pool, compare: Run
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await forget(pool, spool.upload_id)
    later = datetime.now(UTC) + timedelta(minutes=5)
    assert told(await compare(since=later)) == [(spool.upload_id, Became.BEFORE, None)]
    assert told(await compare(now=datetime.now(UTC))) == [(spool.upload_id, Became.TOO_NEW, None)]
    assert await pool.fetchval("select count(*) from uploads") == 0


async def test_each_outcome_has_its_mark_before_it(
    intake: Intake, make_spool: MakeSpool, job: VerdictJob, store: S3ObjectStore
) -> None:
    good, bad = make_spool(), make_spool(BAD)
    for spool, says in ((good, Marked.ACCEPTED), (bad, Marked.REJECTED)):
        await intake.store(spool)
        assert await fetch_mark(store, CAMPAIGN, spool.upload_id) is None
        await run_job(job, spool)
        mark = await fetch_mark(store, CAMPAIGN, spool.upload_id)
        assert mark is not None
        assert (mark.says, mark.outcome, mark.attempt) == (says, 0, 1)

"""An upload of the console: checked, sent once or never, and its state always told."""

import asyncio
import io
from dataclasses import replace
from datetime import timedelta

import pytest

from audit.events import Actor
from database.connections import Pool
from database.job_queue import RunningJob, subjects_without_job
from processing.awaited.job import AwaitedVerdictJob
from processing.awaited.sweep import sweep_awaited
from processing.checked.counting import count_messages
from processing.checked.counts import Counts
from processing.checked.job import CheckJob
from processing.checked.sending import ask_for_sending, forget
from processing.checked.sweep import sweep_checked
from processing.checked.uploads import CheckedUpload, fetch_checked
from processing.columns.copytext import MessageForm
from processing.errors import ObjectMissing, ReopeningRefused, SendingRefused
from processing.job import VerdictJob
from processing.object_store import S3ObjectStore
from processing.uploads import UploadStatus, fetch_upload, list_uploads
from processing.verdicts.queueing import CHECKED_ENTRYPOINT, retry_upload, sweep_uploads
from rules.messages import Layout
from rules.templates import Language
from tests.processing.checked.conftest import Take
from tests.processing.conftest import BAD, GOOD, read_object

LIFE = timedelta(hours=1)
NOW = timedelta(0)
AMY = Actor("user_amy", None, "192.0.2.7")


async def look(pool: Pool, upload_id: str) -> CheckedUpload:
    async with pool.acquire() as connection:
        found = await fetch_checked(connection, upload_id)
        upload = await fetch_upload(connection, upload_id)
        listed = await list_uploads(connection, status=upload.status if upload else None)
    assert found is not None
    assert upload is not None
    # The command line says the same, but for what is under way.
    shown = UploadStatus.RECEIVED if upload.status is UploadStatus.VALIDATING else upload.status
    assert (shown, upload.finished_at) == (found.status, found.finished_at)
    assert [each.id for each in listed] == [upload_id]
    return found


async def ask(pool: Pool, upload_id: str, user_id: str, life: timedelta = LIFE) -> bool:
    async with pool.acquire() as connection, connection.transaction():
        return await ask_for_sending(connection, upload_id, life, user_id=user_id, actor=AMY)


async def made(pool: Pool) -> tuple[int, int, int]:
    row = await pool.fetchrow(
        "select (select count(*) from batches) b, (select count(*) from messages) m, (select count(*) from notifications) n"
    )
    assert row is not None
    return tuple(row)


async def test_a_good_file_waits_and_is_sent_once_when_its_sender_says_so(
    check_job: CheckJob, take: Take, pool: Pool, user_id: str
) -> None:
    upload_id = await take()
    assert (await look(pool, upload_id)).status is UploadStatus.RECEIVED
    await check_job(RunningJob(upload_id, 0))
    checked = await look(pool, upload_id)
    assert checked.status is UploadStatus.CHECKED
    assert checked.check is not None
    assert (checked.check.counts.messages, checked.check.counts.messages_of) == (
        2,
        {"english": 1, "chinese": 1},
    )
    assert await made(pool) == (0, 0, 0)
    # A job that comes again does nothing more.
    await check_job(RunningJob(upload_id, 1))
    assert await made(pool) == (0, 0, 0)

    first, second = await asyncio.gather(ask(pool, upload_id, user_id), ask(pool, upload_id, "user_other"))
    assert sorted([first, second]) == [False, True]
    await asyncio.gather(*(check_job(RunningJob(upload_id, 0)) for _ in range(2)))
    sent = await look(pool, upload_id)
    assert (sent.status, await made(pool)) == (UploadStatus.ACCEPTED, (1, 2, 0))
    creator = await pool.fetchval("select creator_id from batches where id = $1", sent.batch_id)
    assert creator == (user_id if first else "user_other")
    assert not await ask(pool, upload_id, user_id)
    events = [
        row["event"]
        for row in await pool.fetch(
            "select event from audit_events where upload_id = $1 order by id", upload_id
        )
    ]
    assert events == ["upload_received", "upload_checked", "upload_send_asked", "upload_decided"]


async def test_what_is_asked_for_has_a_job_though_the_checks_own_job_is_not_gone(
    check_job: CheckJob, take: Take, pool: Pool, user_id: str
) -> None:
    upload_id = await take()
    # The library takes a job off the queue only some time after its end.
    await pool.execute("update pgqueuer set status = 'picked'")
    await check_job(RunningJob(upload_id, 0))
    await ask(pool, upload_id, user_id)
    assert await pool.fetchval("select count(*) from pgqueuer where entrypoint = $1", CHECKED_ENTRYPOINT) == 2


async def test_a_bad_file_is_rejected_with_its_report_and_no_e_mail(
    check_job: CheckJob, take: Take, pool: Pool, store: S3ObjectStore, user_id: str
) -> None:
    upload_id = await take(BAD)
    await check_job(RunningJob(upload_id, 0))
    found = await look(pool, upload_id)
    assert (found.status, found.num_rows, found.has_report, found.checked_at) == (
        UploadStatus.REJECTED,
        2,
        True,
        None,
    )
    key = await pool.fetchval("select report_key from uploads where id = $1", upload_id)
    assert b"remove the +" in await read_object(store, key)
    assert (
        await pool.fetchval("select jsonb_array_length(findings) from uploads where id = $1", upload_id) == 2
    )
    assert await made(pool) == (0, 0, 0)
    assert not await ask(pool, upload_id, user_id)


async def test_programs_of_the_release_before_neither_judge_nor_withdraw_it(
    awaited_job: AwaitedVerdictJob, job: VerdictJob, check_job: CheckJob, take: Take, pool: Pool, user_id: str
) -> None:
    upload_id = await take()
    for step in ("received", "checked", "asked"):
        if step == "checked":
            await check_job(RunningJob(upload_id, 0))
        if step == "asked":
            await ask(pool, upload_id, user_id)
        await awaited_job(RunningJob(upload_id, 0))
        await job(RunningJob(upload_id, 0))
        await pool.execute("update uploads set received_at = received_at - interval '1 hour'")
        async with pool.acquire() as connection, connection.transaction():
            assert await sweep_awaited(connection, NOW) == 0
            assert await sweep_uploads(connection, NOW) == 0
            upload = await fetch_upload(connection, upload_id)
            assert upload is not None
            with pytest.raises(ReopeningRefused, match="came by the console"):
                await retry_upload(connection, replace(upload, finished_at=upload.received_at), actor=AMY)
        assert await made(pool) == (0, 0, 0)
        assert await pool.fetchval("select withdrawn_at from uploads") is None


async def test_a_campaign_that_was_suspended_sends_nothing(
    check_job: CheckJob, take: Take, campaign: str, pool: Pool, user_id: str
) -> None:
    upload_id = await take()
    await check_job(RunningJob(upload_id, 0))
    await ask(pool, upload_id, user_id)
    await pool.execute("update campaigns set status = 'suspended'")
    await check_job(RunningJob(upload_id, 0))
    found = await look(pool, upload_id)
    assert found.status is UploadStatus.CHECKED
    assert found.check is not None
    assert (found.check.asked_by, found.check.hindrance, await made(pool)) == (None, "not_active", (0, 0, 0))
    with pytest.raises(SendingRefused, match="suspended"):
        await ask(pool, upload_id, user_id)
    await pool.execute("update campaigns set status = 'active'")
    await ask(pool, upload_id, user_id)
    await check_job(RunningJob(upload_id, 0))
    assert await made(pool) == (1, 2, 0)


async def test_what_is_no_longer_good_when_it_is_to_be_sent_is_rejected(
    check_job: CheckJob, take: Take, settings: object, pool: Pool, user_id: str, store: S3ObjectStore
) -> None:
    upload_id = await take()
    await check_job(RunningJob(upload_id, 0))
    await ask(pool, upload_id, user_id)
    # A worker that was started anew knows another template, or stricter rules.
    await pool.execute("delete from template_bodies where language = 'chinese'")
    check_job._judge._kept.clear()
    await check_job(RunningJob(upload_id, 0))
    found = await look(pool, upload_id)
    assert (found.status, found.num_errors, await made(pool)) == (UploadStatus.REJECTED, 1, (0, 0, 0))


async def test_one_that_waits_too_long_is_forgotten_with_its_original(
    check_job: CheckJob, take: Take, pool: Pool, store: S3ObjectStore, user_id: str
) -> None:
    upload_id, asked_for = await take(), await take(GOOD + b"6591234569,english,Lee\r\n")
    await check_job(RunningJob(upload_id, 0))
    await check_job(RunningJob(asked_for, 0))
    await ask(pool, asked_for, user_id)
    with pytest.raises(SendingRefused, match="waited too long"):
        await ask(pool, upload_id, user_id, NOW)
    async with pool.acquire() as connection, connection.transaction():
        assert await sweep_checked(connection, NOW, LIFE) == (0, [])
        swept, keys = await sweep_checked(connection, NOW, NOW)
    assert (swept, len(keys)) == (0, 1)
    for key in keys:
        await store.delete(key)
    with pytest.raises(ObjectMissing):
        await store.fetch(keys[0], io.BytesIO())
    assert await pool.fetchval(
        "select withdrawn_at is not null and object_key is null from uploads where id = $1", upload_id
    )
    assert not await ask(pool, upload_id, user_id)
    # One that somebody has said is to be sent is sent, however late.
    await check_job(RunningJob(asked_for, 0))
    assert await made(pool) == (1, 3, 0)


async def test_whatever_has_lost_its_job_gets_another(
    check_job: CheckJob, take: Take, pool: Pool, user_id: str
) -> None:
    upload_id = await take()
    for asked in (False, True):
        if asked:
            await check_job(RunningJob(upload_id, 0))
            await ask(pool, upload_id, user_id)
        await pool.execute("delete from pgqueuer")
        async with pool.acquire() as connection, connection.transaction():
            assert (await sweep_checked(connection, NOW, LIFE))[0] == 1
            assert (await sweep_checked(connection, NOW, LIFE))[0] == 0
            assert await subjects_without_job(connection, CHECKED_ENTRYPOINT, [upload_id]) == []
    await check_job(RunningJob(upload_id, 0))
    await pool.execute("delete from pgqueuer")
    async with pool.acquire() as connection, connection.transaction():
        assert (await sweep_checked(connection, NOW, LIFE))[0] == 0


async def test_a_file_is_forgotten_unless_it_is_being_sent(
    check_job: CheckJob, take: Take, pool: Pool, user_id: str
) -> None:
    upload_id, other = await take(), await take()
    async with pool.acquire() as connection, connection.transaction():
        assert await forget(connection, upload_id, actor=AMY) is not None
    await check_job(RunningJob(upload_id, 0))
    assert (await pool.fetchval("select status from uploads where id = $1", upload_id), await made(pool)) == (
        "failed",
        (0, 0, 0),
    )
    await check_job(RunningJob(other, 0))
    await ask(pool, other, user_id)
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(SendingRefused, match="being sent"):
            await forget(connection, other, actor=AMY)


async def test_a_file_whose_original_is_gone_has_failed_with_a_support_id(
    check_job: CheckJob, take: Take, pool: Pool, store: S3ObjectStore, user_id: str
) -> None:
    upload_id = await take()
    await check_job(RunningJob(upload_id, 0))
    await ask(pool, upload_id, user_id)
    await store.delete(await pool.fetchval("select object_key from uploads"))
    await check_job(RunningJob(upload_id, 0))
    found = await look(pool, upload_id)
    assert (found.status, found.support_id is not None, await made(pool)) == (
        UploadStatus.FAILED,
        True,
        (0, 0, 0),
    )


def test_counts_tell_what_a_sender_may_want_to_look_at_twice() -> None:
    rows = [
        (2, "6591234567", "english", r'{"a": "x\\\\n, \\ty"}', 1, "GSM-7"),
        (3, "6591234567", "chinese", "{}", 2, "UCS-2"),
        (4, "6590000000", "english", "{}", 1, "GSM-7"),
        (5, "60123456789", "english", '{"a": "\u2028\u0085"}', 3, "GSM-7"),
        (6, "6591234567", "english", "{}", 1, "GSM-7"),
    ]
    lines = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    form = MessageForm(
        (), {Language.ENGLISH: Layout(("Hello",), ()), Language.CHINESE: Layout(("您好",), ())}
    )
    assert count_messages(io.BytesIO(lines.encode()), form) == Counts(
        messages=5, local_segments=5, foreign_segments=3, ucs2_segments=2, messages_of={"english": 4, "chinese": 1},
        segments_of={"english": 6, "chinese": 2}, fake_rows=1, repeated_numbers=1, repeated_rows=3,
    )  # fmt: skip
    assert count_messages(io.BytesIO(b""), form) == Counts()

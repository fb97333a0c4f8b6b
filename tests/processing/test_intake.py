"""The way in: an upload is acknowledged only when object, row and job are durable, and never half taken."""

import asyncio
import hashlib
import io
from dataclasses import replace

import asyncpg
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from config.identifiers import new_identifier
from config.settings import Settings
from database.connections import Connection, Pool, open_pool
from gateway.embedded.postgres import PostgreSQLServer
from gateway.embedded.s3 import S3Server
from processing.intake import Intake, IntakeError, IntakeUnavailable
from processing.object_store import S3ObjectStore, open_store
from rules.codes import FindingCode
from tests.processing.conftest import CAMPAIGN, GOOD, INTAKE_SETTINGS, MakeSpool


async def test_a_stored_upload_is_durable_in_all_three_places(
    intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore
) -> None:
    spool = make_spool()
    await intake.store(spool)
    row = await pool.fetchrow("select * from uploads where id = $1", spool.upload_id)
    assert row is not None
    assert (row["status"], row["bytes"], row["file_name"]) == ("received", len(GOOD), "appointments.csv")
    assert row["sha256"] == hashlib.sha256(GOOD).hexdigest()
    assert len(row["report_name"]) == 32
    stored = io.BytesIO()
    await store.fetch(row["object_key"], stored)
    assert stored.getvalue() == GOOD
    job = await pool.fetchrow("select entrypoint, payload, priority from pgqueuer")
    assert job is not None
    assert (job["entrypoint"], job["payload"].decode(), job["priority"]) == ("verdict", spool.upload_id, 0)
    assert await pool.fetchval("select event from audit_events where upload_id = $1", spool.upload_id) == (
        "upload_received"
    )


async def test_storing_again_after_an_unclear_commit_is_one_upload(
    intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await intake.store(spool)
    assert await pool.fetchval("select count(*) from uploads") == 1
    assert await pool.fetchval("select count(*) from pgqueuer") == 1


async def test_a_key_taken_elsewhere_is_not_mistaken_for_an_upload_taken_before(
    intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    # This is how a restored database looks whose sequences lag behind its rows.
    await pool.execute("insert into audit_events (id, event) overriding system value values (1, 'x')")
    spool = make_spool()
    with pytest.raises(asyncpg.UniqueViolationError):
        await intake.store(spool)
    assert await pool.fetchval("select count(*) from uploads") == 0


async def test_a_campaign_suspended_since_the_login_is_refused(
    intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    spool = make_spool()
    await pool.execute("update campaigns set status = 'suspended'")
    with pytest.raises(IntakeError, match="can't receive uploads"):
        await intake.store(spool)
    assert await pool.fetchval("select count(*) from uploads") == 0


async def test_an_upload_taken_before_the_suspension_is_not_denied(
    intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    spool = make_spool()
    await intake.store(spool)  # and the answer to this COMMIT is lost
    await pool.execute("update campaigns set status = 'suspended'")
    await intake.store(spool)
    assert await pool.fetchval("select count(*) from pgqueuer") == 1


async def test_a_commit_that_outlasts_the_time_out_is_asked_about_before_the_answer(
    pool: Pool, store: S3ObjectStore, make_spool: MakeSpool
) -> None:
    await pool.execute(
        """
        create function stall() returns trigger language plpgsql as $$
        begin
            perform pg_sleep(10);
            return null;
        exception when query_canceled then
            return null;
        end $$;
        create constraint trigger stall after insert on uploads deferrable initially deferred
            for each row execute function stall();
        """
    )
    await Intake(pool, store, INTAKE_SETTINGS).store(make_spool())
    assert await pool.fetchval("select count(*) from uploads") == 1


async def test_an_upload_that_only_one_server_has_is_not_acknowledged_where_a_standby_must_have_it(
    settings: Settings, own_postgres: PostgreSQLServer, store: S3ObjectStore, make_spool: MakeSpool
) -> None:
    """The time-out cancels the wait for the standby, and leaves the rows on the server that may be lost next."""
    own_postgres.run_sql(
        f"insert into campaigns (id, name, header, notify_email) values ('{CAMPAIGN}', 'c', 'c', 'a@b.c')"
    )
    # The role's setting, since the server's own is that its tests are fast.
    own_postgres.run_sql("alter role postgres set synchronous_commit = on")
    own_postgres.run_sql("alter system set synchronous_standby_names = 'away'")
    own_postgres.run_sql("select pg_reload_conf()")
    database = settings.database.model_copy(update={"url": SecretStr(own_postgres.socket_url("postgres"))})
    # The first one is asked about at the end, the second one tried again before.
    for number, (command_timeout, acknowledge_timeout) in enumerate(((9, 1), (0.3, 2)), 1):
        async with open_pool(database, name="test", command_timeout=command_timeout) as pool:
            intake = Intake(pool, store, replace(INTAKE_SETTINGS, acknowledge_timeout=acknowledge_timeout))
            with pytest.raises(IntakeUnavailable, match="send it again"):
                await intake.store(make_spool())
            # It is there all the same; its sender's next try is another upload.
            assert await pool.fetchval("select count(*) from uploads") == number


async def test_a_key_revoked_while_its_upload_was_being_stored_is_refused(
    intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    async def refuse(_connection: Connection) -> Exception:
        return IntakeError("the key was revoked")

    with pytest.raises(IntakeError, match="the key was revoked"):
        await intake.store(make_spool(find_unauthorized=refuse))
    assert await pool.fetchval("select count(*) from uploads") == 0


def not_stored(service: str) -> float:
    value = REGISTRY.get_sample_value("sftp_gateway_uploads_not_stored_total", {"service": service})
    assert value is not None
    return value


async def test_a_bucket_that_is_away_refuses_loudly_and_takes_nothing(
    settings: Settings, pool: Pool, make_spool: MakeSpool, own_s3: S3Server
) -> None:
    s3 = settings.s3.model_copy(update={"endpoint_url": own_s3.endpoint_url, "bucket": "own"})
    async with open_store(s3) as store:
        intake = Intake(pool, store, replace(INTAKE_SETTINGS, acknowledge_timeout=1))
        own_s3.stop()
        before = not_stored("s3")
        with pytest.raises(IntakeUnavailable, match="send it again"):
            await intake.store(make_spool())
    assert not_stored("s3") == before + 1
    assert await pool.fetchval("select count(*) from uploads") == 0
    assert await pool.fetchval("select count(*) from pgqueuer") == 0


async def test_a_database_that_restarts_in_between_is_waited_for(
    settings: Settings, own_postgres: PostgreSQLServer, store: S3ObjectStore, make_spool: MakeSpool
) -> None:
    url = own_postgres.socket_url("postgres")
    connection = await asyncpg.connect(url)
    await connection.execute(
        "insert into campaigns (id, name, header, notify_email) values ($1, 'c', 'c', 'a@b.c')", CAMPAIGN
    )
    await connection.close()
    database = settings.database.model_copy(update={"url": SecretStr(url)})
    async with open_pool(database, name="test") as pool:
        intake = Intake(pool, store, replace(INTAKE_SETTINGS, acknowledge_timeout=10))
        await pool.fetchval("select 1")
        own_postgres.stop()
        storing = asyncio.create_task(intake.store(make_spool()))
        await asyncio.to_thread(own_postgres.start)
        await storing
        assert await pool.fetchval("select count(*) from uploads") == 1


async def test_a_database_that_stays_away_refuses_loudly(
    settings: Settings, own_postgres: PostgreSQLServer, store: S3ObjectStore, make_spool: MakeSpool
) -> None:
    database = settings.database.model_copy(update={"url": SecretStr(own_postgres.socket_url("postgres"))})
    async with open_pool(database, name="test") as pool:
        intake = Intake(pool, store, replace(INTAKE_SETTINGS, acknowledge_timeout=1))
        own_postgres.stop()
        before = not_stored("database")
        with pytest.raises(IntakeUnavailable, match="send it again"):
            await intake.store(make_spool())
        assert not_stored("database") == before + 1


async def test_an_interrupted_upload_is_refused_by_e_mail_and_kept_for_release(
    intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore
) -> None:
    spool = make_spool()
    upload_id = await intake.refuse(
        spool.sender, "a.csv", FindingCode.UPLOAD_INTERRUPTED, byte_count=16_384, path=spool.path
    )
    row = await pool.fetchrow("select * from uploads where id = $1", upload_id)
    assert row is not None
    assert (row["status"], row["refusal_code"], row["num_errors"]) == ("rejected", "upload_interrupted", 1)
    assert "16,384 bytes" in row["error_reason"]
    stored = io.BytesIO()
    await store.fetch(row["object_key"], stored)
    assert stored.getvalue() == GOOD
    assert await pool.fetchval("select count(*) from notifications where done_at is null") == 1
    assert await pool.fetchval("select entrypoint from pgqueuer") == "notification"


async def test_a_refusal_told_by_several_processes_at_once_is_one_upload_and_one_e_mail(
    intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    sender, upload_id = make_spool().sender, new_identifier("upload")

    async def tell() -> str | None:
        return await intake.refuse(
            sender, "a.csv", FindingCode.UPLOAD_INTERRUPTED, byte_count=5, upload_id=upload_id
        )

    assert set(await asyncio.gather(*(tell() for _ in range(6)))) == {upload_id}
    (row,) = await pool.fetch("select id, object_key, error_reason from uploads")
    assert (row["id"], row["object_key"]) == (upload_id, None)
    # Nothing is kept, so nothing can be released.
    assert row["error_reason"].endswith("upload the file again, or resume it")
    assert await pool.fetchval("select count(*) from notifications") == 1

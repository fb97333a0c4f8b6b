"""The table of rights has every table of the schema, and what it prints gives each role those rights and no others."""

import base64
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

import asyncpg
import pytest
from pydantic import SecretStr

from audit.events import NOBODY
from campaigns.secret_keys import load_keys, make_first_key
from campaigns.twilio_accounts import fetch_account_of_service, fetch_twilio_accounts
from config.sending_sections import SecretsSettings
from database import ranges
from database.connections import Connection
from database.grants import RIGHTS, DatabaseRole, grant_statements
from gateway.embedded.postgres import PostgreSQLServer
from messages.attempts import record_answers, record_receipts
from messages.changes import release_batch, retry_batch, retry_message, stop_batch
from messages.errors import BatchNotRetryable
from messages.identifiers import message_id, parse_message_id
from messages.news import Answer, Receipt
from messages.pages import Scope, Towards, fetch_page, fetch_place
from messages.retrieval import fetch_batch, fetch_message
from messages.statuses import MessageStatus
from sending.senders import pause_suspended
from sftpd.connections import session_table
from tests.messages.builders import NOW, make_batch

PRIVILEGES = ("select", "insert", "update", "delete", "truncate", "references", "trigger")


@pytest.fixture
async def granted(postgres: PostgreSQLServer, connection: Connection) -> Connection:
    """A migrated database whose roles have their rights."""
    for role in DatabaseRole:
        if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
            await connection.execute(f"create role {role} login")
    await connection.execute("\n".join(grant_statements()))
    return connection


async def test_every_table_of_the_schema_is_named(connection: Connection) -> None:
    rows = await connection.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace "
        " and relkind in ('r', 'p', 'v', 'm') and not relispartition"
    )
    assert {row["relname"] for row in rows} == set(RIGHTS)


def rights_of(role: DatabaseRole, table: str) -> Iterator[tuple[str, set[str] | None]]:
    """Each right as its privilege and the columns that it is limited to."""
    for right in RIGHTS[table].get(role, ()):
        privilege, _, columns = right.partition(" ")
        yield privilege, set(re.findall(r"\w+", columns)) or None


@pytest.mark.parametrize("role", DatabaseRole)
async def test_a_role_has_exactly_its_rights(granted: Connection, role: DatabaseRole) -> None:
    # A second time, over rights that the table doesn't give.
    await granted.execute(f"grant all on messages, notifications, pgqueuer_schedules to {role}")
    await granted.execute("\n".join(grant_statements()))
    for table in RIGHTS:
        whole: set[str] = set()
        columns: dict[str, set[str]] = {}
        for privilege, named in rights_of(role, table):
            if named is None:
                whole.add(privilege)
            else:
                columns.setdefault(privilege, set()).update(named)
        for privilege in PRIVILEGES:
            has = await granted.fetchval("select has_table_privilege($1, $2, $3)", role, table, privilege)
            assert has == (privilege in whole), f"{privilege} on {table}"
            if has or privilege in ("delete", "truncate", "trigger"):
                continue
            rows = await granted.fetch(
                "select attname from pg_attribute where attrelid = $2::text::regclass and attnum > 0 and not attisdropped"
                " and has_column_privilege($1, $2::text, attname, $3)", role, table, privilege,
            )  # fmt: skip
            assert {row["attname"] for row in rows} == columns.get(privilege, set()), (
                f"{privilege} on {table}"
            )


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        pytest.param(DatabaseRole.FRONT, "select count(*) from messages", id="front reads messages"),
        pytest.param(DatabaseRole.FRONT, "select facts from notifications", id="front reads notifications"),
        pytest.param(DatabaseRole.FRONT, "select body from template_bodies", id="front reads templates"),
        pytest.param(DatabaseRole.FRONT, "select notify_email from campaigns", id="front reads an address"),
        pytest.param(DatabaseRole.FRONT, "update campaigns set status = 'active'", id="front resumes a campaign"),
        pytest.param(DatabaseRole.FRONT, "update ssh_keys set revoked_at = null", id="front revives a key"),
        pytest.param(DatabaseRole.FRONT, "insert into ssh_keys default values", id="front adds a key"),
        pytest.param(DatabaseRole.FRONT, "update uploads set status = 'accepted'", id="front decides an upload"),
        pytest.param(DatabaseRole.FRONT, "select details from audit_events", id="front reads the audit trail"),
        pytest.param(DatabaseRole.FRONT, "delete from pgqueuer", id="front deletes jobs"),
        pytest.param(DatabaseRole.WORKER, "select digest from api_keys", id="worker reads keys"),
        pytest.param(DatabaseRole.WORKER, "update messages set recipient = '1'", id="worker changes messages"),
        pytest.param(DatabaseRole.WORKER, "update campaigns set notify_email = 'a@b.c'", id="worker diverts e-mails"),
        pytest.param(DatabaseRole.WORKER, "delete from audit_events", id="worker forges the audit trail"),
        pytest.param(DatabaseRole.FRONT, "select wrapped from secret_keys", id="front reads the keys of secrets"),
        pytest.param(DatabaseRole.WORKER, "select secret from twilio_accounts", id="worker reads API secrets"),
        pytest.param(DatabaseRole.SENDER, "select notify_email from campaigns", id="sender reads an address"),
        pytest.param(DatabaseRole.SENDER, "update twilio_accounts set account_sid = 'AC'", id="sender changes an account"),
        pytest.param(DatabaseRole.SENDER, "update secret_keys set retired_at = null", id="sender revives a key of secrets"),
        pytest.param(DatabaseRole.API, "select secret from twilio_accounts", id="api reads API secrets"),
        pytest.param(DatabaseRole.API, "insert into secret_keys (wrapped) values ('')", id="api makes a key of secrets"),
        pytest.param(DatabaseRole.API, "update messages set recipient = ''", id="api changes a recipient"),
        pytest.param(DatabaseRole.API, "select notify_email from campaigns", id="api reads an address"),
        pytest.param(DatabaseRole.API, "update senders set paused_since = null", id="api resumes a sender"),
        pytest.param(DatabaseRole.API, "update campaigns set api_rate = 1000", id="api raises its rate"),
        pytest.param(DatabaseRole.API, "update api_keys set deleted_at = null", id="api revives a key"),
        pytest.param(DatabaseRole.ADMIN, "delete from audit_events", id="admin forges the audit trail"),
        pytest.param(DatabaseRole.ADMIN, "drop table messages", id="admin drops a table"),
    ],
)  # fmt: skip
async def test_what_is_not_granted_is_refused(
    granted: Connection, role: DatabaseRole, statement: str
) -> None:
    await granted.execute(f"set role {role}")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await granted.execute(statement)
    finally:
        await granted.execute("reset role")


async def test_each_part_may_do_with_messages_what_it_does(granted: Connection, campaign_id: str) -> None:
    batch = await make_batch(granted, campaign_id, [MessageStatus.SENDING] * 2, unclaimed=1)
    held = await make_batch(granted, campaign_id, [], unclaimed=1)
    await granted.execute("update batches set held_since = now() where batch_no = $1", held.batch_no)
    put_back = Answer(batch.key(2), MessageStatus.ENQUEUED, due_at=NOW)
    failed = Receipt(batch.key(3), MessageStatus.FAILURE, raw_code="30002")
    secrets = SecretsSettings(key=SecretStr(base64.b64encode(bytes(32)).decode()))
    steps: list[tuple[DatabaseRole, Callable[[], Awaitable[object]]]] = [
        (DatabaseRole.SENDER, lambda: make_first_key(granted, secrets)),
        (DatabaseRole.SENDER, lambda: fetch_twilio_accounts(granted)),
        (DatabaseRole.SENDER, lambda: fetch_account_of_service(granted, "MG" + "0" * 32)),
        (DatabaseRole.API, lambda: load_keys(granted, secrets)),
        (DatabaseRole.SENDER, lambda: record_answers(granted, [put_back], now=NOW)),
        (DatabaseRole.API, lambda: record_receipts(granted, [failed], now=NOW)),
        (DatabaseRole.API, lambda: pause_suspended(granted, [failed])),
        (DatabaseRole.SENDER, lambda: pause_suspended(granted, [failed])),
        (
            DatabaseRole.API,
            lambda: record_receipts(granted, [Receipt(batch.key(2), MessageStatus.SENT)], now=NOW),
        ),
        (DatabaseRole.ADMIN, lambda: retry_batch(granted, batch.id, max_retries=3, actor=NOBODY)),
        (DatabaseRole.ADMIN, lambda: stop_batch(granted, batch.id, actor=NOBODY)),
        (DatabaseRole.ADMIN, lambda: release_batch(granted, held.id, actor=NOBODY)),
    ]
    for role, step in steps:
        await granted.execute(f"set role {role}")
        try:
            await step()
        finally:
            await granted.execute("reset role")
    assert await granted.fetchval("select paused_because from senders") == "account suspended"


async def test_a_front_may_tell_who_is_connected_and_sweep_what_others_have_left(granted: Connection) -> None:
    await granted.execute(
        "insert into sftp_sessions (connection_id, campaign_id, seen_at) values ('other', 'c', now() - interval '1 minute')"
    )
    await granted.execute(f"set role {DatabaseRole.FRONT}")
    try:
        for size in (None, 5):
            await granted.execute(
                session_table.SQL["renew_sessions"],
                ["own"],
                ["c"],
                ["SHA256:x"],
                ["192.0.2.7"],
                [1.5],
                [size],
            )
        await granted.execute(session_table.SQL["sweep_sessions"])
        rows = await granted.fetch("select connection_id, receiving_bytes from sftp_sessions")
        await granted.execute(session_table.SQL["delete_sessions"], ["own"])
    finally:
        await granted.execute("reset role")
    assert [tuple(row) for row in rows] == [("own", 5)]
    assert await granted.fetchval("select count(*) from sftp_sessions") == 0


async def test_the_api_may_read_and_retry_messages(granted: Connection, campaign_id: str) -> None:
    batch = await make_batch(granted, campaign_id, [MessageStatus.FAILURE] * 2)
    own = message_id(batch.id, 2)
    key = parse_message_id(own)
    assert key is not None
    await granted.execute(f"set role {DatabaseRole.API}")
    try:
        place = await fetch_place(granted, NOW, key)
        for search in (None, "6"):
            found = [
                len(
                    (
                        await fetch_page(
                            granted, Scope(campaign_id, search=search), limit=5, place=place, towards=way
                        )
                    ).messages
                )
                for way in Towards
            ]
            assert found == [0, 1]
        assert await fetch_message(granted, own) is not None
        assert await fetch_batch(granted, batch.id) is not None
        await retry_message(granted, own, max_retries=3, actor=NOBODY, campaign_id=campaign_id)
        with pytest.raises(BatchNotRetryable):
            await retry_batch(granted, batch.id, max_retries=3, actor=NOBODY, campaign_id=campaign_id)
    finally:
        await granted.execute("reset role")
    await granted.execute("update batches set retrying = 0, enqueued = 1")
    await granted.execute(f"set role {DatabaseRole.API}")
    try:
        assert await retry_batch(granted, batch.id, max_retries=3, actor=NOBODY) == 1
    finally:
        await granted.execute("reset role")


async def test_whoever_writes_may_look_after_the_ranges(granted: Connection, campaign_id: str) -> None:
    await granted.execute("select setval(pg_get_serial_sequence('batches', 'batch_no'), 5000000)")
    await make_batch(granted, campaign_id, at=datetime.now(UTC))
    last = "select max(to_no) from record_ranges where table_name = 'messages'"
    for role in (DatabaseRole.API, DatabaseRole.WORKER, DatabaseRole.SENDER):
        await granted.execute(f"set role {role}")
        try:
            await granted.fetchrow(ranges.SQL["add_ranges"])
        finally:
            await granted.execute("reset role")
        assert await granted.fetchval(last) == 12_000_000

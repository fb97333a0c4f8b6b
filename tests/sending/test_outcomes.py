"""Outcomes on their way into the database: kept while it is away, each recorded once, whatever breaks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from config.sections import DatabaseSettings
from config.sending_sections import SendingSettings
from database.connections import Connection, Pool, open_pool
from gateway.embedded.postgres import PostgreSQLServer
from messages.news import Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.outcomes import open_outcomes
from sending.providers.provider import HandOver, PutBack, Refused, Taken, Unknown
from sending.upkeep.sweeps import Sweeps
from tests.messages.builders import MadeBatch, counted, fetch_attempt, fetch_due, make_batch, recount

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
SETTINGS = SendingSettings()


async def test_what_is_added_is_recorded_in_a_tenth_of_a_second_and_flushed_at_once(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 5)
    async with open_outcomes(pool, SETTINGS) as outcomes:
        outcomes.add(batch.key(2), Taken("SM2"))
        outcomes.add(batch.key(3), Refused(ErrorCode.RECIPIENT_INVALID, "21211"))
        outcomes.add(batch.key(4), PutBack(delay=30, raw_code="20429"))
        outcomes.add(batch.key(5), Unknown("timeout"))
        outcomes.add_receipt(Receipt(batch.key(6), SUCCESS))
        assert outcomes.kept == 5
        await asyncio.wait_for(outcomes.flush(), 20)
        assert outcomes.kept == 0
        assert await counted(connection, batch.batch_no) == ([0, 1, 1, 1, 0, 1, 1], {"recipient_invalid": 1})
        outcomes.add_receipt(Receipt(batch.key(2), SUCCESS))
        async with asyncio.timeout(20):
            while outcomes.kept:  # noqa: ASYNC110 - it is recorded in the background, which tells nobody
                await asyncio.sleep(0.01)
    due = await fetch_due(connection, batch)
    assert {key: priority for key, (priority, _) in due.items()} == {batch.key(4): 2, batch.key(5): 3}
    # Counted from their answers, a look-up in a minute, the put-back in half of one.
    assert (due[batch.key(5)][1] - due[batch.key(4)][1]).total_seconds() == pytest.approx(30, abs=5)
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)


async def test_outcomes_that_come_all_the_time_are_recorded_in_bulk(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 150)
    async with open_outcomes(pool, SETTINGS) as outcomes:
        for row in range(2, 152):
            outcomes.add(batch.key(row), Taken(f"SM{row}"))
            await asyncio.sleep(0.002)
        # Each transaction gives the attempts that it changes the same time.
        times = await connection.fetchval("select count(distinct updated_at) from attempts where status = 3")
    assert times <= 10
    assert (await counted(connection, batch.batch_no))[0][SENT] == 150


async def test_the_end_of_a_process_waits_for_what_is_kept(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 3000)
    async with open_outcomes(pool, SETTINGS) as outcomes:
        for row in range(2, 3002):
            outcomes.add(batch.key(row), Taken(f"SM{row}"))
    assert (await counted(connection, batch.batch_no))[0][SENT] == 3000


async def test_an_outcome_that_the_database_refuses_takes_no_other_with_it(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 3)
    await connection.execute("alter table attempts add constraint no_poison check (provider_id <> 'poison')")
    async with open_outcomes(pool, SETTINGS) as outcomes:
        for row, provider_id in ((2, "SM2"), (3, "poison"), (4, "SM4")):
            outcomes.add(batch.key(row), Taken(provider_id))
        await asyncio.wait_for(outcomes.flush(), 20)
    assert (await counted(connection, batch.batch_no))[0] == [0, 0, 1, 2, 0, 0, 0]
    assert (await fetch_attempt(connection, batch.key(3)))["status"] is SENDING


@dataclass(slots=True)
class CuttingProxy:
    """Stands before PostgreSQL. Cuts a connection once the server has answered `COMMIT`, before the client hears of it."""

    server_port: int
    cuts_left: int = 0
    cuts: int = 0
    port: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["CuttingProxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
        armed = asyncio.Event()

        async def forth() -> None:
            while asked := await reader.read(65536):
                if b"COMMIT;" in asked and self.cuts_left:
                    self.cuts_left -= 1
                    armed.set()
                to_server.write(asked)

        async def back() -> None:
            while answer := await from_server.read(65536):
                if armed.is_set():
                    self.cuts += 1
                    return
                writer.write(answer)

        ways = [asyncio.create_task(forth()), asyncio.create_task(back())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (to_server, writer):
            end.close()


@pytest.fixture
async def cutting(postgres: PostgreSQLServer) -> AsyncIterator[CuttingProxy]:
    async with CuttingProxy(postgres.port).running() as proxy:
        yield proxy


@pytest.fixture
async def cut_pool(
    cutting: CuttingProxy, postgres: PostgreSQLServer, database_url: str
) -> AsyncIterator[Pool]:
    name = urlsplit(database_url).path.strip("/")
    url = postgres.tcp_url(name).replace(str(postgres.port), str(cutting.port))
    async with open_pool(DatabaseSettings(url=SecretStr(url)), name="cut") as opened:
        yield opened


async def test_a_put_back_whose_commit_nobody_heard_of_is_recorded_once(
    cutting: CuttingProxy, cut_pool: Pool, connection: Connection, campaign_id: str
) -> None:
    """Recorded twice, it would send the message twice: it may have been handed over again in between."""
    batch = await make_batch(connection, campaign_id)
    async with open_outcomes(cut_pool, SETTINGS) as outcomes:
        cutting.cuts_left = 1
        outcomes.add(batch.key(), PutBack(delay=0, counts=True))
        async with asyncio.timeout(20):
            while not await fetch_due(connection, batch):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.005)
        # Claimed again and being handed over, while the first recording's answer is lost.
        await connection.execute("delete from due")
        await connection.execute("update attempts set status = 2")
        await connection.execute("update batches set sending = 1, enqueued = 0")
        await asyncio.wait_for(outcomes.flush(), 20)
    assert cutting.cuts == 1
    attempt = await fetch_attempt(connection, batch.key())
    assert (attempt["status"], attempt["put_backs"]) == (SENDING, 1)
    assert await fetch_due(connection, batch) == {}


async def test_a_link_that_breaks_at_every_other_commit_loses_and_doubles_nothing(
    cutting: CuttingProxy, cut_pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 40)
    async with open_outcomes(cut_pool, SETTINGS) as outcomes:
        for row in range(2, 42, 4):
            cutting.cuts_left = row % 8 == 2
            for part in range(row, row + 4):
                outcomes.add(batch.key(part), PutBack(delay=0, counts=True) if part % 2 else Taken("SM"))
            await asyncio.wait_for(outcomes.flush(), 30)
    assert cutting.cuts == 5
    assert await counted(connection, batch.batch_no) == ([0, 20, 0, 20, 0, 0, 0], {})
    assert await recount(connection, batch.batch_no) == ([0, 20, 0, 20, 0, 0, 0], {})


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_no_outcome_is_lost_when_postgresql_restarts(end: str, own_postgres: PostgreSQLServer) -> None:
    # A commit must outlive the server's crash here, as it does in production.
    own_postgres.run_sql("alter database postgres set synchronous_commit = on")
    settings = DatabaseSettings(url=SecretStr(own_postgres.socket_url("postgres")))
    async with open_pool(settings, name="test") as pool:
        async with pool.acquire() as connection:
            await connection.execute(
                "insert into campaigns (id, name, channel, header, notify_email)"
                " values ('campaign_test', 'Clinic', 'public', 'Clinic', 'ops@clinic.gov.sg')"
            )
            batch = await make_batch(connection, "campaign_test", [SENDING] * 2000)
        async with open_outcomes(pool, SETTINGS) as outcomes:
            adding = asyncio.create_task(_add_slowly(outcomes.add, batch))
            async with asyncio.timeout(30):
                async with pool.acquire() as connection:
                    while not (await counted(connection, batch.batch_no))[0][SENT]:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                (own_postgres.stop if end == "stop" else own_postgres.kill)()
                # More comes while it is away.
                while outcomes.kept < 200:  # noqa: ASYNC110 - it is the other task that adds them
                    await asyncio.sleep(0.01)
            own_postgres.start()
            await adding
            await asyncio.wait_for(outcomes.flush(), 60)
        async with pool.acquire() as connection:
            assert await counted(connection, batch.batch_no) == ([0, 1000, 0, 1000, 0, 0, 0], {})
            assert await recount(connection, batch.batch_no) == ([0, 1000, 0, 1000, 0, 0, 0], {})
            assert len(await fetch_due(connection, batch)) == 1000


async def _add_slowly(add: object, batch: MadeBatch) -> None:
    assert callable(add)
    for row in range(2, 2002):
        add(batch.key(row), PutBack(delay=0) if row % 2 else Taken("SM"))
        if row % 20 == 0:
            await asyncio.sleep(0.01)


class _Gate:
    """A pool whose connections are to be had only while `open` is set."""

    def __init__(self, pool: Pool) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self._pool = pool

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        await self.open.wait()
        async with self._pool.acquire() as connection:
            yield connection


@pytest.mark.parametrize("others", [0, 100])
@pytest.mark.parametrize("handovers", [[Taken("SM")], [Taken("SM"), PutBack(delay=0, counts=True)]])
async def test_a_crash_after_which_others_have_the_numbers_of_its_transactions_loses_no_outcome(
    handovers: list[HandOver], others: int, own_postgres: PostgreSQLServer
) -> None:
    """What a crash takes with it leaves no trace: PostgreSQL gives the number of such a transaction once more."""
    own_postgres.run_sql("alter database postgres set synchronous_commit = on")
    settings = DatabaseSettings(url=SecretStr(own_postgres.socket_url("postgres")))
    async with open_pool(settings, name="test") as pool:
        async with pool.acquire() as connection:
            await connection.execute(
                "insert into campaigns (id, name, channel, header, notify_email)"
                " values ('campaign_test', 'Clinic', 'public', 'Clinic', 'ops@clinic.gov.sg')"
            )
            batch = await make_batch(connection, "campaign_test", [SENDING] * 2)
        gate = _Gate(pool)
        async with open_outcomes(cast("Pool", gate), SETTINGS) as outcomes:
            holder = await asyncpg.connect(own_postgres.socket_url("postgres"))
            await holder.execute("begin; select from batches for update")
            for row, handover in enumerate(handovers, start=2):
                outcomes.add(batch.key(row), handover)
            async with asyncio.timeout(20):
                while not await holder.fetchval("select count(*) from pg_locks where not granted"):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            gate.open.clear()
            own_postgres.kill()
            holder.terminate()
            own_postgres.start()
            async with pool.acquire() as connection:
                for _ in range(others):
                    await connection.fetchval("select pg_current_xact_id()")
            gate.open.set()
            await asyncio.wait_for(outcomes.flush(), 60)
        async with pool.acquire() as connection:
            put_back = len(handovers) - 1
            left = 2 - len(handovers)
            assert (await counted(connection, batch.batch_no))[0] == [0, put_back, left, 1, 0, 0, 0]
            assert len(await fetch_due(connection, batch)) == put_back


async def test_each_process_has_one_mark_which_is_forgotten_long_after_its_end(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 2)
    for row in (2, 3):
        async with open_outcomes(pool, SETTINGS) as outcomes:
            for handover in (Unknown("timeout"), Taken("SM")):
                outcomes.add(batch.key(row), handover)
                await asyncio.wait_for(outcomes.flush(), 20)
    marks = "select number from outcome_groups order by recorded_at"
    assert [row["number"] for row in await connection.fetch(marks)] == [2, 2]
    await connection.execute(
        "update outcome_groups set recorded_at = now() - interval '31 days', number = 1 where ctid ="
        " (select ctid from outcome_groups limit 1)"
    )
    await Sweeps(pool, SETTINGS).sweep(datetime.now(UTC))
    assert [row["number"] for row in await connection.fetch(marks)] == [2]

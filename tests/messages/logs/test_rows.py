"""A log's rows: which attempts are in it, what its columns say, and that nothing of the database is held between pieces."""

import csv
import io
import json
import random
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

import pytest

from campaigns.campaigns import Channel, fetch_known_campaign
from campaigns.people.users import ensure_user
from config.environment import Environment
from config.sections import BillingSettings
from console.rendering import masked_number
from database.connections import Connection, Pool
from keys.ssh_keys import fetch_label_of_upload
from messages.documents import api_time
from messages.identifiers import message_id
from messages.logs.charges import Charges
from messages.logs.columns import column_names
from messages.logs.rows import LogQuery, cells_of, read_log_cells, read_log_csv
from messages.statuses import ErrorCode, MessageStatus
from rules.billing.outcomes import is_charged
from tests.messages.builders import FOREIGN, LOCAL, MadeBatch, make_batch

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
# The first moment of November in Singapore.
MIDNIGHT = datetime(2026, 10, 31, 16, tzinfo=UTC)
PRODUCTION = Charges.of(BillingSettings(), Environment.PRODUCTION, Channel.PUBLIC)
ODD = (
    "=1+1",
    "+65",
    "-1",
    "@SUM(A1)",
    "\tx",
    '6,5\n"7"',
    "<r><t>x</t></r>",
    "",
    "预约 தமிழ் 😀",
    "'quoted",
    "a\\b\x01",
)


async def query_of(
    connection: Connection,
    campaign_id: str,
    *,
    first: date = OCTOBER,
    last: date = date(2026, 10, 31),
    batch: MadeBatch | None = None,
    statuses: Collection[MessageStatus] = frozenset(MessageStatus),
    errors: Collection[ErrorCode] | None = None,
    only_of: str | None = None,
    is_masked: bool = False,
) -> LogQuery:
    return LogQuery(
        await fetch_known_campaign(connection, campaign_id), PRODUCTION, first, last,
        batch_no=None if batch is None else batch.batch_no, statuses=statuses, errors=errors,
        only_of=only_of, is_masked=is_masked,
    )  # fmt: skip


async def read(pool: Pool, query: LogQuery, *, at_once: int = 3) -> list[dict[str, str]]:
    """The log's rows, in pieces so small that it has several."""
    text = b""
    async for piece in read_log_csv(pool.acquire, query, at_once=at_once):
        # Whoever reads slowly keeps nobody from the database: the pool has all its connections but the test's own.
        assert pool.get_idle_size() == pool.get_size() - 1
        assert piece.looked <= at_once
        text += piece.text
    assert text.startswith(b"\xef\xbb\xbfcreated,sent,")
    return list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline="")))


async def scatter(connection: Connection, batch: MadeBatch, choice: random.Random) -> None:
    """Attempts of all kinds around the month's end, as no program would write them but any mixture of programs might."""
    await connection.execute(
        "update messages set recipient = case when row_number % 3 = 0 then $2 else $3 end, segments = row_number % 4 + 1"
        " where batch_no = $1",
        batch.batch_no, FOREIGN, LOCAL,
    )  # fmt: skip
    for row in await connection.fetch(
        "select row_number, attempt from attempts where batch_no = $1", batch.batch_no
    ):
        for attempt in range(1, choice.randrange(1, 4)):
            if attempt > 1:
                await connection.execute(
                    "insert into attempts (batch_no, row_number, attempt, status) values ($1, $2, $3, 0)",
                    batch.batch_no, row["row_number"], attempt,
                )  # fmt: skip
            status = choice.choice(list(MessageStatus))
            error = (
                choice.choice([*ErrorCode, ErrorCode.MESSAGE_EXPIRED])
                if status is MessageStatus.FAILURE
                else None
            )
            times = [
                choice.choice([None, MIDNIGHT + timedelta(milliseconds=choice.randrange(-2000, 2000))])
                for _ in range(3)
            ]
            await connection.execute(
                "update attempts set status = $4, error = $5, sent_at = $6, delivered_at = $7, claimed_at = $8, created_at = $9,"
                " expired = $10 where batch_no = $1 and row_number = $2 and attempt = $3",
                batch.batch_no, row["row_number"], attempt, status, error, *times,
                MIDNIGHT - timedelta(seconds=choice.randrange(-9, 99)),
                error is ErrorCode.MESSAGE_EXPIRED and choice.random() < 0.5,
            )  # fmt: skip


async def expected(
    connection: Connection, query: LogQuery, begin: datetime, end: datetime
) -> list[dict[str, str]]:
    """The same rows, put together one by one in Python."""
    late = {
        (row["batch_no"], row["row_number"], row["attempt"]): (row["outcome"], row["own_expiry"])
        for row in await connection.fetch("select * from late_outcomes")
    }
    found = await connection.fetch(
        'select b.*, m.recipient, m.language, m."values", m.segments, m.encoding, m.row_number,'
        " a.attempt, a.status as attempt_status, a.error, a.sent_at, a.delivered_at, a.claimed_at, a.expired,"
        " a.created_at as attempt_created_at, u.email"
        " from batches b join users u on u.id = coalesce(b.creator_id, $2) join messages m using (batch_no)"
        " left join attempts a using (batch_no, row_number) where b.campaign_id = $1"
        " order by b.created_at, batch_no, row_number, attempt",
        query.campaign.id, query.campaign.creator.id,
    )  # fmt: skip
    rows = []
    for row in found:
        moment = (
            row["sent_at"] or row["claimed_at"] or row["attempt_created_at"]
            if row["attempt"]
            else row["created_at"]
        )
        if not begin <= moment < end:
            continue
        unclaimed = (
            MessageStatus.FAILURE if row["ended_at"] else MessageStatus(int(row["taken_at"] is not None))
        )
        status = MessageStatus(row["attempt_status"]) if row["attempt"] else unclaimed
        code = row["error"] if row["attempt"] else "stopped"
        error = ErrorCode(code) if status is MessageStatus.FAILURE else None
        own = row["expired"] if status is MessageStatus.FAILURE else False
        names = {MessageStatus.SENT_TO_TELCO: "sent_to_telco", MessageStatus.SUCCESS: "success"}
        outcome = error.value if error else names.get(status)
        outcome, own = late.get((row["batch_no"], row["row_number"], row["attempt"]), (outcome, own))
        charged = bool(row["attempt"]) and is_charged(
            outcome, is_local=row["recipient"].startswith("65"), own_expiry=bool(own), charge_own_expiry=False
        )
        cells = [
            api_time(row["created_at"]), api_time(row["sent_at"]), api_time(row["delivered_at"]),
            message_id(row["id"], row["row_number"]), row["id"], row["original_file_name"], row["recipient"], row["language"],
            json.loads(row["values"])["name"], status.word, error and error.type.value, error and error.value,
            str(row["attempt"] or 0), str(row["segments"]), row["encoding"], "yes" if charged else "no", row["email"], "",
        ]  # fmt: skip
        rows.append(dict(zip(column_names(["name"]), [cell or "" for cell in cells], strict=True)))
    return rows


@pytest.mark.parametrize("seed", range(3))
async def test_a_log_has_what_a_reading_row_by_row_finds(
    pool: Pool, connection: Connection, campaign_id: str, seed: int
) -> None:
    choice = random.Random(seed)
    for place, size in enumerate((7, 1, 2, 0, 1)):
        at = MIDNIGHT + timedelta(seconds=choice.randrange(-5, 5))
        batch = await make_batch(
            connection, campaign_id, [MessageStatus.SENDING] * size, unclaimed=2, at=at, taken=place != 3
        )
        await scatter(connection, batch, choice)
        if place == 2:
            await connection.execute(
                "update batches set ended_at = $2, ended_because = 'stopped' where batch_no = $1",
                batch.batch_no, at,
            )  # fmt: skip
    # October is posted; of what changes since, the log says what it had then.
    await connection.execute("insert into billing_months values ($1, now())", OCTOBER)
    await connection.execute("update attempts set status = 5, error = null where row_number = 3")
    assert await connection.fetchval("select count(*) from late_outcomes")
    logs = []
    for first, last in ((OCTOBER, date(2026, 10, 31)), (NOVEMBER, NOVEMBER)):
        query = await query_of(connection, campaign_id, first=first, last=last)
        rows = await read(pool, query)
        assert rows == await expected(connection, query, query.begins_at, query.ends_at)
        logs += rows
    assert {row["charged"] for row in logs} == {"yes", "no"}
    # Together they are all attempts there are, and all messages without one, each once.
    assert len({(row["message id"], row["attempts"]) for row in logs}) == len(logs)
    everything = "select (select count(*) from attempts) + count(*) from messages m where not exists (select from attempts a where a.batch_no = m.batch_no and a.row_number = m.row_number)"  # noqa: E501
    assert len(logs) == await connection.fetchval(everything)


async def test_charged_segments_of_a_log_are_those_of_the_daily_totals(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [MessageStatus.SENDING] * 40, at=MIDNIGHT)
    await scatter(connection, batch, random.Random(5))
    query = await query_of(connection, campaign_id)
    totals = await connection.fetch(
        "select destination, outcome, own_expiry, sum(segments)::int as segments from usage_days where day between $1 and $2"
        " group by 1, 2, 3",
        query.first, query.last,
    )  # fmt: skip
    charged = sum(
        row["segments"]
        for row in totals
        if is_charged(
            row["outcome"],
            is_local=row["destination"] == "local",
            own_expiry=row["own_expiry"],
            charge_own_expiry=False,
        )
    )
    rows = await read(pool, query, at_once=7)
    assert sum(int(row["segments"]) for row in rows if row["charged"] == "yes") == charged > 0


async def test_a_batch_that_is_retried_months_later_is_found(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    june = datetime(2026, 6, 1, 3, tzinfo=UTC)
    retried, waiting, past, other = [
        await make_batch(connection, campaign, [MessageStatus.FAILURE] * 5, at=june)
        for campaign in (campaign_id, campaign_id, campaign_id, other_campaign_id)
    ]
    for batch in (retried, waiting, other):
        await connection.executemany(
            "insert into attempts (batch_no, row_number, attempt, status, sent_at) values ($1, $2, 2, $3, $4)",
            [
                (batch.batch_no, row, 5 if batch is retried else 3, MIDNIGHT - timedelta(days=2))
                for row in (3, 5)
            ],
        )
        await connection.execute(
            "update batches set finished_at = $2, sent = $3 where batch_no = $1",
            *(batch.batch_no, MIDNIGHT - timedelta(days=1), 0 if batch is retried else 2),
        )
    finished = "select count(finished_at) from batches where batch_no = any($1)"
    assert await connection.fetchval(finished, [retried.batch_no, waiting.batch_no]) == 1
    october = await read(pool, await query_of(connection, campaign_id))
    assert [(row["batch id"], row["attempts"]) for row in october] == [
        (batch.id, "2") for batch in (retried, waiting) for _ in (3, 5)
    ]
    june_rows = await read(pool, await query_of(connection, campaign_id, first=june.date(), last=june.date()))
    assert {row["batch id"] for row in june_rows} == {retried.id, waiting.id, past.id}
    assert len(june_rows) == 15


async def test_a_log_of_some_statuses_errors_a_batch_or_one_user(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    statuses = [MessageStatus.SUCCESS, MessageStatus.FAILURE, MessageStatus.SENT, MessageStatus.FAILURE]
    mine, theirs = [
        await make_batch(connection, campaign_id, statuses, unclaimed=1, at=MIDNIGHT - timedelta(hours=1))
        for _ in range(2)
    ]
    bo = await ensure_user(connection, "bo@clinic.gov.sg")
    await connection.execute(
        "update batches set creator_id = $2, original_file_name = '=x,\".csv' where batch_no = $1",
        mine.batch_no,
        bo.id,
    )
    await connection.execute(
        "update attempts set error = 'stopped' where batch_no = $1 and row_number = 3", mine.batch_no
    )
    rows = await read(pool, await query_of(connection, campaign_id, only_of=bo.id))
    assert {(row["batch id"], row["creator"], row["file name"]) for row in rows} == {
        (mine.id, "bo@clinic.gov.sg", "'=x,\".csv")
    }
    assert len(rows) == 5
    owner = (await fetch_known_campaign(connection, campaign_id)).creator.id
    rows = await read(pool, await query_of(connection, campaign_id, only_of=owner))
    assert {row["batch id"] for row in rows} == {theirs.id}
    rows = await read(
        pool, await query_of(connection, campaign_id, batch=theirs, statuses={MessageStatus.FAILURE})
    )
    assert [(row["batch id"], row["status"]) for row in rows] == [(theirs.id, "failure")] * 2
    rows = await read(pool, await query_of(connection, campaign_id, errors={ErrorCode.STOPPED}))
    assert [(row["batch id"], row["error type"], row["error code"]) for row in rows] == [
        (mine.id, "server_error", "stopped")
    ]
    rows = await read(pool, await query_of(connection, campaign_id, batch=mine, is_masked=True))
    assert {row["recipient"] for row in rows} == {masked_number(LOCAL)}
    assert "name" not in rows[0]
    await connection.execute("update messages set recipient = '65123'")
    rows = await read(pool, await query_of(connection, campaign_id, batch=mine, is_masked=True))
    assert {row["recipient"] for row in rows} == {masked_number("65123")}


async def test_the_key_that_a_file_came_with_is_named(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    at = MIDNIGHT - timedelta(hours=1)
    ways = {"SHA256:x": "night job", "api key abcdefgh": "website", "user_1": ""}
    await connection.execute(
        "insert into ssh_keys (campaign_id, fingerprint, algorithm, public_key, label, revoked_at)"
        " values ($1, 'SHA256:x', 'a', 'b', 'old job', now()), ($1, 'SHA256:x', 'a', 'b', 'night job', null)",
        campaign_id,
    )
    await connection.execute(
        "insert into api_keys (prefix, campaign_id, digest, name) values ('abcdefgh', $1, sha256('a'), 'website')",
        campaign_id,
    )
    for number, actor in enumerate(ways):
        batch = await make_batch(connection, campaign_id, at=at)
        await connection.execute(
            "insert into uploads (id, campaign_id, file_name, status, bytes, finished_at, batch_id, report_name, received_at)"
            " values ($1, $2, 'a.csv', 'accepted', 1, now(), $3, 'r', now())",
            f"upload_{number}", campaign_id, batch.id,
        )  # fmt: skip
        await connection.execute(
            "update batches set upload_id = $2 where batch_no = $1", batch.batch_no, f"upload_{number}"
        )
        await connection.execute(
            "insert into audit_events (event, campaign_id, upload_id, actor) values ('upload_received', $1, $2, $3)",
            campaign_id, f"upload_{number}", actor,
        )  # fmt: skip
    rows = await read(pool, await query_of(connection, campaign_id))
    assert [row["key's name"] for row in rows] == list(ways.values())
    # Delivery reports say the same.
    of_reports = [
        await fetch_label_of_upload(connection, campaign_id, f"upload_{number}") for number in range(3)
    ]
    assert of_reports == list(ways.values())
    assert await fetch_label_of_upload(connection, campaign_id, None) == ""
    # So they do when these events have left for the bucket, and are kept beside.
    await connection.execute(
        "insert into kept_events select id, at, event, null, upload_id, actor from audit_events"
    )
    await connection.execute("delete from audit_events")
    rows = await read(pool, await query_of(connection, campaign_id))
    assert [row["key's name"] for row in rows] == list(ways.values())
    assert [
        await fetch_label_of_upload(connection, campaign_id, f"upload_{number}") for number in range(3)
    ] == of_reports


async def test_odd_values_come_through_in_both_forms(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(
        connection, campaign_id, [MessageStatus.SUCCESS] * len(ODD), at=MIDNIGHT - timedelta(1)
    )
    await connection.executemany(
        'update messages set "values" = $3 where batch_no = $1 and row_number = $2',
        [(batch.batch_no, row, json.dumps({"name": odd})) for row, odd in enumerate(ODD, 2)],
    )
    query = await query_of(connection, campaign_id)
    assert [row["name"] for row in await read(pool, query)] == [f"'{odd}" for odd in ODD[:5]] + list(ODD[5:])
    cells = [row async for piece in read_log_cells(pool.acquire, query, at_once=4) for row in cells_of(piece)]
    assert [row[8] for row in cells] == list(ODD)
    assert {(row[12], row[13], row[15]) for row in cells} == {(1, 1, "yes")}
    long = "x" * 200_000
    await connection.execute('update messages set "values" = $1', json.dumps({"name": long}))
    async for piece in read_log_cells(pool.acquire, query):
        assert {row[8] for row in cells_of(piece)} == {long}


@pytest.mark.parametrize(
    ("environment", "channel", "starts", "charged"),
    [
        (Environment.PRODUCTION, Channel.PUBLIC, OCTOBER, "yes"),
        (Environment.PRODUCTION, Channel.PUBLIC, NOVEMBER, "no"),
        (Environment.PRODUCTION, Channel.INTERNAL, OCTOBER, "no"),
        (Environment.TEST, Channel.PUBLIC, OCTOBER, "no"),
    ],
)
async def test_nothing_is_charged_before_the_first_day_nor_elsewhere(
    pool: Pool, connection: Connection, campaign_id: str, environment: Environment, channel: Channel, starts: date, charged: str
) -> None:  # fmt: skip
    await make_batch(
        connection, campaign_id, [MessageStatus.SUCCESS], at=MIDNIGHT - timedelta(milliseconds=1)
    )
    charges = Charges.of(BillingSettings(starts=starts), environment, channel)
    campaign = await fetch_known_campaign(connection, campaign_id)
    (row,) = await read(pool, LogQuery(campaign, charges, OCTOBER, NOVEMBER))
    assert row["charged"] == charged

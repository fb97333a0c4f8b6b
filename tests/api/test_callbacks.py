"""Each callback gets the right answer: early, late, doubled, out of order, forged, replayed, unknown, in a flood."""

import asyncio
import base64
import os
from collections.abc import Callable, Sequence

import pytest
from pydantic import SecretStr

from api import metrics
from api.provider_callbacks.callback_keys import CallbackKeys
from api.provider_callbacks.receipt_groups import MOST_WAITING
from audit.events import Actor
from campaigns.secret_keys import load_keys, make_first_key, record_rotation
from config.settings import Settings
from database.connections import Connection, Pool
from gateway.embedded.postgres import PostgreSQLServer
from messages.news import AttemptKey
from messages.statuses import MessageStatus
from sending.pauses import resume_senders
from tests.api.conftest import SECRETS
from tests.api.served import ServedAPI, serving, until_awaited
from tests.messages.builders import MadeBatch, counted, make_batch, recount


def count_of(result: str) -> float:
    return float(metrics.CALLBACKS.labels(result)._value.get())


async def status_of(connection: Connection, key: AttemptKey) -> MessageStatus:
    return MessageStatus(
        await connection.fetchval(
            "select status from attempts where batch_no = $1 and row_number = $2 and attempt = $3",
            key.batch_no, key.row_number, key.attempt,
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param(["queued"], MessageStatus.SENT, id="before the answer to the hand-over"),
        pytest.param(["sent"], MessageStatus.SENT_TO_TELCO, id="sent"),
        pytest.param(["queued", "sent", "delivered"], MessageStatus.SUCCESS, id="in order"),
        pytest.param(["delivered", "sent", "queued"], MessageStatus.SUCCESS, id="out of order"),
        pytest.param(["delivered", "delivered"], MessageStatus.SUCCESS, id="doubled"),
        pytest.param(["undelivered", "delivered"], MessageStatus.FAILURE, id="the first error of a long one"),
        pytest.param(
            ["delivered", "undelivered"], MessageStatus.SUCCESS, id="one part of three, after the end"
        ),
        pytest.param(["partially_delivered"], MessageStatus.SENT_TO_TELCO, id="an undocumented status"),
    ],
)
async def test_statuses_only_move_up(
    api: ServedAPI, batch: MadeBatch, connection: Connection, calls: Sequence[str], expected: MessageStatus
) -> None:
    for status in calls:
        answer = await api.call(batch.key(), status, ErrorCode="30003" if status == "undelivered" else "")
        assert (answer.status, answer.body) == (204, b"")
    assert await status_of(connection, batch.key()) is expected
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)


async def test_an_account_suspended_after_queueing_pauses_its_sender_until_people_resume_it(
    api: ServedAPI, batch: MadeBatch, connection: Connection, other_campaign_id: str
) -> None:
    await make_batch(connection, other_campaign_id, sender="MG1")
    paused = "select array_agg(name || ': ' || paused_because) from senders where paused_since is not null"
    assert (await api.call(batch.key(2), "undelivered", ErrorCode="30003")).status == 204
    assert await connection.fetchval(paused) is None
    assert (await api.call(batch.key(3), "failed", ErrorCode="30002")).status == 204
    assert await connection.fetchval(paused) == ["public: account suspended"]
    assert await connection.fetchval(
        "select error from attempts where row_number = 3 and error is not null"
    ) == ("server_unknown_error")
    # Repeated or late, it tells of the time before the repair; what was handed over since tells of now.
    await connection.execute("update attempts set sent_at = now() where row_number = 4")
    await resume_senders(connection, None, actor=Actor(name="ops"))
    for row in (3, 4):
        assert (await api.call(batch.key(row), "failed", ErrorCode="30002")).status == 204
        assert await connection.fetchval(paused) is None
    late = await make_batch(connection, batch.campaign_id)
    await connection.execute(
        "update attempts set sent_at = now() + interval '1 s' where batch_no = $1", late.batch_no
    )
    assert (await api.call(late.key(), "failed", ErrorCode="30002")).status == 204
    assert await connection.fetchval(paused) == ["public: account suspended"]


async def test_a_callback_is_answered_after_its_commit(
    api: ServedAPI, batch: MadeBatch, connection: Connection
) -> None:
    locked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with connection.transaction():
        await connection.execute("select from attempts for update")
        waiting = asyncio.create_task(api.call(batch.key(), "delivered"))
        await until_awaited(lambda: connection.fetchval(locked), 1)
        assert not waiting.done()
    assert (await waiting).status == 204
    assert await status_of(connection, batch.key()) is MessageStatus.SUCCESS


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path[:-1] + ("A" if path[-1] != "A" else "g"), id="another token"),
        pytest.param(lambda path: path.replace("-2-1/", "-3-1/"), id="another row's token"),
        pytest.param(lambda path: path[:-1], id="a token cut short"),
        pytest.param(lambda path: path + "/", id="a slash at the end"),
        pytest.param(lambda path: path.rpartition("/")[0], id="no token"),
        pytest.param(lambda path: path.replace("/twilio/", "/%74wilio/"), id="escaped"),
    ],
)
async def test_a_forged_callback_is_404_like_any_other_page_and_never_meets_the_database(
    api: ServedAPI, batch: MadeBatch, connection: Connection, change: Callable[[str], str]
) -> None:
    before = count_of("forged")
    # A forged one that waited for the database would wait for this lock.
    async with connection.transaction():
        await connection.execute("lock attempts, batches, secret_keys in access exclusive mode")
        async with asyncio.timeout(30):
            answer = await api.post(change(api.path_of(batch.key())), {"MessageStatus": "delivered"})
    other = await api.post("/callback", {})
    assert (answer.status, answer.body) == (404, other.body)
    assert answer.shape_a
    assert count_of("forged") == before + 1
    assert await status_of(connection, batch.key()) is MessageStatus.SENDING


async def test_a_key_that_this_gateway_never_had_signs_nothing(api: ServedAPI, batch: MadeBatch) -> None:
    path = api.path_of(batch.key(), os.urandom(32))
    assert (await api.post(path, {"MessageStatus": "delivered"})).status == 404


async def test_an_attempt_that_nobody_made_is_told_once_and_asked_for_no_more(
    api: ServedAPI, batch: MadeBatch
) -> None:
    before = count_of("unmatched")
    # Its token is right: the database was restored to a time before it.
    assert (await api.call(AttemptKey(batch.batch_no + 7, 2, 1), "delivered")).status == 204
    assert count_of("unmatched") == before + 1


@pytest.mark.parametrize(
    ("fields", "status", "result"),
    [
        pytest.param({}, 400, "malformed", id="nothing in it"),
        pytest.param({"MessageSid": "SM1"}, 400, "malformed", id="no status"),
        pytest.param({"MessageSid": "SM1", "MessageStatus": "unheard-of"}, 204, "ignored", id="new status"),
        pytest.param({"MessageSid": "\0", "MessageStatus": "sent"}, 204, "ignored", id="no such sid"),
        pytest.param({f"f{n}": "" for n in range(65)}, 400, "malformed", id="too many fields"),
    ],
)
async def test_what_says_nothing_changes_nothing(
    api: ServedAPI, batch: MadeBatch, connection: Connection, fields: dict[str, str], status: int, result: str
) -> None:
    before = count_of(result)
    answer = await api.post(api.path_of(batch.key()), fields)
    assert answer.status == status
    assert answer.shape_a or status == 204
    assert count_of(result) == before + 1
    assert await status_of(connection, batch.key()) is MessageStatus.SENDING


async def test_one_that_cannot_be_recorded_keeps_no_other_from_it(
    api: ServedAPI, batch: MadeBatch, connection: Connection
) -> None:
    await connection.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;"
        "create trigger refusal before update on attempts for each row when (old.row_number = 3) execute function refuse()"
    )
    answers = await asyncio.gather(*(api.call(batch.key(row), "delivered") for row in (2, 3, 4)))
    assert [answer.status for answer in answers] == [204, 500, 204]
    assert answers[1].shape_a
    assert await status_of(connection, batch.key(4)) is MessageStatus.SUCCESS


async def test_callbacks_are_committed_in_groups(
    api: ServedAPI, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [MessageStatus.SENDING] * 60)
    before = await connection.fetchval("select txid_current()")
    answers = await asyncio.gather(*(api.call(batch.key(row), "delivered") for row in range(2, 62)))
    assert {answer.status for answer in answers} == {204}
    # Each of the callbacks changes an attempt, for which a transaction gets a number.
    assert await connection.fetchval("select txid_current()") - before < 30
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)


async def test_a_flood_beyond_what_can_wait_is_told_to_come_again(
    api_settings: Settings,
    callback_keys: list[bytes],
    batch: MadeBatch,
    pool: Pool,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.provider_callbacks.receipt_groups.MOST_WAITING", 2)
    async with serving(api_settings) as port:
        api = ServedAPI(port, callback_keys)
        async with connection.transaction():
            await connection.execute("select from attempts for update")
            first = asyncio.create_task(api.call(batch.key(), "sent"))
            # Until it is being committed, and so no longer among those that wait.
            locked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"

            async def is_being_committed() -> bool:
                # Outside of this transaction, within which newer connections are not seen.
                return bool(await pool.fetchval(locked))

            await until_awaited(is_being_committed, True)
            others = [asyncio.create_task(api.call(batch.key(row), "sent")) for row in (2, 3, 4)]
            done, _ = await asyncio.wait(others, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            refused = done.pop().result()
        assert (refused.status, refused.headers["retry-after"], refused.shape_a) == (503, "5", True)
        answers = await asyncio.gather(first, *others)
    assert sorted(answer.status for answer in answers) == [204, 204, 204, 503]
    assert MOST_WAITING > 500


async def test_keys_that_were_rotated_elsewhere_are_known_and_old_ones_go_on_checking(
    api: ServedAPI, batch: MadeBatch, connection: Connection
) -> None:
    old = api.keys[0]
    async with connection.transaction():
        await record_rotation(connection, SECRETS, lost=False)
    [new, _] = (await load_keys(connection, SECRETS)).callback_keys
    form = {"MessageSid": "SM1", "MessageStatus": "sent"}

    async def status_by(key: bytes, row: int) -> int:
        return (await api.post(api.path_of(batch.key(row), key), form)).status

    await until_awaited(lambda: status_by(new, 2), 204)
    assert await status_by(old, 3) == 204
    await connection.execute(
        "update secret_keys set retired_at = now() - interval '81 hours' where retired_at is not null"
    )
    await until_awaited(lambda: status_by(old, 4), 404)


async def test_a_callback_that_fits_no_key_has_a_key_of_this_moment_loaded_but_a_flood_does_not(
    pool: Pool, connection: Connection
) -> None:
    keys = CallbackKeys(pool, SECRETS)
    await keys.load()
    assert keys.keys == ()
    assert not await keys.renew()
    async with connection.transaction():
        await make_first_key(connection, SECRETS)
    await until_awaited(keys.renew, True)
    assert keys.keys == (await load_keys(connection, SECRETS)).callback_keys
    assert not await keys.renew()


async def test_a_database_that_is_away_is_told_until_it_is_back(
    own_postgres: PostgreSQLServer, settings: Settings
) -> None:
    url = SecretStr(own_postgres.socket_url("postgres"))
    database = settings.database.model_copy(update={"url": url})
    own = settings.model_copy(update={"database": database, "secrets": SECRETS})
    own_postgres.stop()
    async with serving(own) as port:
        api = ServedAPI(port, [base64.b64decode(b"A" * 43 + b"=")])
        answer = await api.call(AttemptKey(1, 2, 1), "delivered")
        assert (answer.status, answer.headers["retry-after"], answer.shape_a) == (503, "5", True)
        health = await api.get("/api/v2/health")
        assert (health.status, health.headers["retry-after"], health.shape_a) == (503, "5", True)
        await asyncio.to_thread(own_postgres.start)

        async def health_body() -> bytes:
            return (await api.get("/api/v2/health")).body

        async def callback_status() -> int:
            return (await api.call(AttemptKey(1, 2, 1), "delivered")).status

        await until_awaited(health_body, b'{"status":"ok"}')
        # No key was ever made in this database.
        await until_awaited(callback_status, 404)

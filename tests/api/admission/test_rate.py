"""The rate of a campaign: exact over all nodes, its own where ops set one, and refused from memory where that is sure."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from pydantic import SecretStr

from api.admission_groups import AdmissionGroups, Decision, Question, Verdict
from campaigns.api_access import set_api_rate
from campaigns.creation import create_campaign
from config.environment import Environment
from config.settings import Settings
from database.connections import Connection, Pool, open_pool
from gateway.embedded.postgres import PostgreSQLServer
from keys.api_key_form import parse_key
from rules.characters.unsupported import UnsupportedRule
from tests.api.admission.test_refusals import count_of, fill_rate, is_let_in
from tests.api.client import APIClient
from tests.api.conftest import make_api_key
from tests.api.served import Answer, serving, until_awaited
from tests.conftest import ADMIN, CAMPAIGN_TEMPLATE


def question_of(key: str, campaign_id: str) -> Question:
    presented = parse_key(key, Environment.TEST)
    assert presented is not None
    return Question(presented.prefix, presented.digest, campaign_id, "127.0.0.1")


@asynccontextmanager
async def admitting(pool: Pool, settings: Settings) -> AsyncIterator[AdmissionGroups]:
    """What decides in one API process."""
    groups = AdmissionGroups(pool, settings.api)
    running = asyncio.create_task(groups.run())
    try:
        yield groups
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def decide_together(pool: Pool, settings: Settings, questions: Sequence[Question]) -> list[Decision]:
    """Decide by one statement: the questions are there before anybody asks."""
    groups = AdmissionGroups(pool, settings.api)
    deciding = [asyncio.create_task(groups.decide(question)) for question in questions]
    await asyncio.sleep(0)
    running = asyncio.create_task(groups.run())
    try:
        return await asyncio.gather(*deciding)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def recent_calls(connection: Connection, campaign_id: str) -> list[float]:
    """The times of the newest admitted calls, oldest first."""
    return list(
        await connection.fetchval(
            "select array(select extract(epoch from t)::double precision from unnest(recent) as t) from api_calls "
            "where campaign_id = $1",
            campaign_id,
        )
        or ()
    )


async def database_time(connection: Connection) -> float:
    return float(await connection.fetchval("select extract(epoch from clock_timestamp())"))


async def until_empty(connection: Connection) -> None:
    """Wait until a second has passed since the last admitted call."""

    async def is_over() -> bool:
        return bool(
            await connection.fetchval(
                "select not exists ("
                "select from api_calls, unnest(recent) as t where t >= clock_timestamp() - interval '1 second')"
            )
        )

    await until_awaited(is_over, True)


async def test_of_11_calls_in_one_second_over_two_nodes_one_is_429_and_none_after_a_pause(
    api_settings: Settings, connection: Connection, campaign_id: str
) -> None:
    key = await make_api_key(connection, campaign_id)
    await set_api_rate(connection, campaign_id, None, actor=ADMIN)
    async with serving(api_settings) as one, serving(api_settings) as two:
        nodes = [APIClient(port, campaign_id, key) for port in (one, two)]
        answers: list[Answer] = []
        for _ in range(20):
            await until_empty(connection)
            began = await database_time(connection)
            answers = await asyncio.gather(*(nodes[n % 2].get("/messages") for n in range(11)))
            # On a machine so busy that they were not decided within a second, they prove nothing.
            if await database_time(connection) - began < 1:
                break
        limited = [answer for answer in answers if answer.status == 429]
        assert len(limited) == 1
        assert limited[0].body == b'{"message":"Too Many Requests","statusCode":429}'
        assert limited[0].headers["retry-after"] == "1"
        assert sum(is_let_in(answer) for answer in answers) == 10
        await until_empty(connection)
        answers = await asyncio.gather(*(nodes[n % 2].get("/messages") for n in range(10)))
        assert all(is_let_in(answer) for answer in answers)


async def test_no_second_holds_more_calls_than_the_rate_however_many_nodes_hammer(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    question = question_of(await make_api_key(connection, campaign_id), campaign_id)
    rate = 7
    await set_api_rate(connection, campaign_id, rate, actor=ADMIN)
    admitted: list[float] = []
    async with admitting(pool, settings) as one, admitting(pool, settings) as two:

        async def hammer(groups: AdmissionGroups) -> None:
            while len(admitted) <= 2 * rate:
                decision = await groups.decide(question)
                if decision.verdict is Verdict.ADMITTED:
                    admitted.append(decision.at)
                else:
                    assert decision.verdict is Verdict.RATE

        await asyncio.gather(*(hammer(groups) for groups in (one, two) for _ in range(5)))
    admitted.sort()
    apart = [later - earlier for earlier, later in zip(admitted, admitted[rate:], strict=False)]
    # Times are told in microseconds.
    assert min(apart) > 1 - 2e-6


async def test_calls_that_come_together_are_decided_together_and_the_first_ones_get_in(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    ours = question_of(await make_api_key(connection, campaign_id), campaign_id)
    theirs = question_of(await make_api_key(connection, other_campaign_id), other_campaign_id)
    await set_api_rate(connection, campaign_id, 3, actor=ADMIN)
    await set_api_rate(connection, other_campaign_id, 2, actor=ADMIN)
    unknown = ours._replace(prefix="AAAAAAAA")
    elsewhere = ours._replace(address="192.0.2.1")
    together = [
        ours,
        theirs,
        unknown,
        ours,
        elsewhere,
        ours,
        ours,
        theirs,
        ours._replace(path=other_campaign_id),
        theirs,
    ]
    decisions = await decide_together(pool, settings, together)
    assert [decision.verdict.value for decision in decisions] == [
        "admitted", "admitted", "key", "admitted", "address", "admitted", "rate", "admitted", "campaign", "rate",
    ]  # fmt: skip
    assert [decisions[n].at for n in (3, 5, 6)] == [decisions[0].at] * 3
    assert [decision.campaign.id for decision in decisions[:2] if decision.campaign] == [
        campaign_id,
        other_campaign_id,
    ]
    # What was refused doesn't count.
    assert len(await recent_calls(connection, campaign_id)) == 3
    assert len(await recent_calls(connection, other_campaign_id)) == 2


@pytest.mark.parametrize(
    ("recent", "rate", "asked", "expected"),
    [
        pytest.param([], 1, 3, 1, id="none before"),
        pytest.param([2.0, -1.0], 3, 5, 2, id="one has left the window"),
        pytest.param([-1.0, -2.0, -3.0], 3, 2, 0, id="full"),
        pytest.param([5.0, 4.0, 3.0], 3, 2, 2, id="full of old ones"),
        pytest.param([5.0, 4.0, 3.0], 3, 9, 3, id="more than the rate at once"),
        pytest.param([5.0, 4.0, -1.0, -2.0], 2, 3, 0, id="the rate was lowered"),
        pytest.param([5.0, 4.0, 3.0, -1.0], 2, 3, 1, id="lowered, with room"),
        pytest.param([-1.0, -2.0], 5, 9, 3, id="the rate was raised"),
    ],
)
async def test_so_many_get_in_as_the_last_second_leaves_room_for(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str,
    recent: list[float], rate: int, asked: int, expected: int,
) -> None:  # fmt: skip
    """`recent`: how many seconds ago the last ones were. What seems still to come was just now, however slow this machine is."""
    question = question_of(await make_api_key(connection, campaign_id), campaign_id)
    await set_api_rate(connection, campaign_id, rate, actor=ADMIN)
    await connection.execute(
        "insert into api_calls "
        "select $1, array(select clock_timestamp() - interval '1 second' * ago from unnest($2::float[]) as ago)",
        campaign_id, recent,
    )  # fmt: skip
    decisions = await decide_together(pool, settings, [question] * asked)
    admitted = [decision.verdict is Verdict.ADMITTED for decision in decisions]
    assert admitted == [True] * expected + [False] * (asked - expected)


async def test_a_clock_that_was_set_back_locks_nobody_out(client: APIClient, connection: Connection) -> None:
    await set_api_rate(connection, client.campaign_id, 1, actor=ADMIN)
    await connection.execute(
        "insert into api_calls values ($1, array[now() + interval '1 day'])", client.campaign_id
    )

    async def is_in() -> bool:
        return is_let_in(await client.get("/messages"))

    await until_awaited(is_in, True)


async def test_a_campaign_has_the_rate_that_ops_gave_it_and_others_keep_theirs(
    client: APIClient, connection: Connection, other_campaign_id: str
) -> None:
    other = APIClient(client.port, other_campaign_id, await make_api_key(connection, other_campaign_id))
    await fill_rate(connection, client.campaign_id)
    assert (await client.get("/messages")).status == 429
    await connection.execute("drop trigger fullness on api_calls; truncate api_calls")
    await set_api_rate(connection, client.campaign_id, 200, actor=ADMIN)

    async def is_in() -> bool:
        return is_let_in(await client.get("/messages"))

    await until_awaited(is_in, True)
    answers = await asyncio.gather(
        *(caller.get("/messages") for caller in (client, other) for _ in range(15))
    )
    assert all(is_let_in(answer) for answer in answers)


async def test_whom_the_rate_refused_is_refused_from_memory_and_the_database_is_not_asked(
    client: APIClient, connection: Connection
) -> None:
    await fill_rate(connection, client.campaign_id)
    before, asked_before = count_of("rate_remembered"), count_of("rate")

    async def remembered() -> bool:
        assert (await client.get("/messages")).status == 429
        return count_of("rate_remembered") > before

    await until_awaited(remembered, True)
    assert count_of("rate") > asked_before
    # It is the same key from the same address that is remembered: a wrong key is 401 all the same.
    wrong = await client.get("/messages", headers={"Authorization": "Bearer x"})
    assert wrong.status == 401


async def test_a_database_that_is_away_is_503_and_what_it_forgets_in_a_crash_costs_nothing(
    own_postgres: PostgreSQLServer, api_settings: Settings
) -> None:
    url = SecretStr(own_postgres.socket_url("postgres"))
    own = api_settings.model_copy(update={"database": api_settings.database.model_copy(update={"url": url})})
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(own.database, name="test"))
        async with pool.acquire() as connection:
            created = await create_campaign(
                connection, name="Clinic", template=CAMPAIGN_TEMPLATE, notify_email="ops@clinic.gov.sg",
                unsupported=UnsupportedRule(), actor=ADMIN,
            )  # fmt: skip
            campaign_id = created.id
            key = await make_api_key(connection, campaign_id)
        port = await stack.enter_async_context(serving(own))
        client = APIClient(port, campaign_id, key)
        before = count_of("admitted")
        assert is_let_in(await client.get("/messages"))
        assert count_of("admitted") == before + 1
        # This server is in no hurry to write down what was committed.
        await asyncio.to_thread(own_postgres.run_sql, "checkpoint")
        await asyncio.to_thread(own_postgres.kill)
        away = await client.get("/messages")
        assert (away.status, away.body) == (503, b'{"message":"Service Unavailable","statusCode":503}')
        assert int(away.headers["retry-after"]) >= 1
        # A key that is none is told all the same.
        assert (await client.get("/messages", headers={"Authorization": "Bearer x"})).status == 401
        await asyncio.to_thread(own_postgres.start)
        assert own_postgres.run_sql("select count(*) from api_calls").strip() == "0"

        async def is_admitted() -> bool:
            await client.get("/messages")
            return count_of("admitted") > before + 1

        await until_awaited(is_admitted, True)

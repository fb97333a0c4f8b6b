"""Who may call: every refusal, alone and with the next one besides, in the order of the checks (8-api.md §1)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from api import metrics
from api.app import ENDPOINTS
from campaigns.api_access import change_api_addresses, delete_api_key, parse_api_addresses
from campaigns.campaigns import delete_campaign, resume_campaign, suspend_campaign
from config.environment import Environment
from config.settings import Settings
from database.connections import Connection
from keys.api_key_form import new_key
from tests.api.client import APIClient
from tests.api.conftest import make_api_key
from tests.api.served import Answer, ServedAPI, serving, until_awaited
from tests.conftest import ADMIN

# A message, a batch: ids that have the right form.
MESSAGE = "message_0d9c31e2-4b7f-8c58-9a61-7e2000000003"
BATCH = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
CALLS = [(method, path.format(message_id=MESSAGE, batch_id=BATCH)) for _, method, path in ENDPOINTS]
UNAUTHORIZED = b'{"message":"Unauthorized","statusCode":401}'
FORBIDDEN = b'{"message":"Forbidden","statusCode":403}'
TOO_MANY = b'{"message":"Too Many Requests","statusCode":429}'


async def fill_rate(connection: Connection, campaign_id: str) -> None:
    """No call is admitted any more: whenever the database looks, the last one is only just over."""
    await connection.execute("update campaigns set api_rate = 1 where id = $1", campaign_id)
    await connection.execute(
        "create function stay_full() returns trigger language plpgsql as "
        "$$ begin new.recent := array[clock_timestamp() + interval '1 day']; return new; end $$;"
        "create trigger fullness before insert or update on api_calls for each row execute function stay_full()"
    )
    await connection.execute(
        "insert into api_calls values ($1, '{}') on conflict (campaign_id) do update set recent = '{}'",
        campaign_id,
    )


async def forbid_address(connection: Connection, campaign_id: str) -> None:
    async with connection.transaction():
        await change_api_addresses(
            connection,
            campaign_id,
            added=parse_api_addresses(["192.0.2.1"]),
            removed=parse_api_addresses(["127.0.0.1", "::1"]),
            actor=ADMIN,
        )


async def suspend(connection: Connection, campaign_id: str) -> None:
    async with connection.transaction():
        await suspend_campaign(connection, campaign_id, actor=ADMIN)


def count_of(result: str) -> float:
    return float(metrics.ADMISSIONS.labels(result)._value.get())


def is_let_in(answer: Answer) -> bool:
    return answer.status not in {401, 403, 429}


async def statuses_of(calling: Awaitable[Sequence[Answer]]) -> set[int]:
    return {answer.status for answer in await calling}


def without_ids(answer: Answer) -> tuple[int, Mapping[str, str], bytes]:
    """All that a caller sees, but for what differs from answer to answer."""
    varying = {"x-request-id", "date"}
    return (
        answer.status,
        {name: value for name, value in answer.headers.items() if name not in varying},
        answer.body,
    )


async def test_a_call_with_key_and_address_gets_in(client: APIClient) -> None:
    before = count_of("admitted")
    for method, path in CALLS:
        assert is_let_in(await client.call(method, path))
    assert count_of("admitted") == before + len(CALLS)


async def test_the_scheme_is_written_in_any_case(client: APIClient) -> None:
    for scheme in ("bearer", "BEARER", "Bearer", "beaRer"):
        assert is_let_in(await client.get("/messages", headers={"Authorization": f"{scheme} {client.key}"}))


NO_KEYS: Mapping[str, Callable[[str], str]] = {
    "none": lambda key: "",
    "no scheme": lambda key: key,
    "another scheme": lambda key: f"Basic {key}",
    "two blanks": lambda key: f"Bearer  {key}",
    "a tab": lambda key: f"Bearer\t{key}",
    "two in one header": lambda key: f"Bearer {key}, Bearer {key}",
    "two headers": lambda key: f"Bearer {key}\r\nAuthorization: Bearer {key}",
    "cut short": lambda key: f"Bearer {key[:-1]}",
    "a wrong check": lambda key: f"Bearer {key[:-1]}{'0' if key[-1] != '0' else '1'}",
    "another case": lambda key: f"Bearer {key.swapcase()}",
    "of another environment": lambda key: f"Bearer {new_key(Environment.PRODUCTION)}",
    "a word": lambda key: "Bearer null",
    "nothing behind it": lambda key: "Bearer",
}


async def test_what_is_no_key_is_401_and_never_meets_the_database(
    client: APIClient, connection: Connection
) -> None:
    before = count_of("key_malformed")
    # Whoever asked the database would wait for this lock, and be told 503 in the end.
    async with connection.transaction():
        await connection.execute("lock api_keys, campaigns, api_calls in access exclusive mode")
        for name, header in NO_KEYS.items():
            answer = await client.get("/messages", headers={"Authorization": header(client.key)})
            assert (answer.status, answer.body) == (401, UNAUTHORIZED), name
            assert answer.headers["www-authenticate"] == "bearer"
    assert count_of("key_malformed") == before + len(NO_KEYS)


async def test_a_key_that_nobody_has_is_401_as_is_one_whose_first_half_is_right(
    client: APIClient, connection: Connection
) -> None:
    known = await connection.fetchval("select prefix from api_keys")
    await connection.execute("update api_keys set prefix = 'AAAAAAAA'")
    unknown = await client.get("/messages")
    # Another key, which is found by what is public of it.
    await connection.execute(
        "update api_keys set prefix = $1, digest = sha256(digest) where prefix = 'AAAAAAAA'", known
    )
    forged = await client.get("/messages")
    malformed = await client.get("/messages", headers={"Authorization": "Bearer x"})
    assert without_ids(unknown) == without_ids(forged) == without_ids(malformed)
    assert unknown.body == UNAUTHORIZED


async def test_other_unknown_and_impossible_campaigns_and_foreign_addresses_answer_alike(
    client: APIClient, connection: Connection, other_campaign_id: str
) -> None:
    answers = [
        await client.get(f"/api/v2/campaigns/{campaign}/messages")
        for campaign in (
            other_campaign_id,
            "campaign_00000000-0000-4000-8000-000000000000",
            client.campaign_id.upper(),
            "x" * 1000,
            "%00",
            "%ff",
            "a%20b",
        )
    ]
    await suspend(connection, client.campaign_id)
    answers.append(await client.get("/messages"))
    async with connection.transaction():
        await resume_campaign(connection, client.campaign_id, actor=ADMIN)
    await forbid_address(connection, client.campaign_id)
    answers.append(await client.get("/messages"))
    assert answers[0].body == FORBIDDEN
    assert {without_ids(answer)[0] for answer in answers} == {403}
    assert all(without_ids(answer) == without_ids(answers[0]) for answer in answers)


async def test_a_key_of_one_campaign_says_nothing_about_another(
    client: APIClient, connection: Connection, other_campaign_id: str
) -> None:
    other = await make_api_key(connection, other_campaign_id)
    theirs = {"Authorization": f"Bearer {other}"}
    assert (await client.get("/messages", headers=theirs)).status == 403
    assert is_let_in(await client.get(f"/api/v2/campaigns/{other_campaign_id}/messages", headers=theirs))


async def test_of_two_wrong_things_the_first_check_answers(client: APIClient, connection: Connection) -> None:
    """From the last check to the first: each time one more thing is wrong, and another answer is due, by every endpoint."""
    campaign = client.campaign_id

    async def each(in_path: str = campaign, **headers: str) -> list[Answer]:
        # POSTs announce a body that is too long and of the wrong kind, and lists have no limit: 413, 415, 400. Nothing is read.
        huge = {"Content-Type": "text/plain", "Content-Length": "99999999"}
        return [
            await client.call(
                method,
                f"/api/v2/campaigns/{in_path}{path}",
                headers={**(huge if method == "POST" else {}), **headers},
            )
            for method, path in CALLS
        ]

    # 6 the rate, before size, type, body and query
    await fill_rate(connection, campaign)
    for limited in await each():
        assert (limited.status, limited.body) == (429, TOO_MANY)
        assert limited.headers["retry-after"] == "1"
    # 5 a suspended campaign, before the rate: whom the rate refused may be told so for a second
    await suspend(connection, campaign)
    await until_awaited(lambda: statuses_of(each()), {403})
    # 4 a foreign address, and another campaign's path, before the suspension: they answer alike, and are counted apart
    before = count_of("campaign")
    others = await each("campaign_unknown")
    assert count_of("campaign") == before + len(CALLS)
    await forbid_address(connection, campaign)
    before = count_of("address")
    foreign = await each()
    assert count_of("address") == before + len(CALLS)
    assert foreign[0].body == FORBIDDEN
    assert all(without_ids(answer) == without_ids(foreign[0]) for answer in [*foreign, *others])
    # 3 the key, before all that
    for authorization in ("Bearer x", f"Bearer {new_key(Environment.TEST)}"):
        answers = await each(Authorization=authorization)
        assert {answer.body for answer in answers} == {UNAUTHORIZED}
    for method, path in CALLS:
        # 2 the method, before the key
        wrong_method = await client.call("DELETE", path, headers={"Authorization": ""})
        assert wrong_method.body == b'{"message":"Method Not Allowed","statusCode":405}'
        assert method.lower() in wrong_method.headers["allow"]
        # 1 the route, before the method
        for nowhere in (f"{path}/", f"{path}//x"):
            assert (await client.call("DELETE", nowhere, headers={"Authorization": ""})).status == 404


async def test_a_suspended_campaign_is_403_until_it_is_resumed(
    client: APIClient, connection: Connection
) -> None:
    await suspend(connection, client.campaign_id)
    assert (await client.get("/messages")).body == FORBIDDEN
    async with connection.transaction():
        await resume_campaign(connection, client.campaign_id, actor=ADMIN)
    assert is_let_in(await client.get("/messages"))


async def test_a_deleted_campaign_is_401_as_its_keys_are_gone(
    client: APIClient, connection: Connection
) -> None:
    async with connection.transaction():
        await delete_campaign(connection, client.campaign_id, actor=ADMIN)
    assert (await client.get("/messages")).body == UNAUTHORIZED
    # Also where its path is called with what is in force.
    await connection.execute("update api_keys set deleted_at = null")
    assert (await client.get("/messages")).body == UNAUTHORIZED


async def test_a_deleted_key_ends_and_its_neighbour_goes_on(
    client: APIClient, connection: Connection
) -> None:
    neighbour = await make_api_key(connection, client.campaign_id)
    async with connection.transaction():
        await delete_api_key(connection, client.campaign_id, client.key[9:17], actor=ADMIN)
    assert (await client.get("/messages")).body == UNAUTHORIZED
    assert is_let_in(await client.get("/messages", headers={"Authorization": f"Bearer {neighbour}"}))


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        pytest.param("127.0.0.1, 198.51.100.7", 403, id="a foreign one, whatever stands before it"),
        pytest.param("198.51.100.7, 192.0.2.7", None, id="an allowed one"),
        pytest.param("::ffff:192.0.2.7", None, id="an allowed one, written as IPv6"),
        pytest.param("2001:db8:0:0::7", None, id="IPv6, however it is written"),
        pytest.param("192.0.2.7, unknown", 403, id="nobody knows"),
    ],
)
async def test_behind_a_listed_proxy_the_address_is_the_callers_own(
    api_settings: Settings, connection: Connection, campaign_id: str, forwarded: str, status: int | None
) -> None:
    key = await make_api_key(connection, campaign_id)
    async with connection.transaction():
        await change_api_addresses(
            connection,
            campaign_id,
            added=parse_api_addresses(["192.0.2.7", "2001:db8::7"]),
            removed=parse_api_addresses(["127.0.0.1", "::1"]),
            actor=ADMIN,
        )
    proxied = api_settings.api.model_copy(update={"trusted_proxies": ["127.0.0.1/32"]})
    async with serving(api_settings.model_copy(update={"api": proxied})) as port:
        answer = await APIClient(port, campaign_id, key).get(
            "/messages", headers={"X-Forwarded-For": forwarded}
        )
    assert is_let_in(answer) if status is None else answer.status == status


async def test_without_a_listed_proxy_nobody_believes_what_is_forwarded(
    client: APIClient, connection: Connection
) -> None:
    assert is_let_in(await client.get("/messages", headers={"X-Forwarded-For": "198.51.100.7"}))
    await forbid_address(connection, client.campaign_id)
    assert (await client.get("/messages", headers={"X-Forwarded-For": "192.0.2.1"})).status == 403


async def test_calls_by_ipv6_are_let_in_from_the_address_that_is_allowed(
    api_settings: Settings, connection: Connection, campaign_id: str
) -> None:
    key = await make_api_key(connection, campaign_id)
    async with serving(api_settings, "::1") as port:
        assert is_let_in(await APIClient(port, campaign_id, key, host="::1").get("/messages"))


async def test_no_key_stands_in_a_log_line(
    client: APIClient, connection: Connection, capfd: pytest.CaptureFixture[str]
) -> None:
    await client.get("/messages")
    await client.get("/api/v2/campaigns/campaign_other/messages")
    await fill_rate(connection, client.campaign_id)
    await client.get("/messages")
    out, err = capfd.readouterr()
    assert client.key[17:] not in out + err


async def test_health_and_document_need_no_key(api: ServedAPI) -> None:
    assert (await api.get("/api/v2/health")).status == 200

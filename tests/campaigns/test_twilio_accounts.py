"""Twilio's API secrets are stored encrypted, read by nobody without SECRETS__KEY, and survive changes of all keys."""

import base64
import json
import os
from dataclasses import replace

import asyncpg
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from audit.events import Actor
from campaigns.campaigns import Channel, delete_campaign
from campaigns.creation import NewTwilioAccount, create_campaign
from campaigns.errors import CampaignNotFound, CampaignRefused, SecretsKeyError, SecretUnreadable
from campaigns.fields import TwilioCredentials
from campaigns.secret_keys import Sealed, load_keys, make_first_key, rewrap_secrets
from campaigns.twilio_accounts import (
    TwilioAccount,
    fetch_twilio_account,
    fetch_twilio_accounts,
    rotate_secrets,
    set_twilio_account,
)
from config.sending_sections import SecretsSettings
from database.connections import Connection, Pool
from rules.characters.unsupported import UnsupportedRule
from tests.conftest import ADMIN, CAMPAIGN_TEMPLATE

SECRET = "hushhushhushhushhushhushhushhush"
CREDENTIALS = TwilioCredentials("AC" + "1" * 32, "SK" + "2" * 32, SECRET, "MG" + "3" * 32, "CLINIC")


def some_key() -> SecretsSettings:
    return SecretsSettings(key=SecretStr(base64.b64encode(os.urandom(32)).decode()))


@pytest.fixture
def secrets() -> SecretsSettings:
    """The settings with a key of this test's own."""
    return some_key()


async def make_campaign(
    connection: Connection, twilio: NewTwilioAccount | None = None, channel: Channel = Channel.INTERNAL
) -> str:
    async with connection.transaction():
        created = await create_campaign(
            connection, name="Clinic staff", template=CAMPAIGN_TEMPLATE, notify_email="ops@clinic.gov.sg",
            channel=channel, twilio=twilio, unsupported=UnsupportedRule(), actor=ADMIN,
        )  # fmt: skip
    return created.id


@pytest.fixture
async def account(connection: Connection, secrets: SecretsSettings) -> TwilioAccount:
    """The account of an internal campaign."""
    campaign_id = await make_campaign(connection, NewTwilioAccount(CREDENTIALS, secrets))
    return await fetch(connection, campaign_id)


async def fetch(connection: Connection, campaign_id: str) -> TwilioAccount:
    account = await fetch_twilio_account(connection, campaign_id)
    assert account is not None
    return account


async def read(connection: Connection, secrets: SecretsSettings, campaign_id: str) -> str:
    """The secret as a process reads it that starts now."""
    return (await fetch(connection, campaign_id)).read_secret(await load_keys(connection, secrets))


async def rotate(
    connection: Connection, secrets: SecretsSettings, *, lost: bool = False
) -> tuple[int, list[str]]:
    async with connection.transaction():
        rotation = await rotate_secrets(connection, secrets, lost=lost, actor=ADMIN)
    return rotation.encrypted, [account.campaign_id for account in rotation.unreadable]


async def test_an_account_is_given_back_as_it_was_set(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    assert (account.account_sid, account.key_sid) == (CREDENTIALS.account_sid, CREDENTIALS.key_sid)
    assert (account.service_sid, account.sender_name) == (CREDENTIALS.service_sid, "CLINIC")
    assert account.read_secret(await load_keys(connection, secrets)) == SECRET
    assert await fetch_twilio_accounts(connection) == {account.campaign_id: account}


async def test_the_secret_stands_in_clear_nowhere(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    async with connection.transaction():
        await set_twilio_account(connection, secrets, account.campaign_id, CREDENTIALS, actor=ADMIN)
    tables = await connection.fetch(
        "select format('select coalesce(string_agg(t::text, %L), %L) from %I t', '', '', relname) as question "
        "from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
    )
    for row in tables:
        rows = await connection.fetchval(row["question"])
        assert SECRET not in rows
        assert SECRET.encode().hex() not in rows
    assert SECRET not in repr((account, CREDENTIALS, await load_keys(connection, secrets)))


async def test_a_new_account_replaces_the_old_and_is_audited_without_secret_and_number(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    new = replace(CREDENTIALS, key_sid="SK" + "9" * 32, secret="x" * 32, sender_name="+6591234567")
    async with connection.transaction():
        await set_twilio_account(connection, secrets, account.campaign_id, new, actor=ADMIN)

    assert await read(connection, secrets, account.campaign_id) == "x" * 32
    assert (await fetch(connection, account.campaign_id)).sender_name == "+6591234567"
    events = await connection.fetch(
        "select campaign_id, details, actor from audit_events where event = 'campaign_twilio_changed'"
    )
    assert [(row["campaign_id"], row["actor"]) for row in events] == [(account.campaign_id, "admin")] * 2
    assert new.key_sid in events[1]["details"]
    assert "6591234567" not in events[1]["details"]


@pytest.mark.parametrize("column", ["account_sid", "key_sid", "service_sid", "sender_name"])
async def test_a_secret_moved_beside_other_values_is_not_read(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount, column: str
) -> None:
    await connection.execute(f"update twilio_accounts set {column} = 'elsewhere'")
    with pytest.raises(SecretUnreadable, match=f"campaign twilio {account.campaign_id}"):
        await read(connection, secrets, account.campaign_id)


async def test_a_secret_moved_to_another_campaign_is_not_read(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    other = await make_campaign(connection)
    await connection.execute("update twilio_accounts set campaign_id = $1", other)
    with pytest.raises(SecretUnreadable):
        await read(connection, secrets, other)


async def test_accounts_are_for_live_internal_campaigns(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    public = await make_campaign(connection, channel=Channel.PUBLIC)
    with pytest.raises(CampaignRefused, match=f"campaign {public} is public"):
        await set_twilio_account(connection, secrets, public, CREDENTIALS, actor=ADMIN)
    with pytest.raises(CampaignRefused, match="--channel internal"):
        await make_campaign(connection, NewTwilioAccount(CREDENTIALS, secrets), Channel.PUBLIC)
    await delete_campaign(connection, account.campaign_id, actor=ADMIN)
    with pytest.raises(CampaignRefused, match="deleted"):
        await set_twilio_account(connection, secrets, account.campaign_id, CREDENTIALS, actor=ADMIN)
    with pytest.raises(CampaignNotFound):
        await set_twilio_account(connection, secrets, "campaign_none", CREDENTIALS, actor=ADMIN)
    assert await connection.fetchval("select count(*) from twilio_accounts") == 1


async def test_a_messaging_service_belongs_to_one_account(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    other = await make_campaign(connection)
    with pytest.raises(CampaignRefused, match=f"belongs to the account of campaign {account.campaign_id}"):
        await set_twilio_account(
            connection, secrets, other, replace(CREDENTIALS, account_sid="AC" + "9" * 32), actor=ADMIN
        )
    # The same account may have campaigns that share it, with keys of their own.
    shared = replace(CREDENTIALS, key_sid="SK" + "9" * 32)
    await set_twilio_account(connection, secrets, other, shared, actor=ADMIN)
    await delete_campaign(connection, account.campaign_id, actor=ADMIN)
    moved = replace(CREDENTIALS, account_sid="AC" + "8" * 32)
    await set_twilio_account(connection, secrets, other, moved, actor=ADMIN)


async def test_senders_hear_of_a_new_account(
    pool: Pool, connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    heard: list[str] = []
    async with pool.acquire() as listener:
        await listener.add_listener("sftp_gateway_batches", lambda *words: heard.append(words[2]))
        await set_twilio_account(connection, secrets, account.campaign_id, CREDENTIALS, actor=ADMIN)
        await listener.execute("select 1")
        assert heard == ["sftp_gateway_batches"]
        await listener.reset()


async def test_the_key_is_asked_for_only_where_a_secret_is_stored(connection: Connection) -> None:
    none = SecretsSettings()
    campaign_id = await make_campaign(connection)
    keys = await load_keys(connection, none)
    assert keys.callback_keys == ()
    with pytest.raises(SecretsKeyError, match="SFTP_GATEWAY_SECRETS__KEY is not set"):
        await set_twilio_account(connection, none, campaign_id, CREDENTIALS, actor=ADMIN)
    with pytest.raises(SecretsKeyError, match="SFTP_GATEWAY_SECRETS__KEY is not set"):
        await make_campaign(connection, NewTwilioAccount(CREDENTIALS, none))
    assert await connection.fetchval("select count(*) from campaigns") == 1


async def test_a_missing_or_wrong_key_is_told_before_anything_is_done(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    for wrong, says in ((SecretsSettings(), "is not set"), (some_key(), "is not the key that the secrets")):
        with pytest.raises(SecretsKeyError, match=says):
            await load_keys(connection, wrong)
        with pytest.raises(SecretsKeyError, match=says):
            await rotate(connection, wrong)
        with pytest.raises(SecretsKeyError, match=says):
            await set_twilio_account(connection, wrong, account.campaign_id, CREDENTIALS, actor=ADMIN)
    assert await read(connection, secrets, account.campaign_id) == SECRET
    assert await connection.fetchval("select count(*) from secret_keys where retired_at is null") == 1


async def test_the_first_key_is_made_once(connection: Connection, secrets: SecretsSettings) -> None:
    await make_first_key(connection, secrets)
    await make_first_key(connection, secrets)
    keys = await load_keys(connection, secrets)
    assert [len(key) for key in keys.callback_keys] == [32]
    with pytest.raises(SecretUnreadable):
        keys.decrypt(Sealed(99, b""), ())


async def test_the_key_of_callbacks_reads_no_secret(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    (key,) = (await load_keys(connection, secrets)).callback_keys
    associated = json.dumps(account.place).encode()
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(account.sealed.content[:12], account.sealed.content[12:], associated)


async def test_a_rotation_encrypts_anew_and_old_keys_check_callbacks_for_80_hours(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    before = await load_keys(connection, secrets)

    assert await rotate(connection, secrets) == (1, [])

    renewed = await fetch(connection, account.campaign_id)
    assert renewed.sealed.key_id != account.sealed.key_id
    assert renewed.set_at == account.set_at
    after = await load_keys(connection, secrets)
    assert renewed.read_secret(after) == SECRET
    assert after.encrypt(SECRET, ()).key_id == renewed.sealed.key_id
    assert after.callback_keys[1:] == before.callback_keys
    assert after.callback_keys[0] not in before.callback_keys
    with pytest.raises(SecretUnreadable):
        renewed.read_secret(before)

    await connection.execute(
        "update secret_keys set retired_at = now() - interval '79 hours 59 min' where retired_at < now()"
    )
    assert (await load_keys(connection, secrets)).callback_keys == after.callback_keys
    await connection.execute(
        "update secret_keys set retired_at = now() - interval '80 hours 1 s' where retired_at < now()"
    )
    assert (await load_keys(connection, secrets)).callback_keys == after.callback_keys[:1]
    (event,) = await connection.fetch(
        "select actor, details from audit_events where event = 'secrets_rotated'"
    )
    assert event["details"] == '{"encrypted": 1, "unreadable": 0, "old_key_lost": false}'


async def test_a_key_retired_for_80_hours_is_deleted_by_the_next_rotation(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    await rotate(connection, secrets)
    await connection.execute(
        "update secret_keys set retired_at = now() - interval '81 hours' where retired_at < now()"
    )
    await rotate(connection, secrets)
    assert await connection.fetchval("select count(*) from secret_keys") == 2
    assert await read(connection, secrets, account.campaign_id) == SECRET


async def test_the_account_of_a_campaign_deleted_for_80_hours_goes_with_the_next_rotation(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    await delete_campaign(connection, account.campaign_id, actor=ADMIN)
    await connection.execute("update campaigns set deleted_at = now() - interval '79 hours 59 min'")
    assert await rotate(connection, secrets) == (1, [])
    await connection.execute("update campaigns set deleted_at = now() - interval '80 hours 1 s'")
    assert await rotate(connection, secrets) == (0, [])
    assert await fetch_twilio_accounts(connection) == {}


async def test_while_the_key_is_changed_nodes_work_with_the_old_and_with_the_new_one(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    await rotate(connection, secrets)
    callback_keys = (await load_keys(connection, secrets)).callback_keys
    new = some_key()

    async with connection.transaction():
        assert await rewrap_secrets(connection, new, secrets, actor=ADMIN) == 2

    for key in (secrets, new):
        assert await read(connection, key, account.campaign_id) == SECRET
        assert (await load_keys(connection, key)).callback_keys == callback_keys
    # Run again, as on a second node, it finds nothing to do, and the old key goes on being good.
    async with connection.transaction():
        assert await rewrap_secrets(connection, new, secrets, actor=ADMIN) == 0
    assert await read(connection, secrets, account.campaign_id) == SECRET

    await rotate(connection, new)

    assert await read(connection, new, account.campaign_id) == SECRET
    assert (await load_keys(connection, new)).callback_keys[1:] == callback_keys
    with pytest.raises(SecretsKeyError, match="is not the key"):
        await load_keys(connection, secrets)
    assert await connection.fetchval("select count(*) from secret_keys where wrapped_before is not null") == 0


async def test_a_change_with_a_wrong_old_key_changes_nothing(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    new = some_key()
    with pytest.raises(SecretsKeyError, match="neither SFTP_GATEWAY_SECRETS__KEY nor the old key"):
        async with connection.transaction():
            await rewrap_secrets(connection, new, some_key(), actor=ADMIN)
    assert await read(connection, secrets, account.campaign_id) == SECRET
    with pytest.raises(SecretsKeyError):
        await load_keys(connection, new)


async def test_a_lost_key_costs_the_secrets_and_nothing_else(
    connection: Connection, account: TwilioAccount
) -> None:
    new = some_key()

    assert await rotate(connection, new, lost=True) == (0, [account.campaign_id])

    assert len((await load_keys(connection, new)).callback_keys) == 1
    with pytest.raises(SecretUnreadable, match=f"campaign twilio {account.campaign_id}"):
        await read(connection, new, account.campaign_id)
    assert (await fetch(connection, account.campaign_id)).service_sid == CREDENTIALS.service_sid
    # Other rotations go on as ever, and the secret can be set again.
    assert await rotate(connection, new) == (0, [account.campaign_id])
    async with connection.transaction():
        await set_twilio_account(connection, new, account.campaign_id, CREDENTIALS, actor=ADMIN)
    assert await read(connection, new, account.campaign_id) == SECRET
    assert await rotate(connection, new) == (1, [])


async def test_a_key_thought_lost_that_is_there_costs_nothing(
    connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    assert await rotate(connection, secrets, lost=True) == (1, [])
    assert await read(connection, secrets, account.campaign_id) == SECRET


async def test_a_secret_stored_during_a_rotation_waits_for_it(
    pool: Pool, connection: Connection, secrets: SecretsSettings, account: TwilioAccount
) -> None:
    campaign_id = await make_campaign(connection)
    async with pool.acquire() as other:
        await other.execute("set lock_timeout = '100ms'")
        async with connection.transaction():
            await rotate_secrets(connection, secrets, actor=Actor())
            with pytest.raises(asyncpg.LockNotAvailableError):
                await set_twilio_account(other, secrets, campaign_id, CREDENTIALS, actor=ADMIN)
        await other.execute("reset lock_timeout")
        async with other.transaction():
            await set_twilio_account(other, secrets, campaign_id, CREDENTIALS, actor=ADMIN)
    assert (await fetch(connection, campaign_id)).sealed.key_id == await connection.fetchval(
        "select id from secret_keys where retired_at is null"
    )

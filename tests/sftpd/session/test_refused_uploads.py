"""What a client may write into an agency's mailbox, and into our tables, by uploads that are refused without end."""

import asyncssh
import pytest
from asyncssh.constants import FX_PERMISSION_DENIED

from database.connections import Pool
from tests.conftest import KeyPair
from tests.sftpd.boxes import ANEW, NOTHING, refused
from tests.sftpd.fronts import Front

TOO_LARGE = asyncssh.SFTPAttrs(size=30 * 1024 * 1024)
# File names that break the name rule: they may be anybody's bytes, and go into no table and no e-mail.
NAMELESS = (b"\xff.csv", b"a\nb.csv", b"a\xe2\x80\xaeb.csv", b"x" * 252 + b".csv", b"folder/x.csv")


async def test_refused_names_and_sizes_leave_twenty_rows_and_e_mails_an_hour_in_all(
    front: Front, campaign: str, ed25519_key: KeyPair, pool: Pool
) -> None:
    connection = await front.connect(campaign, ed25519_key)
    client = (await connection.start_sftp_client())._handler
    for _ in range(30):
        async with refused(FX_PERMISSION_DENIED, "only .csv files are accepted"):
            await client.open(b"x.txt", ANEW, NOTHING)
        async with refused(FX_PERMISSION_DENIED, "too large"):
            await client.open(b"x.csv", ANEW, TOO_LARGE)
    assert await pool.fetchval("select count(*) from uploads") == 20
    assert await pool.fetchval("select count(*) from notifications") == 20
    assert await pool.fetchval("select count(*) from audit_events where event = 'upload_refused'") == 20
    assert await pool.fetchval("select sum(refusals) from refusal_counts") == 40


@pytest.mark.parametrize("name", NAMELESS)
async def test_names_that_break_the_name_rule_are_told_to_nobody(
    front: Front, campaign: str, ed25519_key: KeyPair, pool: Pool, name: bytes
) -> None:
    connection = await front.connect(campaign, ed25519_key)
    client = (await connection.start_sftp_client())._handler
    with pytest.raises(asyncssh.SFTPPermissionDenied):
        await client.open(name, ANEW, NOTHING)
    handle = await client.open(b"x.part", ANEW, NOTHING)
    await client.write(handle, 0, b"recipient\n")
    await client.close(handle)
    with pytest.raises(asyncssh.SFTPPermissionDenied):
        await client.posix_rename(b"x.part", name)
    assert await pool.fetchval("select count(*) from uploads") == 0
    assert await pool.fetchval("select count(*) from refusal_counts") == 0

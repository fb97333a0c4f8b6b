"""Who gets in, and what everybody else is told."""

import asyncssh
import pytest

from config.database import Pool
from tests.conftest import KeyPair
from tests.sftpd.fronts import GOOD_CSV, Front


async def test_the_sftp_client_uploads_and_exits_with_0(
    front: Front, campaign: str, ed25519_key: KeyPair, tmp_path, pool: Pool
) -> None:
    (tmp_path / "people.csv").write_bytes(GOOD_CSV)
    ended = await front.sftp(campaign, ed25519_key, f"put {tmp_path}/people.csv\n")
    assert (ended.status, ended.stderr) == (0, "")
    assert await pool.fetchval("select count(*) from uploads") == 1


async def test_a_command_is_answered_with_one_line_and_exit_status_1(
    front: Front, campaign: str, ed25519_key: KeyPair
) -> None:
    ended = await front.ssh(campaign, ed25519_key, "id")
    assert ended.status == 1
    assert "this service only accepts SFTP uploads" in ended.stderr


async def test_a_wrong_key_is_refused(front: Front, campaign: str, other_key: KeyPair) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await front.connect(campaign, other_key)

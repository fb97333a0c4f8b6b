"""Who gets in, and what everybody else is told."""

import shutil
from pathlib import Path

import asyncssh
import pytest

from database.connections import Pool
from tests.conftest import KeyPair
from tests.sftpd.fronts import GOOD_CSV, Front, run


async def test_the_sftp_client_uploads_and_exits_with_0(
    front: Front, campaign: str, ed25519_key: KeyPair, tmp_path: Path, pool: Pool
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


async def test_the_older_scp_is_refused_on_stderr_once_and_in_its_own_protocol(
    front: Front, campaign: str, ed25519_key: KeyPair
) -> None:
    connection = await front.connect(campaign, ed25519_key)
    ended = await connection.run("scp -t x.csv", input="", timeout=5)
    assert (ended.exit_status, ended.stdout) == (1, "\x02")
    assert ended.stderr == "this service only accepts SFTP uploads\n"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_by_scp_fails(
    front: Front, campaign: str, ed25519_key: KeyPair, tmp_path: Path, pool: Pool
) -> None:
    (tmp_path / "people.csv").write_bytes(GOOD_CSV)
    ended = await run(
        [
            *("curl", "-sS", "--insecure", "--user", f"{campaign}:", "--key", str(ed25519_key.private_file)),
            *("--pubkey", f"{ed25519_key.private_file}.pub", "-T", str(tmp_path / "people.csv")),
            f"scp://127.0.0.1:{front.port}/people.csv",
        ]
    )
    assert ended.status != 0
    assert await pool.fetchval("select count(*) from uploads") == 0


async def test_a_wrong_key_is_refused(front: Front, campaign: str, other_key: KeyPair) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await front.connect(campaign, other_key)

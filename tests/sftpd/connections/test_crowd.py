"""Customers still log in while a crowd attacks. How much it slows them is measured by `make bench`."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from database.connections import Pool
from tests.conftest import KeyPair
from tests.sftpd.connections.test_revocation import processes_on_one_port
from tests.sftpd.fronts import run

# About 5 MB.
ROWS = b"recipient,language,recipient_name\n" + b"6591234567,english,Somebody of this name\n" * 120_000


@contextlib.asynccontextmanager
async def crowd(port: int, user: str) -> AsyncIterator[None]:
    """The attackers, as long as the block runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sftpd.attackers", str(port), user),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"there\n"
        yield
    finally:
        process.kill()
        await process.wait()


async def upload(port: int, user: str, key: KeyPair, path: Path, names: range) -> None:
    """Log in and upload with OpenSSH's client, once for each number."""
    for number in names:
        command = [
            *("sftp", "-b", "-", "-P", str(port), "-i", str(key.private_file), "-F", "none"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            f"{user}@127.0.0.1",
        ]
        ended = await run(command, f"put {path} people-{number}.csv\n".encode(), timeout=90)
        assert ended.status == 0, ended.stderr


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("node")
async def test_a_customer_gets_in_through_a_crowd(
    gateway_variables: dict[str, str], campaign: str, ed25519_key: KeyPair, tmp_path: Path, pool: Pool
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(ROWS)
    async with processes_on_one_port(gateway_variables, 1) as port, crowd(port, campaign):
        await upload(port, campaign, ed25519_key, path, range(6))
    assert await pool.fetchval("select count(*) from uploads") == 6

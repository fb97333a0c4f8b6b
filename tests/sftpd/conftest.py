"""A front for each test that asks for one."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from config.settings import Settings
from database.connections import Pool
from keys.host_keys import HostKeyType, generate_host_key
from tests.conftest import KeyPair
from tests.sftpd.fronts import Front, add_campaign, change_sftp, install_host_keys, running_front


@pytest.fixture(scope="session")
def made_host_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Host keys of all three types, made once per run."""
    # They are read twice in each test, and each time the check of an RSA key's primes would take a fifth of a second.
    asyncssh.set_default_skip_rsa_key_validation(True)
    folder = tmp_path_factory.mktemp("host-keys")
    for kind in HostKeyType:
        generate_host_key(folder, kind, is_current=True)
    return folder


@pytest.fixture
async def node(settings: Settings, pool: Pool, made_host_keys: Path) -> Settings:
    """Settings of a node that has its host keys, and forgives quickly so that tests are quick."""
    await install_host_keys(settings, pool, made_host_keys)
    return change_sftp(settings, drain_timeout=3)


@pytest.fixture
async def front(node: Settings, pool: Pool) -> AsyncIterator[Front]:
    """A running front with the default limits."""
    async with running_front(node, pool) as running:
        yield running


@pytest.fixture
async def campaign(pool: Pool, ed25519_key: KeyPair) -> str:
    """A campaign whose key is `ed25519_key`."""
    return await add_campaign(pool, ed25519_key)

"""A folder of the spool that fails costs its own campaign's sessions an answer, and nobody else anything."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from config.sections import SFTPSettings
from database.connections import Pool
from sftpd.refusals import SpoolFull
from sftpd.spool.partials import PartialState
from sftpd.spool.usage import SpoolUsage
from tests.conftest import KeyPair
from tests.sftpd.boxes import NotedIntake
from tests.sftpd.fronts import GOOD_CSV, Front, add_campaign, eventually
from tests.sftpd.spool.test_spool import age, make_partial, spool_at, sweep


def break_folder(root: Path, campaign_id: str) -> Path:
    """A file in the folder's place: whoever looks into it gets an error of the disk, root too."""
    path = root / campaign_id
    path.touch()
    with pytest.raises(NotADirectoryError):
        next(path.iterdir())
    return path


def failures() -> float:
    return REGISTRY.get_sample_value("sftp_gateway_spool_failures_total") or 0


async def put(connection: asyncssh.SSHClientConnection) -> None:
    async with connection.start_sftp_client() as sftp, sftp.open("x.csv", "wb") as file:
        await file.write(GOOD_CSV)


async def test_a_campaign_s_folder_that_fails_ends_nobody_else_s_session(
    front: Front, campaign: str, ed25519_key: KeyPair, other_key: KeyPair, pool: Pool
) -> None:
    concerned = await add_campaign(pool, other_key)
    bystander = await front.connect(campaign, ed25519_key)
    broken = break_folder(front.settings.sftp.spool_dir, concerned)
    before = failures()
    # As when its key is revoked: the front looks into the campaign's folder.
    await pool.execute("select pg_notify('sftp_gateway_access', $1)", concerned)
    await eventually(lambda: failures() > before)
    session = await front.connect(concerned, other_key)
    with pytest.raises(asyncssh.SFTPFailure):
        await put(session)
    await put(bystander)
    assert not front.ended.done()
    assert await pool.fetchval("select array_agg(campaign_id) from uploads") == [campaign]
    # Once it is mended, its own session goes on too.
    broken.unlink()
    await put(session)


async def test_whoever_may_not_stay_is_sent_away_though_the_folder_fails(
    front: Front, campaign: str, ed25519_key: KeyPair, pool: Pool
) -> None:
    connection = await front.connect(campaign, ed25519_key)
    break_folder(front.settings.sftp.spool_dir, campaign)
    await pool.execute("update campaigns set status = 'suspended' where id = $1", campaign)
    async with asyncio.timeout(30):
        await connection.wait_closed()
    assert not front.ended.done()


async def test_the_sweep_goes_on_behind_a_folder_that_fails(tmp_path: Path) -> None:
    spool, intake = spool_at(tmp_path), NotedIntake()
    make_partial(spool, state=PartialState.INTERRUPTED)
    age(spool, hours=25)
    # It comes before the other one, and can't be removed as a file is.
    leftover = spool.root / "a" / "leftover"
    leftover.mkdir(parents=True)
    long_ago = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    os.utime(leftover, (long_ago, long_ago))
    with capture_logs() as logs:
        await sweep(spool, intake)
    assert spool.partials("campaign_a") == []
    assert leftover.exists()
    (failed,) = [line for line in logs if line["event"] == "spool_folder_failed"]
    assert failed["campaign_id"] == "a"


def test_the_node_s_bytes_are_counted_without_a_folder_that_fails(tmp_path: Path) -> None:
    usage = SpoolUsage(tmp_path, SFTPSettings(spool_dir=tmp_path, max_spool_bytes=5000))
    break_folder(tmp_path, "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.bytes").write_bytes(bytes(4000))
    usage.count("b")
    usage.charge("b", 1000)
    with pytest.raises(SpoolFull):
        usage.charge("b", 1)

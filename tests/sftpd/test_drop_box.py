"""The drop box through the real `sftp`, into the real intake."""

from pathlib import Path

import pytest

from config.database import Pool
from tests.conftest import KeyPair
from tests.sftpd.fronts import GOOD_CSV, Front


async def uploads_of(pool: Pool, campaign: str) -> list[tuple[str, str, int]]:
    """What the intake has: name, status or reason, and size, oldest first."""
    rows = await pool.fetch(
        """select file_name, coalesce(refusal_code, status) as what, bytes
           from uploads where campaign_id = $1 order by received_at""",
        campaign,
    )
    return [(row["file_name"], row["what"], row["bytes"]) for row in rows]


def spooled_files(front: Front) -> list[Path]:
    """Every file in the spool."""
    return [path for path in front.settings.sftp.spool_dir.rglob("*") if path.is_file()]


@pytest.fixture
def good_file(tmp_path: Path) -> Path:
    """A small whole upload."""
    path = tmp_path / "good.csv"
    path.write_bytes(GOOD_CSV)
    return path


async def test_a_put_is_taken_in_once_and_leaves_nothing_in_the_spool(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair, good_file: Path
) -> None:
    ended = await front.sftp(campaign, ed25519_key, f"put {good_file}\nls -l\n")
    assert ended.status == 0, ended.stderr
    assert await uploads_of(pool, campaign) == [("good.csv", "received", len(GOOD_CSV))]
    assert f" {len(GOOD_CSV)} " in ended.stdout
    assert spooled_files(front) == []

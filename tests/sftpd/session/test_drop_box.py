"""The drop box through the real `sftp` and `scp`, into the real intake: what reaches the agency, and what is left."""

import asyncio
import signal
from pathlib import Path

import pytest

from config.settings import Settings
from config.sizes import MEBIBYTE
from database.connections import Pool
from gateway.embedded.s3 import S3Server
from tests.conftest import KeyPair
from tests.sftpd.boxes import csv_of
from tests.sftpd.fronts import (
    GOOD_CSV,
    Ended,
    Front,
    add_campaign,
    change_sftp,
    eventually,
    run,
    running_front,
)

BIG = 8 * MEBIBYTE + 1_234


async def uploads_of(pool: Pool, campaign: str) -> list[tuple[str, str, int]]:
    """What the intake has: name, status or refusal code, and size, oldest first."""
    rows = await pool.fetch(
        """select file_name, coalesce(refusal_code, status) as what, bytes
           from uploads where campaign_id = $1 order by received_at""",
        campaign,
    )
    return [(row["file_name"], row["what"], row["bytes"]) for row in rows]


def spooled_files(front: Front) -> list[Path]:
    """Every file in the spool."""
    return [path for path in front.settings.sftp.spool_dir.rglob("*") if path.is_file()]


def spooled_bytes(front: Front) -> int:
    """The bytes of all uploads in progress."""
    return sum(path.stat().st_size for path in spooled_files(front) if path.suffix == ".bytes")


@pytest.fixture
def good_file(tmp_path: Path) -> Path:
    """A small whole upload."""
    path = tmp_path / "good.csv"
    path.write_bytes(GOOD_CSV)
    return path


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    """An upload that takes a while: 8 MB, ending between two blocks."""
    path = tmp_path / "big.csv"
    path.write_bytes(csv_of(BIG))
    return path


async def test_a_put_is_taken_in_once_and_leaves_nothing_in_the_spool(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair, good_file: Path
) -> None:
    ended = await front.sftp(campaign, ed25519_key, f"put -p {good_file}\nls -l\n")
    assert ended.status == 0, ended.stderr
    assert await uploads_of(pool, campaign) == [("good.csv", "received", len(GOOD_CSV))]
    assert f" {len(GOOD_CSV)} " in ended.stdout
    assert spooled_files(front) == []


@pytest.mark.parametrize("target", ["good.csv", "./good.csv", "/good.csv", "//good.csv", ".", "./", "/"])
async def test_sftp_may_spell_the_name_or_the_folder_as_it_likes(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair, good_file: Path, target: str
) -> None:
    ended = await front.sftp(campaign, ed25519_key, f"put {good_file} {target}\nls -l {target}\n")
    assert ended.status == 0, ended.stderr
    assert await uploads_of(pool, campaign) == [("good.csv", "received", len(GOOD_CSV))]
    assert f" {len(GOOD_CSV)} " in ended.stdout


async def test_above_the_root_there_is_the_root(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair, good_file: Path
) -> None:
    ended = await front.sftp(campaign, ed25519_key, f"cd ..\nput {good_file}\ncd /..\nls -l ..\npwd\n")
    assert ended.status == 0, ended.stderr
    assert await uploads_of(pool, campaign) == [("good.csv", "received", len(GOOD_CSV))]
    # What was taken is not shown as writable.
    assert "\n---------- " in ended.stdout
    assert ended.stdout.endswith("Remote working directory: /\n")


async def test_a_big_put_is_taken_in_whole(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair, big_file: Path
) -> None:
    ended = await front.sftp(campaign, ed25519_key, f"put {big_file}\n")
    assert ended.status == 0, ended.stderr
    assert await uploads_of(pool, campaign) == [("big.csv", "received", BIG)]


async def test_scp_ends_with_exit_status_0(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair, good_file: Path
) -> None:
    for _ in range(2):
        ended = await scp(front, campaign, ed25519_key, good_file, "x.csv")
        assert (ended.status, ended.stderr) == (0, "")
    assert await uploads_of(pool, campaign) == [("x.csv", "received", len(GOOD_CSV))] * 2


async def test_scp_is_told_why_a_name_is_refused(
    front: Front, campaign: str, ed25519_key: KeyPair, good_file: Path
) -> None:
    ended = await scp(front, campaign, ed25519_key, good_file, "x.txt")
    assert ended.status != 0
    assert "only .csv files are accepted" in ended.stderr


async def scp(front: Front, campaign: str, key: KeyPair, source: Path, name: str) -> Ended:
    command = front.sftp_command(campaign, key)
    options = command[command.index("-P") : -1]
    return await run(["scp", "-q", *options, str(source), f"{command[-1]}:{name}"])


async def test_a_temporary_name_waits_for_its_rename(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair, good_file: Path
) -> None:
    batch = f"put {good_file} good.csv.part\nput {good_file} good.csv-Ab12\nls -l\n"
    ended = await front.sftp(campaign, ed25519_key, batch)
    assert ended.status == 0, ended.stderr
    assert ended.stderr.splitlines().count("waits for its rename to a name in .csv") == 1
    assert ended.stdout.count("--w-------") == 2
    assert await uploads_of(pool, campaign) == []
    await front.sftp(campaign, ed25519_key, "rm good.csv-Ab12\n")
    ended = await front.sftp(campaign, ed25519_key, "rename good.csv.part good.csv\n")
    assert ended.status == 0, ended.stderr
    assert await uploads_of(pool, campaign) == [("good.csv", "received", len(GOOD_CSV))]
    assert spooled_files(front) == []


@pytest.mark.parametrize(
    ("batch", "line", "recorded"),
    [
        ("put {file} x.txt", "only .csv files are accepted", [("x.txt", "file_not_csv", 0)]),
        ("put {file} folder/x.csv", "no folders here", []),
        ("put {file} x\u202ecsv.csv", "this name is not accepted", []),
        ("mkdir folder", "no folders here", []),
        ("get x.csv", "not found", []),
        ("ln -s a.csv b.csv", "links are not supported", []),
        ("rename a.csv b.csv", "no such file", []),
    ],
    ids=["not csv", "folder", "bidirectional", "mkdir", "get", "link", "unknown"],
)
async def test_a_refusal_says_why_and_the_client_fails(
    front: Front,
    pool: Pool,
    campaign: str,
    ed25519_key: KeyPair,
    good_file: Path,
    batch: str,
    line: str,
    recorded: list[tuple[str, str, int]],
) -> None:
    ended = await front.sftp(campaign, ed25519_key, batch.format(file=good_file) + "\n")
    assert ended.status != 0
    assert line in ended.stderr.lower()
    assert await uploads_of(pool, campaign) == recorded


async def test_a_refusal_is_told_once_on_stderr(
    front: Front, campaign: str, ed25519_key: KeyPair, good_file: Path
) -> None:
    batch = "".join(f"-put {good_file} {number}.txt\n" for number in range(3))
    ended = await front.sftp(campaign, ed25519_key, batch)
    assert ended.stderr.splitlines().count("only .csv files are accepted") == 1


async def test_a_file_of_30_megabytes_is_refused_and_dropped(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair, tmp_path: Path
) -> None:
    path = tmp_path / "huge.csv"
    path.write_bytes(csv_of(30 * MEBIBYTE))
    ended = await front.sftp(campaign, ed25519_key, f"put {path}\n")
    assert ended.status != 0
    assert "it must be smaller than 30 MB" in ended.stderr
    assert await uploads_of(pool, campaign) == [("huge.csv", "file_too_large", 30 * MEBIBYTE)]
    assert spooled_files(front) == []


async def interrupt(
    front: Front, campaign: str, key: KeyPair, batch: str, with_signal: signal.Signals
) -> int:
    """Stop `sftp` by a signal once a megabyte has arrived. Its exit status."""
    process = await asyncio.create_subprocess_exec(
        *front.sftp_command(campaign, key, "-l", "40000"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(batch.encode())
    process.stdin.close()
    try:
        await eventually(lambda: spooled_bytes(front) > MEBIBYTE, timeout=30)
        process.send_signal(with_signal)
        async with asyncio.timeout(30):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM])
async def test_an_upload_killed_midway_is_never_processed_and_can_be_resumed(
    front: Front,
    pool: Pool,
    campaign: str,
    ed25519_key: KeyPair,
    big_file: Path,
    with_signal: signal.Signals,
) -> None:
    status = await interrupt(front, campaign, ed25519_key, f"put {big_file}\n", with_signal)
    assert status != 0
    # The server hears of the connection's end a moment after the client has ended.
    await eventually(lambda: any('"cut"' in path.read_text() for path in front_notes(front)))
    assert await uploads_of(pool, campaign) == []
    ended = await front.sftp(campaign, ed25519_key, f"reput {big_file}\n")
    assert ended.status == 0, ended.stderr
    assert await uploads_of(pool, campaign) == [("big.csv", "received", BIG)]
    assert spooled_files(front) == []


def front_notes(front: Front) -> list[Path]:
    """The notes of partials in the spool."""
    return [path for path in spooled_files(front) if path.suffix == ".json"]


async def test_ctrl_c_midway_is_told_and_never_renamed(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair, big_file: Path
) -> None:
    """OpenSSH's sftp closes the half file politely, goes on with its batch, and exits with 0."""
    batch = f"-put {big_file} big.csv.tmp\n-rename big.csv.tmp big.csv\n"
    await interrupt(front, campaign, ed25519_key, batch, signal.SIGINT)
    await eventually(lambda: bool(front_notes(front)) and "interrupted" in front_notes(front)[0].read_text())
    (refused,) = await uploads_of(pool, campaign)
    assert refused[:2] == ("big.csv.tmp", "upload_interrupted")
    assert refused[2] == spooled_bytes(front)
    ended = await front.sftp(
        campaign, ed25519_key, f"put {big_file} big.csv.tmp\nrename big.csv.tmp big.csv\n"
    )
    assert ended.status == 0, ended.stderr
    assert (await uploads_of(pool, campaign))[1:] == [("big.csv", "received", BIG)]
    assert spooled_files(front) == []


async def test_a_campaign_sees_only_its_own(
    front: Front,
    pool: Pool,
    campaign: str,
    ed25519_key: KeyPair,
    other_key: KeyPair,
    good_file: Path,
) -> None:
    other = await add_campaign(pool, other_key)
    await front.sftp(campaign, ed25519_key, f"put {good_file}\nput {good_file} waiting.csv.tmp\n")
    assert (await front.sftp(other, other_key, "ls\n")).stdout.splitlines() == ["sftp> ls"]
    await front.sftp(other, other_key, "-rename waiting.csv.tmp x.csv\n-rm waiting.csv.tmp\n")
    assert await uploads_of(pool, other) == []
    ended = await front.sftp(campaign, ed25519_key, "ls -1\n")
    assert ended.stdout.split()[-2:] == ["good.csv", "waiting.csv.tmp"]


async def test_a_bucket_that_is_away_at_close_fails_the_client_and_accepts_nothing(
    node: Settings,
    pool: Pool,
    own_s3: S3Server,
    campaign: str,
    ed25519_key: KeyPair,
    good_file: Path,
) -> None:
    settings = change_sftp(node, acknowledge_timeout=2).model_copy(
        update={"s3": node.s3.model_copy(update={"endpoint_url": own_s3.endpoint_url, "bucket": "own"})}
    )
    async with running_front(settings, pool) as front:
        own_s3.stop()
        ended = await front.sftp(campaign, ed25519_key, f"put {good_file}\n")
        assert ended.status != 0
        assert "could not be stored and was not accepted" in ended.stderr
        assert await uploads_of(pool, campaign) == []
        assert spooled_files(front) == []
        own_s3.start()
        ended = await front.sftp(campaign, ed25519_key, f"put {good_file}\n")
        assert ended.status == 0, ended.stderr
        assert await uploads_of(pool, campaign) == [("good.csv", "received", len(GOOD_CSV))]

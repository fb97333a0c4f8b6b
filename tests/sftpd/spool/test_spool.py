"""The spool on disk: processes share it, it is bounded, and it never takes a half upload for a whole one."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.sections import RetentionSettings, SFTPSettings
from sftpd.refusals import PartialTaken, QuotaExceeded, SpoolFull, TooScattered
from sftpd.sessions import Session
from sftpd.spool.interruption import Suspicion
from sftpd.spool.partials import PartialState
from sftpd.spool.spool import Spool
from sftpd.spool.spool_file import MAX_RANGES
from sftpd.spool_sweep import SpoolSweep
from tests.sftpd.boxes import NotedIntake, NotedUploads

SESSION = Session("campaign_a", "connection_1", "192.0.2.1", "SHA256:x")
OTHER = Session("campaign_b", "connection_2", "192.0.2.2", "SHA256:y")
RETENTION = RetentionSettings()

# Another front process of the node. It opens an upload, writes some of it, says so and waits to be killed.
OTHER_PROCESS = """
import sys
from pathlib import Path
from config.sections import SFTPSettings
from sftpd.sessions import Session
from sftpd.spool.spool import Spool
spool = Spool(SFTPSettings(spool_dir=Path(sys.argv[1]), host_key_dir=Path(sys.argv[1])))
spooled = spool.create(Session("campaign_a", "connection_9", "192.0.2.9", "SHA256:z"), "x.csv", None)
for offset in map(int, sys.argv[2].split(",")):
    spooled.write(offset, b"a" * 1000)
print("written", flush=True)
sys.stdin.read()
"""


def spool_at(folder: Path, **changes: Any) -> Spool:
    spool = Spool(SFTPSettings(spool_dir=folder / "spool", host_key_dir=folder, **changes))
    spool.prepare()
    return spool


def test_a_folder_that_others_use_too_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool").chmod(0o1777)
    with pytest.raises(OSError, match="a folder of its own"):
        spool_at(tmp_path)
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o1777


def make_partial(
    spool: Spool, name: str = "x.csv", size: int = 100, state: PartialState = PartialState.CUT
) -> None:
    spooled = spool.create(SESSION, name, None)
    spooled.write(0, b"a" * size)
    spool.keep(spooled, state)


def files_of(spool: Spool) -> list[Path]:
    return sorted(path for path in spool.root.rglob("*") if path.is_file())


def age(spool: Spool, **by: float) -> None:
    """Let everything in the spool have happened earlier."""
    earlier = timedelta(**by)
    for path in files_of(spool):
        if path.suffix == ".json":
            notes = json.loads(path.read_text())
            notes["changed_at"] = (datetime.fromisoformat(notes["changed_at"]) - earlier).isoformat()
            # Notes are replaced and never changed in place.
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(notes))
            fresh.replace(path)
        moment = time.time() - earlier.total_seconds()
        os.utime(path, (moment, moment))


async def sweep(spool: Spool, intake: NotedIntake) -> None:
    settings = SFTPSettings(spool_dir=spool.root, host_key_dir=spool.root)
    sweeper = SpoolSweep(spool, intake, NotedUploads(intake), settings, RETENTION)
    await sweeper.sweep(datetime.now(UTC))


class OtherProcess:
    """A front process that dies by SIGKILL."""

    def __init__(self, spool: Spool, offsets: str = "0,1000,2000") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", OTHER_PROCESS, str(spool.root), offsets],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"written\n"

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=10)


def test_nobody_else_can_look_into_the_spool(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir(mode=0o755)
    spool = spool_at(tmp_path)
    make_partial(spool)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [spool.root, *spool.root.iterdir()]}
    assert modes == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files_of(spool)} == {0o600}
    assert all("x.csv" not in path.name for path in files_of(spool))


def test_a_link_in_the_spool_is_not_followed(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    make_partial(spool)
    (partial,) = spool.partials("campaign_a")
    secret = tmp_path / "secret"
    secret.write_text("a" * 100)
    partial.bytes_path.unlink()
    partial.bytes_path.symlink_to(secret)
    with pytest.raises(SpoolFull):
        spool.resume(partial)


def test_what_a_killed_process_wrote_is_a_partial(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    process = OtherProcess(spool)
    assert spool.partials("campaign_a") == []
    process.kill()
    (partial,) = spool.partials("campaign_a")
    assert (partial.name, partial.size, partial.state) == ("x.csv", 3000, PartialState.CUT)
    resumed = spool.resume(partial)
    resumed.write(3000, b"b" * 5)
    assert resumed.path.read_bytes() == b"a" * 3000 + b"b" * 5
    resumed.discard()


def test_a_resumed_handle_is_judged_by_its_own_writes_and_the_whole_size(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    OtherProcess(spool).kill()
    (partial,) = spool.partials("campaign_a")
    resumed = spool.resume(partial)
    resumed.write(partial.size, b"a" * 5_000)
    assert resumed.suspicion() is None
    resumed.write(partial.size + 5_000, b"a" * 5_000)
    assert resumed.suspicion() is Suspicion.ONE_LENGTH
    resumed.write(partial.size + 10_000, b"a" * (16_384 - partial.size - 10_000))
    assert resumed.suspicion() is Suspicion.BLOCK_MULTIPLE
    resumed.discard()


def test_a_note_of_an_older_program_is_read(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    make_partial(spool)
    (partial,) = spool.partials("campaign_a")
    notes = json.loads(partial.notes_path.read_text())
    notes["trace"] = {"count": 1, "longest": 100, "highest_offset": 0, "highest_length": 100}
    partial.notes_path.write_text(json.dumps(notes))
    assert spool.partials("campaign_a") == [partial]


async def test_what_a_killed_process_wrote_with_holes_is_nobodys(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    process = OtherProcess(spool, "0,5000")
    process.kill()
    assert spool.partials("campaign_a") == []
    age(spool, minutes=1)
    await sweep(spool, NotedIntake())
    assert files_of(spool) == []


async def test_a_sweep_leaves_alone_what_is_being_written(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    process = OtherProcess(spool, "0,5000")
    storing = spool.create(SESSION, "y.csv", None)
    storing.write(0, b"a")
    storing.forget_notes()
    age(spool, minutes=1)
    await sweep(spool, NotedIntake())
    assert len(files_of(spool)) == 3
    process.kill()
    storing.discard()
    await sweep(spool, NotedIntake())
    assert files_of(spool) == []
    assert not (spool.root / "campaign_a").exists()


async def test_bytes_without_a_note_are_swept(tmp_path: Path) -> None:
    """A process leaves them that dies while its upload is being stored."""
    spool = spool_at(tmp_path)
    make_partial(spool)
    (partial,) = spool.partials("campaign_a")
    partial.notes_path.unlink()
    (spool.root / "campaign_a" / "0123.json").write_text("{")
    (spool.root / "campaign_a" / "0123.new").write_text("{")
    age_nothing = NotedIntake()
    await sweep(spool, age_nothing)
    assert len(files_of(spool)) == 3
    for path in files_of(spool):
        os.utime(path, (0, 0))
    await sweep(spool, age_nothing)
    assert files_of(spool) == []


def test_one_process_resumes_what_another_reads(tmp_path: Path) -> None:
    first, second = spool_at(tmp_path), spool_at(tmp_path)
    make_partial(first)
    (seen_by_second,) = second.partials("campaign_a")
    (seen_by_first,) = first.partials("campaign_a")
    resumed = first.resume(seen_by_first)
    assert second.partials("campaign_a") == []
    with pytest.raises(PartialTaken):
        second.resume(seen_by_second)
    resumed.write(100, b"b")
    first.keep(resumed, PartialState.CUT)
    with pytest.raises(PartialTaken):
        second.resume(seen_by_second)
    assert second.partials("campaign_a")[0].size == 101


def test_a_partial_renamed_meanwhile_is_not_resumed(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    make_partial(spool)
    (partial,) = spool.partials("campaign_a")
    spool.rename(partial, "y.csv.tmp")
    with pytest.raises(PartialTaken):
        spool.resume(partial)


def test_of_two_handles_cut_on_one_name_the_later_stays(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    first, second = spool.create(SESSION, "x.csv", None), spool.create(SESSION, "x.csv", None)
    for spooled, content in ((first, b"a" * 5), (second, b"b" * 7)):
        spooled.write(0, content)
        spool.keep(spooled, PartialState.CUT)
    assert [partial.size for partial in spool.partials("campaign_a")] == [7]
    assert len(files_of(spool)) == 2


def test_a_new_upload_replaces_the_partial_of_its_name(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    make_partial(spool, size=100)
    make_partial(spool, size=50)
    assert [partial.size for partial in spool.partials("campaign_a")] == [50]
    assert len(files_of(spool)) == 2


def test_handles_cut_at_once_leave_no_more_partials_than_allowed(tmp_path: Path) -> None:
    """The oldest go; a file that only waits for its rename stays."""
    spool = spool_at(tmp_path, max_partials_per_campaign=3)
    make_partial(spool, "waiting.csv.tmp", state=PartialState.WAITING)
    opened = [spool.create(SESSION, f"{number}.csv", None) for number in range(6)]
    for spooled in opened:
        spooled.write(0, b"a")
        spool.keep(spooled, PartialState.CUT)
    assert [partial.name for partial in spool.partials("campaign_a")] == [
        "5.csv",
        "4.csv",
        "waiting.csv.tmp",
    ]


def test_bytes_are_limited_for_each_campaign(tmp_path: Path) -> None:
    spool = spool_at(tmp_path, max_spool_bytes_per_campaign=1000)
    first = spool.create(SESSION, "x.csv", None)
    second = spool.create(SESSION, "y.csv", None)
    first.write(0, b"a" * 600)
    with pytest.raises(QuotaExceeded):
        second.write(0, b"a" * 401)
    second.write(0, b"a" * 400)
    first.write(0, b"b" * 600)
    first.truncate(100)
    second.write(400, b"a" * 500)
    first.discard()
    second.write(900, b"a" * 100)
    assert spool.usage.free("campaign_a") == 0
    spool.create(OTHER, "x.csv", None).write(0, b"a" * 1000)


def test_bytes_that_another_process_wrote_count_too(tmp_path: Path) -> None:
    spool = spool_at(tmp_path, max_spool_bytes_per_campaign=3500)
    process = OtherProcess(spool)
    spooled = spool.create(SESSION, "y.csv", None)
    with pytest.raises(QuotaExceeded):
        spooled.write(0, b"a" * 600)
    process.kill()
    spooled.discard()


def test_bytes_are_limited_in_all(tmp_path: Path) -> None:
    spool = spool_at(tmp_path, max_spool_bytes=1000)
    spool.create(SESSION, "x.csv", None).write(0, b"a" * 600)
    with pytest.raises(SpoolFull):
        spool.create(OTHER, "x.csv", None).write(0, b"a" * 600)


def test_a_disk_that_refuses_is_a_full_spool_and_recovers(tmp_path: Path) -> None:
    """A limit on the size of files refuses as a full disk would."""
    spool = spool_at(tmp_path)
    program = OTHER_PROCESS.replace(
        "spool = Spool", "import resource, sftpd.refusals as refusals\nspool = Spool", 1
    )
    program = program.replace(
        "for offset in",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 10**9))\n"
        "try:\n    spooled.write(0, b'a' * 2000)\n"
        "except refusals.SpoolFull:\n    spooled.discard()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10**9, 10**9))\n"
        "spooled = spool.create(Session('campaign_a', '', '', ''), 'y.csv', None)\n"
        "for offset in",
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(spool.root), "0,1000"],
        input=b"",
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == b"written\n"
    assert [(partial.name, partial.size) for partial in spool.partials("campaign_a")] == [("y.csv", 2000)]


def test_islands_are_limited(tmp_path: Path) -> None:
    spooled = spool_at(tmp_path).create(SESSION, "x.csv", None)
    for number in range(MAX_RANGES):
        spooled.write(number * 2, b"a")
    with pytest.raises(TooScattered):
        spooled.write(MAX_RANGES * 2, b"a")
    spooled.discard()

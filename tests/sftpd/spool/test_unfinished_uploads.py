"""What becomes of uploads that nobody finishes: they are told of once, and removed after a day."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from processing.uploads import ListedUpload
from rules.codes import FindingCode
from sftpd.session.file_names import final_names
from sftpd.spool.partials import PartialState
from tests.sftpd.boxes import NotedIntake
from tests.sftpd.spool.test_spool import age, files_of, make_partial, spool_at, sweep

INTERRUPTED = FindingCode.UPLOAD_INTERRUPTED


def take_in(intake: NotedIntake, name: str, ago: timedelta) -> None:
    """Let another node have taken in an upload of that name."""
    intake.list_upload(ListedUpload(name, 5, None, datetime.now(UTC) - ago))


async def test_partials_expire_after_a_day(tmp_path: Path) -> None:
    spool, intake = spool_at(tmp_path), NotedIntake()
    make_partial(spool, state=PartialState.INTERRUPTED)
    age(spool, hours=23.9)
    await sweep(spool, intake)
    assert len(spool.partials("campaign_a")) == 1
    age(spool, hours=0.2)
    await sweep(spool, intake)
    assert files_of(spool) == []
    # It was told at its CLOSE.
    assert intake.refused == []


async def test_a_name_that_stays_temporary_is_reported_once_after_an_hour(tmp_path: Path) -> None:
    spool, intake = spool_at(tmp_path), NotedIntake()
    make_partial(spool, "x.csv.tmp", state=PartialState.WAITING)
    age(spool, minutes=59)
    await sweep(spool, intake)
    assert intake.refused == []
    age(spool, minutes=2)
    intake.away = True
    await sweep(spool, intake)
    intake.away = False
    await sweep(spool, intake)
    await sweep(spool, intake)
    assert intake.refused == [("x.csv.tmp", FindingCode.FILE_NOT_CSV, 100, None)]
    assert len(spool.partials("campaign_a")) == 1


async def test_an_upload_cut_off_and_left_alone_is_reported_once_after_an_hour(tmp_path: Path) -> None:
    spool, intake = spool_at(tmp_path), NotedIntake()
    make_partial(spool, "x.csv")
    age(spool, minutes=59)
    await sweep(spool, intake)
    assert intake.refused == []
    age(spool, minutes=2)
    intake.away = True
    await sweep(spool, intake)
    intake.away = False
    # Several processes of a node sweep, also at the same time.
    await asyncio.gather(*(sweep(spool_at(tmp_path), intake) for _ in range(4)))
    await sweep(spool, intake)
    assert intake.refused == [("x.csv", INTERRUPTED, 100, None)]
    # It can still be resumed, and if it is cut off again, that is told too.
    (partial,) = spool.partials("campaign_a")
    resumed = spool.resume(partial)
    resumed.write(100, b"b")
    spool.keep(resumed, PartialState.CUT)
    await sweep(spool, intake)
    assert len(intake.refused) == 1
    age(spool, minutes=61)
    # It was told of before it was resumed.
    intake.came_in = [(name, at - timedelta(minutes=61)) for name, at in intake.came_in]
    await sweep(spool, intake)
    assert intake.refused[1:] == [("x.csv", INTERRUPTED, 101, None)]


@pytest.mark.parametrize(
    ("cut", "later"),
    [("x.csv", "x.csv"), ("x.csv.1a2b3c4d.partial", "x.csv"), (".in.x.csv.", "x.csv"), ("x.part", "x.csv")],
)
async def test_an_upload_cut_off_and_then_sent_again_is_not_reported(
    tmp_path: Path, cut: str, later: str
) -> None:
    spool, intake = spool_at(tmp_path), NotedIntake()
    make_partial(spool, cut)
    age(spool, minutes=61)
    take_in(intake, later, timedelta(minutes=5))
    await sweep(spool, intake)
    assert intake.refused == []


async def test_an_earlier_upload_or_one_of_another_name_leaves_it_to_be_reported(tmp_path: Path) -> None:
    spool, intake = spool_at(tmp_path), NotedIntake()
    make_partial(spool, "x.csv")
    age(spool, minutes=61)
    take_in(intake, "x.csv", timedelta(minutes=90))
    take_in(intake, "ax.csv", timedelta(minutes=5))
    await sweep(spool, intake)
    assert intake.refused == [("x.csv", INTERRUPTED, 100, None)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.csv", ["x.csv"]),
        ("X.CSV", ["X.CSV"]),
        ("x.csv.filepart", ["x.csv.filepart", "x.csv", "x.csv.csv"]),
        (".x.csv", [".x.csv", "x.csv"]),
        ("x.txt", ["x.txt"]),
    ],
)
def test_a_temporary_name_stands_for_those_that_it_may_become(name: str, expected: list[str]) -> None:
    assert final_names(name, [".filepart", ".part"]) == expected

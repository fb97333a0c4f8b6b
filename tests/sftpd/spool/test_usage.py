"""What the spool holds by itself: when it is counted again, and what is counted meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.sections import SFTPSettings
from sftpd.refusals import QuotaExceeded, SpoolFull
from sftpd.spool import usage as usage_module
from sftpd.spool.usage import SpoolUsage

LIMIT, NODE_LIMIT = 1000, 1500


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("sftpd.spool.usage.time", SimpleNamespace(monotonic=made))
    return made


@pytest.fixture
def usage(tmp_path: Path, clock: Clock) -> SpoolUsage:
    settings = SFTPSettings(
        spool_dir=tmp_path, max_spool_bytes_per_campaign=LIMIT, max_spool_bytes=NODE_LIMIT
    )
    return SpoolUsage(tmp_path, settings)


def store(folder: Path, campaign_id: str, size: int, name: str = "1.bytes") -> None:
    """What another process wrote."""
    (folder / campaign_id).mkdir(exist_ok=True)
    (folder / campaign_id / name).write_bytes(bytes(size))


def test_a_campaign_is_counted_again_after_half_a_second(
    tmp_path: Path, usage: SpoolUsage, clock: Clock
) -> None:
    assert usage.is_stale("a")
    usage.count("a")
    store(tmp_path, "a", 400)
    clock.seconds += 0.5
    assert not usage.is_stale("a")
    assert usage.is_stale("b")
    usage.count("a")
    assert usage.free("a") == LIMIT
    clock.seconds += 0.1
    assert usage.is_stale("a")
    usage.count("a")
    assert not usage.is_stale("a")
    assert usage.free("a") == LIMIT - 400


def test_the_node_is_counted_again_after_five_seconds(
    tmp_path: Path, usage: SpoolUsage, clock: Clock
) -> None:
    usage.count("a")
    store(tmp_path, "b", NODE_LIMIT - 100)
    clock.seconds += 4.9
    usage.count("a")
    assert not usage.is_stale("a")
    usage.charge("a", 101)
    usage.refund("a", 101)
    clock.seconds += 0.2
    assert usage.is_stale("a")
    usage.count("a")
    assert not usage.is_stale("a")
    usage.charge("a", 100)
    with pytest.raises(SpoolFull):
        usage.charge("a", 1)


def test_a_campaign_whose_folder_was_changed_otherwise_is_counted_anew(
    tmp_path: Path, usage: SpoolUsage
) -> None:
    for campaign_id in ("a", "b"):
        usage.count(campaign_id)
        usage.charge(campaign_id, 300)
    usage.forget("a")
    usage.forget("unknown")
    assert (usage.free("a"), usage.free("b")) == (LIMIT, LIMIT - 300)
    assert (usage.is_stale("a"), usage.is_stale("b")) == (True, False)
    store(tmp_path, "a", 200)
    store(tmp_path, "a", 500, "1.json")
    usage.count("a")
    assert usage.free("a") == LIMIT - 200


def test_what_is_charged_and_refunded_is_added_up_and_a_refusal_counts_nothing(usage: SpoolUsage) -> None:
    usage.count("a")
    for _ in range(3):
        usage.charge("a", 300)
    usage.refund("a", 200)
    usage.refund("a", 100)
    assert usage.free("a") == LIMIT - 600
    with pytest.raises(QuotaExceeded):
        usage.charge("a", 401)
    usage.charge("a", 400)
    usage.count("b")
    with pytest.raises(SpoolFull):
        usage.charge("b", NODE_LIMIT - LIMIT + 1)
    usage.charge("b", NODE_LIMIT - LIMIT)
    assert (usage.free("a"), usage.free("b")) == (0, LIMIT - (NODE_LIMIT - LIMIT))
    # Of a campaign that was never counted, the node has its bytes back all the same.
    usage.refund("unknown", 100)
    usage.charge("b", 100)


def test_what_is_charged_while_others_are_counted_is_added_to_what_was_found(
    usage: SpoolUsage, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(tmp_path, "a", 300)
    usage.count("a")
    usage.charge("a", 100)
    clock.seconds += 60
    store(tmp_path, "a", 450)
    sizes = usage_module._sizes

    def count_and_charge(folder: Path) -> Iterator[int]:
        yield from sizes(folder)
        monkeypatch.setattr(usage_module, "_sizes", sizes)
        usage.charge("a", 50)

    monkeypatch.setattr(usage_module, "_sizes", count_and_charge)
    usage.count("a")
    assert usage.free("a") == LIMIT - 450 - 50


def test_a_file_that_goes_while_it_is_counted_and_a_link_count_for_nothing(
    usage: SpoolUsage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(tmp_path, "a", 300)
    store(tmp_path, "a", 200, "2.bytes")
    large = tmp_path / "large"
    large.write_bytes(bytes(900))
    (tmp_path / "a" / "3.bytes").symlink_to(large)
    scandir = os.scandir

    @contextmanager
    def scan_late(folder: Path) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(folder) as entries:
            found = list(entries)
        (Path(folder) / "2.bytes").unlink()
        yield found

    monkeypatch.setattr("sftpd.spool.usage.os", SimpleNamespace(scandir=scan_late))
    assert sorted(usage_module._sizes(tmp_path / "a")) == [len(str(large)), 300]

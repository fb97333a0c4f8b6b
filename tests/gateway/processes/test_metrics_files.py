"""The counts of a node's processes outlive each process, and its gauges don't."""

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest, mmap_dict, multiprocess

from gateway.processes.metrics_files import MetricsFiles

# The library tells no types here.
MmapedDict: Any = mmap_dict.MmapedDict
mmap_key: Any = mmap_dict.mmap_key
MultiProcessCollector: Any = multiprocess.MultiProcessCollector


def test_what_the_dead_counted_is_kept_and_what_they_measured_is_dropped() -> None:
    files = MetricsFiles()
    try:
        for pid, count in ((11, 2.0), (12, 3.0), (13, 4.0)):
            counts = MmapedDict(str(files.folder / f"counter_{pid}.db"))
            counts.write_value(mmap_key("done", "done_total", ["kind"], ["a"], "Done."), count, 0.0)
            counts.close()
            gauges = MmapedDict(str(files.folder / f"gauge_livesum_{pid}.db"))
            gauges.write_value(mmap_key("open", "open", [], [], "Open."), 1.0, 0.0)
            gauges.close()
        files.fold_dead_process(11)
        files.fold_dead_process(12)
        files.fold_dead_process(12)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(files.folder))
        text = generate_latest(registry).decode()
        assert 'done_total{kind="a"} 9.0' in text
        assert "open 1.0" in text
        assert {path.name for path in files.folder.iterdir()} == {
            "counter_0.db",
            "counter_13.db",
            "gauge_livesum_13.db",
        }
    finally:
        files.remove()
    assert not files.folder.exists()

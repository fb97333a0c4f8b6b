"""The folder in which the processes of a node count together, by prometheus-client's multiprocess mode.

A counter must not go back when a process is replaced, so what a dead process had counted is added to one file of all dead ones.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from prometheus_client import mmap_dict

# The library tells no types here.
_MmapedDict: Final[Any] = mmap_dict.MmapedDict
VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
# No process has this number, so the library reads the file as that of one more process.
_OF_THE_DEAD: Final = 0
_PREFIX: Final = "sftp-gateway-metrics-"
_SUMMED: Final = ("counter", "histogram", "summary")


class MetricsFiles:
    """One node's folder: empty at its start, removed at its end."""

    def __init__(self) -> None:
        _remove_those_of_the_dead()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))

    def remove(self) -> None:
        """Remove the folder, at the node's end."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def fold_dead_process(self, pid: int) -> None:
        """Keep what the dead process counted, and drop its gauges, which measured a process that is gone."""
        for kind in _SUMMED:
            left = self.folder / f"{kind}_{pid}.db"
            if left.exists():
                _add(left, self.folder / f"{kind}_{_OF_THE_DEAD}.db")
                left.unlink()
        for left in self.folder.glob(f"gauge_*_{pid}.db"):
            left.unlink()


def _remove_those_of_the_dead() -> None:
    """Remove the folders of nodes that were killed. A folder's name has the number of the node's process."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)


def _add(source: Path, target: Path) -> None:
    total = _MmapedDict(str(target))
    try:
        for key, value, _timestamp, _position in _MmapedDict.read_all_values_from_file(str(source)):
            already, _ = total.read_value(key)
            total.write_value(key, already + value, 0.0)
    finally:
        total.close()

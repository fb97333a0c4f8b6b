"""The files for operators that the failovers of `make chaos` run by are read by the programs they are for."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.chaos.failover.cluster import CONFIGURATION


def test_haproxy_reads_its_file(tmp_path: Path) -> None:
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("HAProxy isn't installed here (Debian: apt-get install haproxy)")
    addresses = {"HAPROXY_BIND": "127.0.0.1:5432"}
    for number, name in enumerate(("DB1", "DB2", "DB3"), 1):
        addresses |= {f"HAPROXY_{name}": f"10.0.0.{number}:5432", f"HAPROXY_{name}_REST": "8008"}
    done = subprocess.run(
        [program, "-c", "-f", CONFIGURATION.with_name("haproxy.cfg")],
        env={**os.environ, **addresses}, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower()

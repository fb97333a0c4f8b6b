"""Packages of npm that tests run, each installed once into a cache outside this repository."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

_INSTALLED_WITHIN: Final = 120.0


def modules_of(package: str, version: str) -> Path:
    """The folder of npm's packages that it needs, `NODE_PATH`."""
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache_folder / "sftp-gateway-clients" / f"{package}-{version}" / "node_modules"


@cache
def why_missing(package: str, version: str) -> str | None:
    """Why there is no such package here, or None. Installs it where that hasn't been done."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    installed = modules_of(package, version) / package
    if installed.exists():
        return None
    folder = installed.parent.parent
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    fresh.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--prefix", str(fresh), "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(
            [*command, f"{package}@{version}"], check=True, capture_output=True, timeout=_INSTALLED_WITHIN
        )
        fresh.rename(folder)
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        # Another process may have been first.
        return None if installed.exists() else f"npm could not install {package}: {type(error).__name__}"
    return None

"""Clients that are libraries of Python and npm: paramiko, asyncssh, ssh2-sftp-client."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from tests.clients.driver import AccessDetails, Client, Invocation

_SCRIPTS: Final = Path(__file__).parent / "scripts"
_SSH2_VERSION: Final = "12.1.1"
_INSTALLED_WITHIN: Final = 120.0


class ScriptClient(Client):
    """A library in a script as an agency would write it: one of `scripts/`, whose arguments are those that `_run` gives."""

    script: ClassVar[str]
    # What runs the script.
    interpreter: ClassVar[tuple[str, ...]]
    own_abort_by: ClassVar[str | None] = "an exception"

    def upload(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._run(access, path, name, "put")

    def upload_renamed(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._run(access, path, name, "rename")

    def resume(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._run(access, path, name, "resume")

    def give_up(self, access: AccessDetails, path: Path, name: str, *, after: int, rate: int) -> Invocation:
        return self._run(access, path, name, "fail", str(after))

    def _run(self, access: AccessDetails, path: Path, name: str, *flow: str) -> Invocation:
        details = (
            access.host,
            str(access.port),
            access.campaign_id,
            str(access.key),
            str(access.known_hosts),
        )
        return Invocation(
            (*self.interpreter, str(_SCRIPTS / self.script), *details, str(path), name, *flow),
            # What a script that is brought down leaves behind goes with its home.
            environment={"HOME": str(access.home), "TMPDIR": str(access.home)},
        )


class _Python(ScriptClient):
    programs = (sys.executable,)
    interpreter = (sys.executable, "-P")
    package: ClassVar[str]

    def _find_version(self) -> str:
        return importlib.metadata.version(self.package)


class Paramiko(_Python):
    """paramiko's `SFTPClient`."""

    name = "paramiko"
    package = "paramiko"
    script = "put_with_paramiko.py"
    upload_by = "`put`"
    temporary_by = "`put`, `posix_rename`"
    resume_by = "`open('a')`"
    notes = (
        "`put` swallows what CLOSE answers and asks for the size instead: an upload that was not stored raises "
        "`no such file`; a whole one that is refused as interrupted raises nothing"
    )


class AsyncSSH(_Python):
    """asyncssh's `SFTPClient`."""

    name = "asyncssh"
    package = "asyncssh"
    script = "put_with_asyncssh.py"
    upload_by = "`put`"
    temporary_by = "`put`, `posix_rename`"
    resume_by = "`open(FXF_WRITE)`, `write` at the end"
    notes = (
        "Every refusal is an exception. `open('a')` sends every block with the offset 0, which begins anew: "
        "resume with `FXF_WRITE`, as here"
    )

    def upload_slowly(self, access: AccessDetails, path: Path, name: str, rate: int) -> Invocation:
        return self._run(access, path, name, "gently")


class SSH2SFTPClient(ScriptClient):
    """ssh2-sftp-client of npm, installed once into a cache outside this repository."""

    name = "ssh2-sftp-client"
    programs = ("node", "npm")
    interpreter = ("node",)
    script = "put_with_ssh2.cjs"
    upload_by = "`put`, `fastPut`"
    temporary_by = "`put`, `rename`"
    resume_by = "`createWriteStream` with `a`, once it is `ready`"
    own_abort_by = "an error of the stream"
    notes = "Every refusal rejects the promise; `append` may write before it knows where the file ends"

    @cached_property
    def _modules(self) -> Path:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "sftp-gateway-clients" / f"ssh2-sftp-client-{_SSH2_VERSION}" / "node_modules"

    def missing(self) -> str | None:
        if absent := super().missing():
            return absent
        if (self._modules / "ssh2-sftp-client").exists():
            return None
        folder = self._modules.parent
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        fresh.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(
                [
                    *(
                        "npm",
                        "install",
                        "--prefix",
                        str(fresh),
                        "--no-audit",
                        "--no-fund",
                        "--ignore-scripts",
                    ),
                    f"ssh2-sftp-client@{_SSH2_VERSION}",
                ],
                check=True,
                capture_output=True,
                timeout=_INSTALLED_WITHIN,
            )
            fresh.rename(folder)
        except (subprocess.SubprocessError, OSError) as error:
            shutil.rmtree(fresh, ignore_errors=True)
            return (
                None
                if self._modules.exists()
                else f"npm could not install ssh2-sftp-client: {type(error).__name__}"
            )
        return None

    def _find_version(self) -> str:
        package = json.loads((self._modules / "ssh2-sftp-client" / "package.json").read_text())
        return str(package["version"])

    def upload_in_parallel(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        """`fastPut`: 64 writes in flight, out of order."""
        return self._run(access, path, name, "fast")

    def _run(self, access: AccessDetails, path: Path, name: str, *flow: str) -> Invocation:
        ran = super()._run(access, path, name, *flow)
        return replace(ran, environment={**ran.environment, "NODE_PATH": str(self._modules)})

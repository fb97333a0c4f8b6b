"""OpenSSH's `sftp` and `scp`."""

import math
from pathlib import Path

from tests.clients.driver import AccessDetails, Client, Invocation, output_of


class OpenSSHSFTP(Client):
    """`sftp -b -`, as a night job runs it."""

    name = "OpenSSH sftp"
    programs = ("sftp", "ssh")
    upload_by = "`put`"
    temporary_by = "`put`, `rename`"
    resume_by = "`reput`"
    notes = (
        "With `-b` the status is 0 only when every line was acknowledged; without it, it is 0 after refusals too. "
        "Ctrl-C closes the file as if it were whole: the gateway refuses that CLOSE"
    )

    def __init__(self, block: int | None = None) -> None:
        """`block`: the bytes of each WRITE, as `sftp -B` sets it."""
        self._block = () if block is None else ("-B", str(block))

    def _find_version(self) -> str:
        return output_of("ssh", "-V").split(",")[0].split()[0].removeprefix("OpenSSH_")

    def upload(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self.batch(access, f"put {path} {name}")

    def upload_slowly(self, access: AccessDetails, path: Path, name: str, rate: int) -> Invocation:
        return self.batch(access, f"put {path} {name}", rate=rate)

    def upload_renamed(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self.batch(access, f"put {path} {name}.part", f"rename {name}.part {name}")

    def carry_on(self, access: AccessDetails, path: Path, name: str, rate: int) -> Invocation:
        """A batch that goes on to the rename whatever became of the put."""
        return self.batch(access, f"-put {path} {name}.part", f"-rename {name}.part {name}", rate=rate)

    def resume(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self.batch(access, f"reput {path} {name}")

    def batch(self, access: AccessDetails, *lines: str, rate: int | None = None) -> Invocation:
        """Any batch; `rate` is in bytes a second."""
        limit = ("-l", str(math.ceil(rate * 8 / 1000))) if rate else ()
        return Invocation(
            (
                "sftp",
                "-b",
                "-",
                "-P",
                str(access.port),
                *self._block,
                *limit,
                *access.ssh_options,
                access.account,
            ),
            "".join(f"{line}\n" for line in lines).encode(),
        )


class OpenSSHSCP(Client):
    """`scp` of release 9 and later, which speaks SFTP."""

    name = "OpenSSH scp"
    programs = ("scp", "ssh")
    upload_by = "`scp`"
    notes = (
        "The status is that of the upload. The older protocol (`scp -O`, and releases before 9) is refused: "
        '"this service only accepts SFTP uploads"'
    )

    def _find_version(self) -> str:
        return output_of("ssh", "-V").split(",")[0].split()[0].removeprefix("OpenSSH_")

    def upload(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._copy(access, path, name)

    def upload_slowly(self, access: AccessDetails, path: Path, name: str, rate: int) -> Invocation:
        return self._copy(access, path, name, "-l", str(math.ceil(rate * 8 / 1000)))

    def old_protocol(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        """`scp -O`, which runs `scp -t` on the server."""
        return self._copy(access, path, name, "-O")

    def _copy(self, access: AccessDetails, path: Path, name: str, *options: str) -> Invocation:
        port = ("-P", str(access.port))
        return Invocation(
            ("scp", *options, *port, *access.ssh_options, str(path), f"{access.account}:{name}")
        )

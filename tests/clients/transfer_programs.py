"""lftp, curl, rclone, Twisted's cftp and sshfs."""

import os
import shlex
import sysconfig
import time
from pathlib import Path
from typing import Final

from tests.clients.driver import AccessDetails, Client, Invocation, output_of
from tests.clients.libraries import ScriptClient

_RCLONE: Final = str(Path(sysconfig.get_path("scripts")) / "rclone")


class LFTP(Client):
    """`lftp -c`, through OpenSSH's `ssh` as always."""

    name = "lftp"
    programs = ("lftp", "ssh")
    upload_by = "`put`"
    temporary_by = "`xfer:use-temp-file`"
    resume_by = "`put -c`"
    own_abort_by = "`kill` of the job"
    notes = "The status is that of the last command. After a cut it comes back by itself and goes on"

    def _find_version(self) -> str:
        return output_of("lftp", "--version").split("Version")[1].split()[0]

    def upload(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._commands(access, f"put {path} -o {name}")

    def upload_slowly(self, access: AccessDetails, path: Path, name: str, rate: int) -> Invocation:
        return self._commands(access, f"set net:limit-rate 0:{rate}", f"put {path} -o {name}")

    def upload_renamed(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._commands(access, "set xfer:use-temp-file yes", f"put {path} -o {name}")

    def resume(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._commands(access, f"put -c {path} -o {name}")

    def give_up(self, access: AccessDetails, path: Path, name: str, *, after: int, rate: int) -> Invocation:
        return self._commands(
            access,
            # The line is slow by itself: under a limit of its own, lftp cuts its blocks anywhere, and the file with them.
            # Its clock runs from here, before the login.
            f"put {path} -o {name} &",
            f"sleep {after / rate + 0.3:.2f}",
            "kill all",
            "exit 1",
        )

    def _commands(self, access: AccessDetails, *commands: str) -> Invocation:
        ssh = shlex.join(("ssh", "-a", "-x", *access.ssh_options))
        lines = (
            f'set sftp:connect-program "{ssh}"',
            f"open -u {access.campaign_id}, -p {access.port} sftp://{access.host}",
            *commands,
        )
        return Invocation(
            ("lftp", "--norc", "-c", "\n".join(lines)),
            environment={"HOME": str(access.home), "LFTP_HOME": str(access.home)},
        )


class Curl(Client):
    """`curl -T`. Debian 12's, with libssh2 1.10, needs an Ed25519 or ECDSA key."""

    name = "curl"
    programs = ("curl",)
    upload_by = "`-T`"
    temporary_by = "`-T`, `-Q '-rename'`"
    resume_by = "`-C -`"
    own_abort_by = "`--max-time`"
    notes = (
        "Ignores what CLOSE answers: status 0 does not mean that the upload was stored, the e-mail does. "
        "Ended by `--max-time`, it closes the file as if it were whole: the gateway refuses that CLOSE"
    )
    heeds_close = False
    shows_refusals = False

    def missing(self) -> str | None:
        if absent := super().missing():
            return absent
        return None if "sftp" in output_of("curl", "-V").split() else "this curl is built without SFTP"

    def _find_version(self) -> str:
        words = output_of("curl", "-V").split()
        library = next(word for word in words if word.startswith(("libssh2/", "libssh/")))
        return f"{words[1]}, {library.replace('/', ' ')}"

    def upload(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._put(access, path, name)

    def upload_slowly(self, access: AccessDetails, path: Path, name: str, rate: int) -> Invocation:
        return self._put(access, path, name, "--limit-rate", str(rate))

    def upload_renamed(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._put(access, path, f"{name}.part", "-Q", f"-rename /{name}.part /{name}")

    def resume(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._put(access, path, name, "-C", "-")

    def give_up(self, access: AccessDetails, path: Path, name: str, *, after: int, rate: int) -> Invocation:
        return self._put(
            access, path, name, "--limit-rate", str(rate), "--max-time", f"{after / rate + 0.5:.2f}"
        )

    def _put(self, access: AccessDetails, path: Path, name: str, *options: str) -> Invocation:
        return Invocation(
            (
                *("curl", "-sS", "--user", f"{access.campaign_id}:", "--key", str(access.key)),
                *("--pubkey", f"{access.key}.pub", *options, "-T", str(path)),
                f"sftp://{access.host}:{access.port}/{name}",
            ),
            environment={"HOME": str(access.home)},
        )


class Rclone(Client):
    """`rclone copyto`, which always writes a `.partial` name first."""

    name = "rclone"
    programs = (_RCLONE,)
    upload_by = "`copyto`"
    temporary_by = "by itself"
    own_abort_by = "`--max-transfer`"
    notes = (
        "The status is that of the upload; it begins anew three times by itself. "
        'Shows "permission denied" in place of our line'
    )
    shows_refusals = False

    def _find_version(self) -> str:
        return output_of(_RCLONE, "version").split()[1].removeprefix("v")

    def upload(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._copy(access, path, name)

    def upload_slowly(self, access: AccessDetails, path: Path, name: str, rate: int) -> Invocation:
        return self._copy(access, path, name, "--bwlimit", f"{rate}B")

    def upload_renamed(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._copy(access, path, name)

    def give_up(self, access: AccessDetails, path: Path, name: str, *, after: int, rate: int) -> Invocation:
        limits = ("--bwlimit", f"{rate}B", "--max-transfer", f"{after}B", "--cutoff-mode", "hard")
        return self._copy(access, path, name, *limits)

    def _copy(self, access: AccessDetails, path: Path, name: str, *options: str) -> Invocation:
        return Invocation(
            (
                *(_RCLONE, "copyto", *options, "--sftp-host", access.host, "--sftp-port", str(access.port)),
                *("--sftp-user", access.campaign_id, "--sftp-key-file", str(access.key)),
                *("--sftp-known-hosts-file", str(access.known_hosts), str(path), f":sftp:{name}"),
            ),
            environment={"HOME": str(access.home), "RCLONE_CONFIG": str(access.home / "rclone.conf")},
        )


class CFTP(Client):
    """Twisted's `cftp -b -`, which Debian calls `cftp3`."""

    name = "Twisted cftp"
    programs = ("cftp3",)
    upload_by = "`put`"
    temporary_by = "`put`, `rename`"
    heeds_refusals = False
    heeds_close = False
    awaits_close = False
    shows_refusals = False
    notes = (
        "Ends with status 0 after refusals too, and without waiting for what CLOSE answers, so it is no program for a job: only "
        "the e-mail tells. Release 22.4 breaks off with a TypeError of its own at the line that comes beside a "
        "refusal, and later commands are not tried"
    )

    def _find_version(self) -> str:
        return output_of("cftp3", "--version").partition("Twisted version: ")[2].split()[0]

    def upload(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._batch(access, f"put {path} {name}")

    def upload_renamed(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        return self._batch(access, f"put {path} {name}.part", f"rename {name}.part {name}")

    def _batch(self, access: AccessDetails, *lines: str) -> Invocation:
        batch = access.home / f"{time.monotonic_ns()}.batch"
        batch.write_text("".join(f"{line}\n" for line in lines))
        return Invocation(
            (
                *("cftp3", "-b", str(batch), "-a", "-p", str(access.port), "-l", access.campaign_id),
                *("-i", str(access.key), "--known-hosts", str(access.known_hosts)),
                *("--user-authentications", "publickey", access.host),
            ),
            environment={"HOME": str(access.home)},
        )


class SSHFS(ScriptClient):
    """A folder mounted with sshfs, and `cp` into it. Each run has a mount namespace of its own."""

    name = "sshfs"
    programs = ("sshfs", "fusermount3", "ssh", "unshare")
    interpreter = ("unshare", "--mount", "sh")
    script = "put_with_sshfs.sh"
    upload_by = "`cp`"
    temporary_by = "`cp`, `mv`"
    resume_by = "`tail`, `>>`"
    own_abort_by = None
    heeds_close = False
    shows_refusals = False
    notes = (
        "Ignores what CLOSE answers: status 0 of `cp` does not mean that the upload was stored, the e-mail does. "
        "A `cp` that is killed while the mount lives closes the file as if it were whole: the gateway refuses that CLOSE. "
        'Shows "Permission denied" in place of our line. CLOSE is sent after `cp` has ended, and an unmount at that moment drops '
        "it, which cuts the upload: mount with `-s`, and ask `stat -f` of the folder before unmounting, which waits for it"
    )

    def missing(self) -> str | None:
        if absent := super().missing():
            return absent
        return (
            None
            if os.access("/dev/fuse", os.R_OK | os.W_OK)
            else "sshfs can't mount here: no access to /dev/fuse"
        )

    def _find_version(self) -> str:
        return output_of("sshfs", "--version").partition("SSHFS version ")[2].split()[0]

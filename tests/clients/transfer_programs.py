"""lftp, curl and rclone."""

import shlex
import sysconfig
from pathlib import Path
from typing import Final

from tests.clients.driver import Client, Invocation, Place, told_by

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
        return told_by("lftp", "--version").split("Version")[1].split()[0]

    def upload(self, place: Place, path: Path, name: str) -> Invocation:
        return self._commands(place, f"put {path} -o {name}")

    def upload_slowly(self, place: Place, path: Path, name: str, rate: int) -> Invocation:
        return self._commands(place, f"set net:limit-rate 0:{rate}", f"put {path} -o {name}")

    def upload_renamed(self, place: Place, path: Path, name: str) -> Invocation:
        return self._commands(place, "set xfer:use-temp-file yes", f"put {path} -o {name}")

    def resume(self, place: Place, path: Path, name: str) -> Invocation:
        return self._commands(place, f"put -c {path} -o {name}")

    def give_up(self, place: Place, path: Path, name: str, *, after: int, rate: int) -> Invocation:
        return self._commands(
            place,
            f"set net:limit-rate 0:{rate}",
            # lftp's clock runs from here, before the login; its limit lets twice the rate pass at first.
            f"put {path} -o {name} &",
            f"sleep {after / rate + 0.3:.2f}",
            "kill all",
            "exit 1",
        )

    def _commands(self, place: Place, *commands: str) -> Invocation:
        ssh = shlex.join(("ssh", "-a", "-x", *place.ssh_options))
        lines = (
            f'set sftp:connect-program "{ssh}"',
            f"open -u {place.campaign_id}, -p {place.port} sftp://{place.host}",
            *commands,
        )
        return Invocation(
            ("lftp", "--norc", "-c", "\n".join(lines)),
            environment={"HOME": str(place.home), "LFTP_HOME": str(place.home)},
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
        return None if "sftp" in told_by("curl", "-V").split() else "this curl is built without SFTP"

    def _find_version(self) -> str:
        words = told_by("curl", "-V").split()
        library = next(word for word in words if word.startswith(("libssh2/", "libssh/")))
        return f"{words[1]}, {library.replace('/', ' ')}"

    def upload(self, place: Place, path: Path, name: str) -> Invocation:
        return self._put(place, path, name)

    def upload_slowly(self, place: Place, path: Path, name: str, rate: int) -> Invocation:
        return self._put(place, path, name, "--limit-rate", str(rate))

    def upload_renamed(self, place: Place, path: Path, name: str) -> Invocation:
        return self._put(place, path, f"{name}.part", "-Q", f"-rename /{name}.part /{name}")

    def resume(self, place: Place, path: Path, name: str) -> Invocation:
        return self._put(place, path, name, "-C", "-")

    def give_up(self, place: Place, path: Path, name: str, *, after: int, rate: int) -> Invocation:
        return self._put(
            place, path, name, "--limit-rate", str(rate), "--max-time", f"{after / rate + 0.5:.2f}"
        )

    def _put(self, place: Place, path: Path, name: str, *options: str) -> Invocation:
        return Invocation(
            (
                *("curl", "-sS", "--user", f"{place.campaign_id}:", "--key", str(place.key)),
                *("--pubkey", f"{place.key}.pub", *options, "-T", str(path)),
                f"sftp://{place.host}:{place.port}/{name}",
            ),
            environment={"HOME": str(place.home)},
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
        return told_by(_RCLONE, "version").split()[1].removeprefix("v")

    def upload(self, place: Place, path: Path, name: str) -> Invocation:
        return self._copy(place, path, name)

    def upload_slowly(self, place: Place, path: Path, name: str, rate: int) -> Invocation:
        return self._copy(place, path, name, "--bwlimit", f"{rate}B")

    def upload_renamed(self, place: Place, path: Path, name: str) -> Invocation:
        return self._copy(place, path, name)

    def give_up(self, place: Place, path: Path, name: str, *, after: int, rate: int) -> Invocation:
        limits = ("--bwlimit", f"{rate}B", "--max-transfer", f"{after}B", "--cutoff-mode", "hard")
        return self._copy(place, path, name, *limits)

    def _copy(self, place: Place, path: Path, name: str, *options: str) -> Invocation:
        return Invocation(
            (
                *(_RCLONE, "copyto", *options, "--sftp-host", place.host, "--sftp-port", str(place.port)),
                *("--sftp-user", place.campaign_id, "--sftp-key-file", str(place.key)),
                *("--sftp-known-hosts-file", str(place.known_hosts), str(path), f":sftp:{name}"),
            ),
            environment={"HOME": str(place.home), "RCLONE_CONFIG": str(place.home / "rclone.conf")},
        )

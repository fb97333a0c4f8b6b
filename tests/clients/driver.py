"""How the tests call a real client: as an agency calls it, with the program's own defaults."""

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

_VERSION_DEADLINE: Final = 20.0


@dataclass(frozen=True, slots=True)
class AccessDetails:
    """What an agency was given: address, user name, key, and the host keys to expect.

    `home` holds `.ssh/known_hosts` too, for clients that look there; `ppk` is the key in PuTTY's format.
    """

    port: int
    campaign_id: str
    key: Path
    ppk: Path
    home: Path
    fingerprints: Sequence[str]
    host: str = "127.0.0.1"

    @property
    def known_hosts(self) -> Path:
        return self.home / ".ssh" / "known_hosts"

    @property
    def account(self) -> str:
        return f"{self.campaign_id}@{self.host}"

    @property
    def ssh_options(self) -> tuple[str, ...]:
        """Options that let OpenSSH's programs use only this key and accept only these host keys."""
        return (
            *("-F", "none", "-i", str(self.key), "-o", "IdentitiesOnly=yes"),
            *("-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "StrictHostKeyChecking=yes"),
        )


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of a program."""

    command: tuple[str, ...]
    stdin: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)


class Abort(StrEnum):
    """How an upload is brought down."""

    INT = "INT"
    TERM = "TERM"
    KILL = "KILL"
    CUT = "cut"
    # The client's own way of giving up, such as curl's --max-time.
    OWN = "own"


SIGNALLED: Final = (Abort.INT, Abort.TERM, Abort.KILL, Abort.CUT)


class Client(ABC):
    """One client program. The methods say what to run; only the version is asked for here."""

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    # What the documented table says of each flow; None: the client has no such thing.
    upload_by: ClassVar[str]
    temporary_by: ClassVar[str | None] = None
    resume_by: ClassVar[str | None] = None
    own_abort_by: ClassVar[str | None] = None
    # Whether it has a key exchange in common with the gateway only where `sftp.compatibility` is `wide`.
    needs_wide: ClassVar[bool] = False
    # Whether the line that says why is on the user's screen after a refusal.
    shows_refusals: ClassVar[bool] = True
    # Whether the exit status is above 0 after a refusal.
    heeds_refusals: ClassVar[bool] = True
    # Whether the exit status is above 0 when the gateway answers CLOSE or RENAME with an error.
    heeds_close: ClassVar[bool] = True
    # Whether it ends only once CLOSE is answered, whatever the answer says.
    awaits_close: ClassVar[bool] = True
    # What else the user should know.
    notes: ClassVar[str] = ""

    def missing(self) -> str | None:
        """Why this client cannot be run here, or None."""
        absent = [program for program in self.programs if shutil.which(program) is None]
        return f"{self.name} is not installed: {', '.join(absent)}" if absent else None

    @cached_property
    def version(self) -> str:
        """The version that the program tells."""
        return self._find_version()

    @property
    def aborts(self) -> tuple[Abort, ...]:
        return (*SIGNALLED, Abort.OWN) if self.own_abort_by else SIGNALLED

    @abstractmethod
    def _find_version(self) -> str: ...

    @abstractmethod
    def upload(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        """A plain upload with the client's defaults."""

    def upload_slowly(self, access: AccessDetails, path: Path, name: str, rate: int) -> Invocation:
        """The same at `rate` bytes a second, where the client can limit itself."""
        return self.upload(access, path, name)

    def upload_renamed(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        """An upload under a temporary name, then the rename."""
        raise NotImplementedError

    def resume(self, access: AccessDetails, path: Path, name: str) -> Invocation:
        """What finishes an upload that was cut off."""
        raise NotImplementedError

    def give_up(self, access: AccessDetails, path: Path, name: str, *, after: int, rate: int) -> Invocation:
        """An upload that the client itself ends after about `after` bytes, at `rate` bytes a second where it can."""
        raise NotImplementedError


def output_of(*command: str) -> str:
    """What a program prints when it is asked for its version, both outputs."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_VERSION_DEADLINE,
        check=False,
        env=dict(os.environ),
    )
    return done.stdout + done.stderr

"""The devstack: the embedded servers alone, for work on the gateway or for running it by hand."""

import os
import shlex
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from gateway.embedded.stack import embedded_stack, sending_variables
from gateway.errors import CallMisused
from gateway.output import note, print_line


@contextmanager
def own_folder(given: Path | None, purpose: str) -> Iterator[Path]:
    """A new folder for one call: the given one, which stays, or a temporary one. Raises CallMisused."""
    if given is None:
        with tempfile.TemporaryDirectory(
            prefix=f"sftp-gateway-{purpose}-", ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)
        return
    if given.exists() and any(given.iterdir()):
        raise CallMisused(f"{given} is not empty: give the name of a new folder")
    given.mkdir(parents=True, exist_ok=True, mode=0o700)
    # One that was there already may be open to others, and files with secrets will lie in it.
    given.chmod(0o700)
    yield given.resolve()


def run_devstack(folder: Path | None) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises EmbeddedError or CallMisused."""
    end_as_ctrl_c()
    say_if_root()
    try:
        with own_folder(folder, "devstack") as own, embedded_stack(own) as stack:
            _keep_output_private()
            for name, value in {**stack.settings(), **sending_variables()}.items():
                print_line(f"export {name}={shlex.quote(value)}")
            note(
                f"PostgreSQL, S3 and a mailbox are running; e-mails are kept in {own / 'mail'}. Ctrl-C ends them."
            )
            signal.pause()
    except KeyboardInterrupt:
        note("ended")


def _keep_output_private() -> None:
    """Take the file that the settings go to from other users, as a shell makes it readable by all: passwords follow."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    if stat.S_ISREG(os.fstat(output).st_mode):
        os.fchmod(output, 0o600)


def end_as_ctrl_c() -> None:
    """Let SIGTERM and a closed terminal end this process as Ctrl-C does. A second signal doesn't disturb the cleaning up."""
    endings = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(_number: int, _frame: FrameType | None) -> None:
        for number in endings:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in endings:
        signal.signal(number, end)


def say_if_root() -> None:
    """Say what is done about it where this runs as root, as PostgreSQL doesn't run as root."""
    if os.geteuid() == 0:
        note(
            "Running as root: PostgreSQL runs as the system user pgserver (added if missing), "
            "and the folders above its own are opened for passing through."
        )

"""The agency of the demo, which sends with the real `sftp` client and opens its report as a browser would."""

import csv
import io
import shlex
import subprocess
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.demo.provision import KEY_NAME
from gateway.errors import EmbeddedError
from keys.host_keys import HostKey

KNOWN_HOSTS: Final = "known_hosts"
ERROR_COLUMN: Final = "Error Reason"


@dataclass(frozen=True, slots=True)
class Agency:
    """It works in `folder`, where its key, its known_hosts and its files lie, and sends to `port` on loopback."""

    folder: Path
    campaign_id: str
    port: int

    def know_host(self, host_keys: Sequence[HostKey]) -> None:
        """Write known_hosts, as an agency does with the lines it was given."""
        lines = [key.known_hosts_line("127.0.0.1", self.port) for key in host_keys]
        (self.folder / KNOWN_HOSTS).write_text("\n".join(lines) + "\n")

    @property
    def sftp_command(self) -> list[str]:
        """The client's command line, to be run in `folder`. The user's own ssh configuration stays out of it."""
        return [
            "sftp", "-F", "none", "-P", str(self.port), "-i", KEY_NAME,
            "-o", f"UserKnownHostsFile={KNOWN_HOSTS}", f"{self.campaign_id}@127.0.0.1",
        ]  # fmt: skip

    def upload_line(self, name: str) -> str:
        """What to type in `folder` to send that file."""
        return f"echo put {shlex.quote(name)} | {shlex.join([self.sftp_command[0], '-b', '-', *self.sftp_command[1:]])}"

    def upload(self, name: str, content: str) -> None:
        """Write the file and send it by `upload_line`, as typed. Raises EmbeddedError with what the client said."""
        (self.folder / name).write_text(content, encoding="utf-8")
        done = subprocess.run(
            ["sh", "-c", self.upload_line(name)],
            cwd=self.folder, capture_output=True, text=True, errors="replace", timeout=60, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            words = done.stderr.strip().splitlines() or ["it said nothing"]
            raise EmbeddedError(f"sftp could not send {name}: {words[-1]}")


def fetch_report(url: str) -> list[dict[str, str]]:
    """The rows of the report behind a reportURL, by column."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own link, to our own server
        text = answer.read().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))

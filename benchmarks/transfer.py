"""The front beside OpenSSH's own sshd: the same client puts the same files, turn by turn in one run.

Our time includes what sshd's doesn't: before CLOSE is answered the object is stored in S3 and the upload is committed in
PostgreSQL. No worker runs, since verdicts have a measure of their own.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.files import clean
from gateway.embedded.server_process import free_port
from tests.chaos.testbed.testbed import Testbed, open_testbed

ROUNDS = 5
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """A server that takes uploads. `login`: `user@host` for the client."""

    name: str
    port: int
    login: str
    key: Path
    folder: str


def sftp_command(target: Target) -> list[str]:
    """The client's command line for a batch on standard input, without any ssh settings of this machine."""
    options = [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "LogLevel=ERROR",
    ]
    return [
        "sftp", "-q", "-b", "-", "-F", "none", "-P", str(target.port), "-i", str(target.key),
        *(part for option in options for part in ("-o", option)),
        target.login,
    ]  # fmt: skip


def put_together(target: Target, files: list[Path]) -> float:
    """Seconds until that many clients, begun at once, have each put their file with exit status 0."""
    started = time.perf_counter()
    clients = []
    for file in files:
        client = subprocess.Popen(sftp_command(target), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert client.stdin
        client.stdin.write(f"put {file} {target.folder}{time.time_ns()}.csv\n".encode())
        client.stdin.close()
        clients.append(client)
    statuses = [client.wait(120) for client in clients]
    assert not any(statuses), (target.name, statuses)
    return time.perf_counter() - started


@contextmanager
def sshd(folder: Path, key: Path) -> Iterator[Target]:
    """OpenSSH's server with its built-in SFTP server, for root, on a free port of loopback."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    Path("/run/sshd").mkdir(exist_ok=True)
    home = folder / "sshd"
    (home / "in").mkdir(parents=True)
    host_key = home / "host_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
    shutil.copy(key.with_name(key.name + ".pub"), home / "authorized_keys")
    port = free_port()
    (home / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\nUsePAM no\nUseDNS no\n"
        f"AuthorizedKeysFile {home / 'authorized_keys'}\nStrictModes no\nPermitRootLogin prohibit-password\n"
        "MaxStartups 500\nMaxSessions 500\nSubsystem sftp internal-sftp\n"
    )
    server = subprocess.Popen([program, "-D", "-e", "-f", home / "config"], stderr=subprocess.DEVNULL)
    try:
        target = Target("sshd", port, f"{os.environ.get('USER', 'root')}@127.0.0.1", key, f"{home}/in/")
        _wait_for(target)
        yield target
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(target: Target) -> None:
    deadline = time.monotonic() + 20
    while subprocess.run(sftp_command(target), check=False, input=b"pwd\n", capture_output=True).returncode:
        assert time.monotonic() < deadline, f"{target.name} does not answer"


def compare(title: str, run: Callable[[Target], float], ours: Target, theirs: Target, rounds: int) -> float:
    """Run both in turn, print the medians of their seconds, and return the ratio."""
    pairs = [(run(ours), run(theirs)) for _ in range(rounds)]
    mine = statistics.median(ours_seconds for ours_seconds, _ in pairs)
    other = statistics.median(theirs_seconds for _, theirs_seconds in pairs)
    print(f"  {title:<34} {mine:6.2f} s   sshd {other:6.2f} s   = {mine / other:.2f} x sshd", flush=True)
    return mine / other


async def measure(rounds: int, processes: int) -> None:
    """The three cases of the contract."""
    async with open_testbed(campaigns=20, proxied=False) as testbed:
        node = await testbed.add_node(
            "sftpd",
            sftp__processes=str(processes),
            sftp__max_sessions_per_campaign="100",
        )
        with ExitStack() as stack:
            theirs = stack.enter_context(sshd(testbed.folder, testbed.key.private_file))
            ours = Target(
                "gateway", node.port, f"{testbed.campaigns[0]}@127.0.0.1", testbed.key.private_file, ""
            )
            await asyncio.to_thread(_cases, testbed, ours, theirs, rounds)


def _cases(testbed: Testbed, ours: Target, theirs: Target, rounds: int) -> None:
    large = _file(testbed.folder / "large.csv", clean()[: 29 * _MEGABYTE])
    small = _file(testbed.folder / "small.csv", clean(rows=200))
    for target in (ours, theirs):
        put_together(target, [small])
    print(f"put, median of {rounds} rounds; ours ends only when the upload is in S3 and PostgreSQL")
    compare("one put of 29 MB", lambda target: put_together(target, [large]), ours, theirs, rounds)
    compare(
        "40 puts of 12 kB at once", lambda target: put_together(target, [small] * 40), ours, theirs, rounds
    )
    compare("8 puts of 29 MB at once", lambda target: put_together(target, [large] * 8), ours, theirs, rounds)


def _file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def main() -> None:
    """Measure; says so where sshd is missing."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--processes", type=int, default=2)
    chosen = arguments.parse_args()
    if not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
        print("transfer: sshd is not installed (Debian: apt-get install openssh-server); not measured")
        return
    asyncio.run(measure(chosen.rounds, chosen.processes))


if __name__ == "__main__":
    main()

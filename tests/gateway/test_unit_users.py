"""The units' users can't read each other's folders, nor any secret: each tries, in folders made as on a machine."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gateway.nodes import ROOT

UNITS = ROOT / "systemd"
TOOLS = ("systemd-sysusers", "systemd-tmpfiles", "setpriv")
missing = [tool for tool in TOOLS if shutil.which(tool) is None]
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or bool(missing),
    reason=f"only root can try as other users{f', and {missing} is missing' if missing else ''}",
)
PARTS = ("front", "worker", "sender", "api", "console", "admin")
TLS_FOLDERS = {"tls": "api", "tls-console": "console"}


@dataclass(frozen=True, slots=True)
class Machine:
    """The root folder of a made-up machine, on which the gateway is installed."""

    root: Path

    def ids(self, name: str, database: str) -> int:
        """The number of a user or group."""
        for line in (self.root / "etc" / database).read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split(":")[2])
        raise AssertionError(f"{name} is not in {database}")

    def can(self, part: str, *command: str) -> bool:
        """Whether the part's user, in the group that its unit sets, can do that."""
        user, group = self.ids(f"sftp-gateway-{part}", "passwd"), self.ids("sftp-gateway", "group")
        done = subprocess.run(
            ["setpriv", "--reuid", str(user), "--regid", str(group), "--clear-groups", "--no-new-privs",
             "--bounding-set=-all", "--inh-caps=-all", *command],
            cwd=self.root, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert done.returncode == 0 or "Permission denied" in done.stderr, done.stderr
        return done.returncode == 0


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Users and folders as systemd makes them from our files, and what the parts keep in these folders."""
    with tempfile.TemporaryDirectory(prefix="gw-machine-") as folder:
        # Others must get as far as this folder, or their failure to read would show nothing.
        Path(folder).chmod(0o755)
        yield install(Path(folder))


def install(root: Path) -> Machine:
    (root / "etc").mkdir()
    for tool, name in (("systemd-sysusers", "sysusers"), ("systemd-tmpfiles", "tmpfiles")):
        folder = root / "usr" / "lib" / f"{name}.d"
        folder.mkdir(parents=True)
        shutil.copy(UNITS / f"sftp-gateway.{name}", folder / "sftp-gateway.conf")
        options = ["--create"] if name == "tmpfiles" else []
        done = subprocess.run(
            [tool, f"--root={root}", *options, "sftp-gateway.conf"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
    made = Machine(root)
    config = root / "etc/sftp-gateway/gateway.toml"
    config.write_text("environment = 'test'\n")
    os.chown(config, 0, made.ids("sftp-gateway", "group"))
    config.chmod(0o640)
    for part in ("owner", *PARTS):
        keep(root / f"etc/sftp-gateway/credentials/{part}/DATABASE__URL", 0)
    for part in ("front", "admin"):
        # As the programs leave them: mode 0600, in folders of 0700.
        owner = made.ids(f"sftp-gateway-{part}", "passwd")
        keep(root / f"var/lib/sftp-gateway-{part}/host-keys/ssh_host_ed25519_key", owner)
    keep(root / "var/lib/sftp-gateway-front/spool/upload_1", made.ids("sftp-gateway-front", "passwd"))
    for kept, part in TLS_FOLDERS.items():
        keep(root / f"etc/sftp-gateway/{kept}/key.pem", made.ids(f"sftp-gateway-{part}", "passwd"))
    return made


def keep(path: Path, owner: int) -> None:
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700)
        os.chown(path.parent, owner, owner)
    path.write_text("secret\n")
    path.chmod(0o600)
    os.chown(path, owner, owner)


@needs_root
@pytest.mark.parametrize("part", PARTS)
def test_a_part_reads_its_own_folders_and_no_others(machine: Machine, part: str) -> None:
    assert machine.can(part, "cat", "etc/sftp-gateway/gateway.toml")
    assert not machine.can(part, "sh", "-c", "echo >> etc/sftp-gateway/gateway.toml")
    for kept in (
        "var/lib/sftp-gateway-front/spool/upload_1",
        "var/lib/sftp-gateway-front/host-keys/ssh_host_ed25519_key",
        "var/lib/sftp-gateway-admin/host-keys/ssh_host_ed25519_key",
    ):
        is_own = kept.startswith(f"var/lib/sftp-gateway-{part}/")
        assert machine.can(part, "cat", kept) == is_own, kept
        assert machine.can(part, "ls", str(Path(kept).parent)) == is_own, kept
    for other in ("owner", *PARTS):
        assert not machine.can(part, "cat", f"etc/sftp-gateway/credentials/{other}/DATABASE__URL")
    assert not machine.can(part, "ls", "etc/sftp-gateway/credentials")
    for folder, owner in TLS_FOLDERS.items():
        assert machine.can(part, "cat", f"etc/sftp-gateway/{folder}/key.pem") == (part == owner), folder


@needs_root
def test_users_are_as_many_as_parts_and_have_no_shell(machine: Machine) -> None:
    lines = [line.split(":") for line in (machine.root / "etc/passwd").read_text().splitlines()]
    ours = {line[0]: line for line in lines if line[0].startswith("sftp-gateway")}
    assert set(ours) == {f"sftp-gateway-{part}" for part in PARTS}
    assert len({line[2] for line in ours.values()}) == len(PARTS)
    assert {line[6] for line in ours.values()} == {"/usr/sbin/nologin"}


@pytest.mark.parametrize(
    ("service", "user", "credentials", "state"),
    [
        ("sftp-gateway-front.service", "sftp-gateway-front", "front", ["sftp-gateway-front"]),
        ("sftp-gateway-worker@.service", "sftp-gateway-worker", "worker", []),
        ("sftp-gateway-sender@.service", "sftp-gateway-sender", "sender", []),
        ("sftp-gateway-api.service", "sftp-gateway-api", "api", []),
        ("sftp-gateway-console.service", "sftp-gateway-console", "console", []),
        ("sftp-gateway-migrate.service", "sftp-gateway-admin", "owner", []),
    ],
)
def test_a_unit_has_its_own_user_credentials_and_folders(
    service: str, user: str, credentials: str, state: list[str]
) -> None:
    text = (UNITS / service).read_text()
    assert re.findall(r"^User=(.*)", text, re.MULTILINE) == [user]
    assert re.findall(r"^Group=(.*)", text, re.MULTILINE) == ["sftp-gateway"]
    folder = f"SFTP_GATEWAY:/etc/sftp-gateway/credentials/{credentials}"
    assert re.findall(r"^LoadCredential=(.*)", text, re.MULTILINE) == [folder]
    assert re.findall(r"^StateDirectory=(.*)", text, re.MULTILINE) == state
    assert "UMask=0077" in (UNITS / "sftp-gateway-.service.d" / "hardening.conf").read_text()


@pytest.mark.parametrize(
    "service", ["front.service", "worker@.service", "sender@.service", "api.service", "console.service"]
)
def test_what_serves_has_a_limit_of_memory(service: str) -> None:
    assert re.search(r"^MemoryMax=\d+[MG]$", (UNITS / f"sftp-gateway-{service}").read_text(), re.MULTILINE)


def test_the_migration_takes_the_time_it_needs() -> None:
    assert "\nTimeoutStartSec=infinity\n" in (UNITS / "sftp-gateway-migrate.service").read_text()

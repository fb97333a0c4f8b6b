"""Host keys are made once, are the same on every node, are shown so that agencies recognise them, and can be rotated."""

import base64
import shutil
import subprocess
from pathlib import Path

import asyncssh
import pytest

from audit.events import Actor
from database.connections import Connection
from keys.errors import HostKeyError, HostKeyRefused
from keys.host_key_changes import (
    generate_host_keys,
    promote_new_keys,
    retire_host_keys,
    rotate_host_keys,
)
from keys.host_key_fingerprints import check_host_keys
from keys.host_keys import HostKeyType, load_host_keys, load_present_host_keys

ADMIN = Actor(name="admin")


def ssh_keygen(*words: object) -> str:
    return subprocess.run(
        ["ssh-keygen", *map(str, words)], check=True, timeout=30, capture_output=True, text=True
    ).stdout


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "host-keys"


def copy_folder(source: Path, target: Path) -> Path:
    """As an admin copies it to another node."""
    return Path(shutil.copytree(source, target))


async def test_three_types_are_made_for_this_user_only(connection: Connection, folder: Path) -> None:
    keys = await generate_host_keys(connection, folder, actor=ADMIN)

    assert [key.key.get_algorithm() for key in keys] == ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]
    assert mode_of(folder) == 0o700
    for key in keys:
        assert mode_of(key.path) == 0o600
        bits, fingerprint = ssh_keygen("-l", "-f", key.path).split()[:2]
        assert fingerprint == key.fingerprint
        assert key.type is not HostKeyType.RSA or bits == "3072"
        public = key.path.with_name(f"{key.path.name}.pub").read_text()
        assert public.strip() == key.public_line
    await check_host_keys(connection, load_host_keys(folder))
    assert [key.fingerprint for key in load_host_keys(folder)] == [key.fingerprint for key in keys]


async def test_generating_again_changes_nothing(connection: Connection, folder: Path) -> None:
    first = await generate_host_keys(connection, folder, actor=ADMIN)
    again = await generate_host_keys(connection, folder, actor=ADMIN)

    assert [key.fingerprint for key in again] == [key.fingerprint for key in first]
    events = await connection.fetch("select event from audit_events")
    assert [row["event"] for row in events] == ["host_key_added"] * 3


async def test_generating_goes_on_where_it_was_cut_off(connection: Connection, folder: Path) -> None:
    cut_off = connection.transaction()
    await cut_off.start()
    made = await generate_host_keys(connection, folder, actor=ADMIN)
    await cut_off.rollback()
    (folder / "ssh_host_rsa_key").unlink()

    keys = await generate_host_keys(connection, folder, actor=ADMIN)

    assert [key.fingerprint for key in keys][:2] == [key.fingerprint for key in made][:2]
    await check_host_keys(connection, keys)


async def test_a_second_node_makes_no_keys_of_its_own(
    connection: Connection, folder: Path, tmp_path: Path
) -> None:
    await generate_host_keys(connection, folder, actor=ADMIN)
    with pytest.raises(HostKeyRefused, match="copy its folder"):
        await generate_host_keys(connection, tmp_path / "second", actor=ADMIN)
    assert not (tmp_path / "second").exists()

    second = load_host_keys(copy_folder(folder, tmp_path / "second"))

    await check_host_keys(connection, second)


async def test_lost_keys_are_replaced_only_when_told_so(
    connection: Connection, folder: Path, tmp_path: Path
) -> None:
    lost = await generate_host_keys(connection, folder, actor=ADMIN)
    new = await generate_host_keys(connection, tmp_path / "new", replace=True, actor=ADMIN)

    await check_host_keys(connection, new)
    with pytest.raises(HostKeyError, match="retired on another node"):
        await check_host_keys(connection, lost)


async def test_a_node_with_other_keys_does_not_start(
    connection: Connection, folder: Path, tmp_path: Path
) -> None:
    keys = await generate_host_keys(connection, folder, actor=ADMIN)
    other = copy_folder(folder, tmp_path / "other")
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    (other / "ssh_host_ed25519_key").write_bytes(stranger.export_private_key("openssh"))

    await check_host_keys(connection, keys)
    with pytest.raises(HostKeyError, match="is not the one that the other nodes show"):
        await check_host_keys(connection, load_host_keys(other))


async def test_keys_unknown_to_the_database_do_not_start(connection: Connection, folder: Path) -> None:
    keys = await generate_host_keys(connection, folder, actor=ADMIN)
    await connection.execute("delete from host_key_fingerprints")
    with pytest.raises(HostKeyError, match="hostkey generate"):
        await check_host_keys(connection, keys)


async def test_a_rotation_offers_both_and_ends_with_the_new(
    connection: Connection, folder: Path, tmp_path: Path
) -> None:
    old = await generate_host_keys(connection, folder, actor=ADMIN)
    both = await rotate_host_keys(connection, folder, actor=ADMIN)

    assert [(key.type, key.is_current) for key in both] == [
        (kind, current) for kind in HostKeyType for current in (True, False)
    ]
    assert [key.fingerprint for key in both if key.is_current] == [key.fingerprint for key in old]
    await check_host_keys(connection, load_host_keys(folder))
    # A node that hasn't got the new ones yet, and one that has.
    await check_host_keys(connection, old)
    second = copy_folder(folder, tmp_path / "second")
    with pytest.raises(HostKeyRefused, match="going on already"):
        await rotate_host_keys(connection, folder, actor=ADMIN)

    await retire_host_keys(connection, folder, actor=ADMIN)
    new = promote_new_keys(folder)

    assert [key.fingerprint for key in new] == [key.fingerprint for key in both if not key.is_current]
    assert all(key.is_current for key in new)
    await check_host_keys(connection, load_host_keys(folder))
    # The second node still shows the old ones: it is told what to do, and does it.
    with pytest.raises(HostKeyError, match="hostkey retire"):
        await check_host_keys(connection, load_host_keys(second))
    await retire_host_keys(connection, second, actor=ADMIN)
    await check_host_keys(connection, promote_new_keys(second))
    with pytest.raises(HostKeyRefused, match="no rotation"):
        await retire_host_keys(connection, folder, actor=ADMIN)
    events = await connection.fetch("select event from audit_events order by id")
    assert [row["event"] for row in events] == ["host_key_added"] * 6 + ["host_key_retired"] * 3


async def test_a_rotation_begins_on_one_node_only(
    connection: Connection, folder: Path, tmp_path: Path
) -> None:
    await generate_host_keys(connection, folder, actor=ADMIN)
    second = copy_folder(folder, tmp_path / "second")
    await rotate_host_keys(connection, folder, actor=ADMIN)
    with pytest.raises(HostKeyRefused, match="another node has begun"):
        await rotate_host_keys(connection, second, actor=ADMIN)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda folder: (folder / "ssh_host_rsa_key").unlink(), "no rsa host key"),
        (lambda folder: (folder / "ssh_host_rsa_key").chmod(0o640), "open to other users.*0640.*chmod 600"),
        (lambda folder: folder.chmod(0o777), "open to other users.*0777.*chmod 700"),
        (lambda folder: (folder / "ssh_host_rsa_key").write_text("x"), "not a private key"),
        (
            lambda folder: shutil.copy(folder / "ssh_host_rsa_key", folder / "ssh_host_ecdsa_key"),
            "holds a key of type ssh-rsa",
        ),
    ],
    ids=["missing", "readable by others", "folder writable by others", "rubbish", "wrong type"],
)
async def test_harmed_host_keys_are_named(
    connection: Connection, folder: Path, harm: "object", says: str
) -> None:
    await generate_host_keys(connection, folder, actor=ADMIN)
    assert callable(harm)
    harm(folder)
    with pytest.raises(HostKeyError, match=says):
        load_host_keys(folder)


def read_damaged(path: Path, content: bytes) -> asyncssh.SSHKey | str:
    """The host key read from a file of that content, in the form of OpenSSH, or why it can't be."""
    path.write_bytes(
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n%s-----END OPENSSH PRIVATE KEY-----\n"
        % base64.encodebytes(content)
    )
    try:
        return next(one.key for one in load_present_host_keys(path.parent) if one.path == path)
    except HostKeyError as error:
        return str(error)


async def test_a_damaged_host_key_is_named_is_another_or_signs_as_before(
    connection: Connection, folder: Path
) -> None:
    for key in await generate_host_keys(connection, folder, actor=ADMIN):
        whole = base64.b64decode(b"".join(key.path.read_bytes().splitlines()[1:-1]))
        told = []
        # One bit behind the public half, at many places.
        for place in range(len(whole) * 2 // 5, len(whole) - 24, 11):
            harmed = bytearray(whole)
            harmed[place] ^= 1 << place % 8
            read = read_damaged(key.path, bytes(harmed))
            if isinstance(read, str):
                told.append(read)
            elif read.get_fingerprint() == key.fingerprint:
                # OpenSSL can do without an RSA key's exponents of its factors.
                signature = read.sign(b"text", read.sig_algorithms[0])
                assert key.key.convert_to_public().verify(b"text", signature)
        assert told
        assert all(str(key.path) in line for line in told)
        assert any("is damaged" in line for line in told) or key.type is not HostKeyType.RSA
        assert not isinstance(read_damaged(key.path, whole), str)


async def test_sshfp_records_are_those_of_ssh_keygen(connection: Connection, folder: Path) -> None:
    for key in await generate_host_keys(connection, folder, actor=ADMIN):
        told = ssh_keygen("-r", "sftp.example.org", "-f", key.path)
        assert key.sshfp_record("sftp.example.org") in told.splitlines()


async def test_known_hosts_lines_are_found_by_ssh_keygen(
    connection: Connection, folder: Path, tmp_path: Path
) -> None:
    keys = await generate_host_keys(connection, folder, actor=ADMIN)
    known_hosts = tmp_path / "known_hosts"
    for port, name in ((22, "sftp.example.org"), (2222, "[sftp.example.org]:2222")):
        lines = [key.known_hosts_line("sftp.example.org", port) for key in keys]
        known_hosts.write_text("\n".join(lines) + "\n")
        told = ssh_keygen("-l", "-F", name, "-f", known_hosts)
        assert all(key.fingerprint in told for key in keys)

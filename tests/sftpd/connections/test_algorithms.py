"""Which algorithms the front speaks, as clients and `ssh-audit` see it."""

import asyncio
import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import String, UInt32
from asyncssh.public_key import SSHLocalKeyPair
from structlog.testing import capture_logs

from config.settings import Settings
from database.connections import Pool
from keys.host_key_changes import rotate_host_keys
from tests.conftest import KeyPair
from tests.sftpd.fronts import OPS, Front, add_campaign, change_sftp, eventually, run, running_front

SSH_AUDIT = shutil.which("ssh-audit") or str(Path(sys.executable).with_name("ssh-audit"))


class SHA1Pair(SSHLocalKeyPair):
    """A client's RSA key that signs with SHA-1 whatever the server announces, as JSch 0.1.55 does."""

    def set_sig_algorithm(self, sig_algorithm: bytes) -> None:
        super().set_sig_algorithm(b"ssh-rsa")


def sha1_pair(key: KeyPair) -> SHA1Pair:
    return SHA1Pair(asyncssh.read_private_key(str(key.private_file)), None, None, None)


@pytest.fixture
async def rsa_campaign(pool: Pool, rsa_key: KeyPair) -> str:
    return await add_campaign(pool, rsa_key)


async def test_a_sha1_user_signature_is_refused(front: Front, rsa_campaign: str, rsa_key: KeyPair) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await front.connect(rsa_campaign, None, client_keys=[sha1_pair(rsa_key)])
    # The same key signing with SHA-2 gets in, so it was the signature.
    await front.connect(rsa_campaign, rsa_key)


async def test_one_switch_admits_sha1_user_signatures_again(
    node: Settings, pool: Pool, rsa_campaign: str, rsa_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, allow_sha1_signatures=True), pool) as front:
        await front.connect(rsa_campaign, None, client_keys=[sha1_pair(rsa_key)])


@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"])
async def test_a_client_may_ask_for_each_host_key_algorithm(
    front: Front, campaign: str, ed25519_key: KeyPair, algorithm: str
) -> None:
    connection = await front.connect(campaign, ed25519_key, server_host_key_algs=[algorithm])
    assert connection.get_server_host_key() is not None


async def test_the_rsa_host_key_never_signs_with_sha1(
    front: Front, campaign: str, ed25519_key: KeyPair
) -> None:
    with pytest.raises(asyncssh.KeyExchangeFailed):
        await front.connect(campaign, ed25519_key, server_host_key_algs=["ssh-rsa"])


class SlowKeyExchange(asyncssh.SSHClient):
    """A client that takes its time after the algorithms are agreed, and notes with which one the server then signs."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.signed_with = b""

    def connection_made(self, conn: Any) -> None:
        send, validate = conn.send_packet, conn.validate_server_host_key

        def send_later(kind: int, *args: bytes, **options: object) -> None:
            if kind == 30:  # SSH_MSG_KEX_ECDH_INIT
                asyncio.get_running_loop().call_later(self.pause, partial(send, kind, *args, **options))
            else:
                send(kind, *args, **options)

        def note_signature(key_data: bytes) -> Any:
            key: Any = validate(key_data)
            verify = key.verify

            def noted(signed: bytes, signature: bytes) -> bool:
                self.signed_with = signature[4 : 4 + signature[3]]
                return bool(verify(signed, signature))

            key.verify = noted
            return key

        conn.send_packet, conn.validate_server_host_key = send_later, note_signature


async def test_clients_at_once_get_the_host_signature_that_each_asked_for(
    front: Front, campaign: str, ed25519_key: KeyPair
) -> None:
    # asyncssh by itself sets the algorithm on the key pair that all connections share, and signs a round trip later.
    clients = {
        "rsa-sha2-256": SlowKeyExchange(0.6),
        "rsa-sha2-512": SlowKeyExchange(0.3),
    }
    await asyncio.gather(
        *(
            front.connect(
                *(campaign, ed25519_key),
                server_host_key_algs=[algorithm],
                kex_algs=["curve25519-sha256"],
                client_factory=lambda client=client: client,
            )
            for algorithm, client in clients.items()
        )
    )
    assert {name: client.signed_with.decode() for name, client in clients.items()} == {
        name: name for name in clients
    }


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("kex_algs", "diffie-hellman-group14-sha256"),
        ("kex_algs", "diffie-hellman-group1-sha1"),
        ("encryption_algs", "aes256-cbc"),
        ("encryption_algs", "3des-cbc"),
    ],
)
async def test_weak_algorithms_are_not_spoken(
    front: Front, campaign: str, ed25519_key: KeyPair, kind: str, algorithm: str
) -> None:
    options: dict[str, Any] = {kind: [algorithm]}
    with pytest.raises(asyncssh.KeyExchangeFailed):
        await front.connect(campaign, ed25519_key, **options)


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("kex_algs", "mlkem768x25519-sha256"),
        ("kex_algs", "curve25519-sha256"),
        ("kex_algs", "diffie-hellman-group16-sha512"),
        ("kex_algs", "diffie-hellman-group18-sha512"),
        ("encryption_algs", "aes256-gcm@openssh.com"),
        ("encryption_algs", "chacha20-poly1305@openssh.com"),
        ("encryption_algs", "aes128-ctr"),
    ],
)
async def test_strong_algorithms_are_spoken(
    front: Front, campaign: str, ed25519_key: KeyPair, kind: str, algorithm: str
) -> None:
    options: dict[str, Any] = {kind: [algorithm]}
    await front.connect(campaign, ed25519_key, **options)


WIDE = ["ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group14-sha256"]


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
async def test_wide_compatibility_speaks_to_programs_without_curve25519(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, compatibility="wide"), pool) as front:
        for algorithm in WIDE:
            await front.connect(campaign, ed25519_key, kex_algs=[algorithm])
        for weak in ("diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1"):
            with pytest.raises(asyncssh.KeyExchangeFailed):
                await front.connect(campaign, ed25519_key, kex_algs=[weak])


@pytest.mark.parametrize("algorithm", WIDE)
async def test_strict_compatibility_is_the_default(
    front: Front, campaign: str, ed25519_key: KeyPair, algorithm: str
) -> None:
    with pytest.raises(asyncssh.KeyExchangeFailed):
        await front.connect(campaign, ed25519_key, kex_algs=[algorithm])


async def test_wide_compatibility_adds_its_key_exchanges_behind_the_others(
    node: Settings, pool: Pool, front: Front
) -> None:
    async with running_front(change_sftp(node, compatibility="wide"), pool) as wide:
        assert await offered_key_exchanges(wide) == [*await offered_key_exchanges(front), *WIDE]


async def offered_key_exchanges(front: Front) -> list[str]:
    """The key exchanges that a front offers in its KEXINIT (RFC 4253 §7.1), without the markers of extensions."""
    reader, writer = await front.connect_bare()
    writer.write(b"SSH-2.0-probe\r\n")
    await reader.readline()
    packet = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
    writer.close()
    await writer.wait_closed()
    # One byte of the padding's length, one of the message's type, and the 16 bytes of the cookie come before the list.
    length = int.from_bytes(packet[18:22])
    names = packet[22 : 22 + length].decode().split(",")
    return [name for name in names if not name.startswith(("ext-info", "kex-strict"))]


@pytest.mark.parametrize(
    ("options", "what", "offered"),
    [
        ({"kex_algs": ["diffie-hellman-group1-sha1"]}, "key exchange", "diffie-hellman-group1-sha1,"),
        ({"encryption_algs": ["3des-cbc", "aes256-cbc"]}, "encryption", "3des-cbc,aes256-cbc"),
        ({"server_host_key_algs": ["ssh-rsa"]}, "host key", "ssh-rsa"),
    ],
    ids=["key exchange", "cipher", "host key"],
)
async def test_one_line_of_the_log_tells_what_a_client_without_a_common_algorithm_offered(
    front: Front,
    campaign: str,
    ed25519_key: KeyPair,
    options: dict[str, Any],
    what: str,
    offered: str,
) -> None:
    with capture_logs() as logs:
        with pytest.raises(asyncssh.KeyExchangeFailed):
            await front.connect(campaign, ed25519_key, client_version="old", **options)
        await eventually(lambda: any(line["event"] == "connection_ended" for line in logs))
    (line,) = [line for line in logs if "offered" in line]
    assert line["not_in_common"] == what
    assert line["offered"].startswith(offered)
    assert line["client"] == "SSH-2.0-old"


async def test_a_client_writes_neither_control_characters_nor_long_lines_into_the_log(front: Front) -> None:
    lists = [b"\x1b[31m\n\xff" + b"x" * 5000, *[b"none"] * 7, b"", b""]
    packet = b"\x14" + bytes(16) + b"".join(map(String, lists)) + bytes(5)
    padding = 4 + -(len(packet) + 9) % 8
    packet = UInt32(len(packet) + padding + 1) + bytes([padding]) + packet + bytes(padding)
    with capture_logs() as logs:
        reader, writer = await front.connect_bare()
        writer.write(b"SSH-2.0-odd\x1b\r\n" + packet)
        await reader.read()
        await eventually(lambda: any("offered" in line for line in logs))
        writer.close()
    (line,) = [line for line in logs if "offered" in line]
    assert line["offered"].startswith("\\x1b[31m\\n\\xffxxx")
    assert len(line["offered"]) <= 1000
    assert line["offered"].isprintable()
    assert line["client"].isprintable()


@pytest.mark.parametrize("mac", ["hmac-sha2-512", "hmac-sha2-256"])
async def test_the_macs_that_old_libssh2_knows_are_spoken(
    front: Front, campaign: str, ed25519_key: KeyPair, mac: str
) -> None:
    await front.connect(campaign, ed25519_key, mac_algs=[mac], encryption_algs=["aes128-ctr"])


async def test_the_version_string_does_not_tell_the_software(front: Front) -> None:
    reader, writer = await front.connect_bare()
    assert await reader.readline() == b"SSH-2.0-SFTP\r\n"
    writer.close()
    await writer.wait_closed()


@pytest.mark.skipif(not Path(SSH_AUDIT).exists(), reason="ssh-audit is not installed: pip install ssh-audit")
async def test_ssh_audit_finds_nothing_beyond_what_the_contract_allows(front: Front) -> None:
    ended = await run([SSH_AUDIT, "-j", "--skip-rate-test", "-p", str(front.port), "127.0.0.1"], timeout=60)
    found = json.loads(ended.stdout)
    assert found["banner"]["software"] == "SFTP"
    for kind in ("kex", "key", "enc", "mac"):
        for entry in found[kind]:
            notes, name = entry.get("notes", {}), entry["algorithm"]
            allowed_warnings = {
                "kex": "does not provide protection against post-quantum attacks",
                "mac": "using encrypt-and-MAC mode",
            }
            if name.startswith("ecdsa-"):
                continue
            assert notes.get("fail", []) == [], name
            assert set(notes.get("warn", [])) <= {allowed_warnings.get(kind)}, name


async def test_openssh_learns_the_new_host_keys_during_a_rotation(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair, tmp_path: Path
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await rotate_host_keys(connection, node.sftp.host_key_dir, actor=OPS)
    known_hosts = tmp_path / "known_hosts"
    async with running_front(node, pool) as front:
        for algorithm in ("ssh-ed25519", "rsa-sha2-512"):
            known_hosts.unlink(missing_ok=True)
            options = [
                *("-o", f"UserKnownHostsFile={known_hosts}", "-o", "UpdateHostKeys=yes"),
                *("-o", f"HostKeyAlgorithms={algorithm},rsa-sha2-512,ssh-ed25519,ecdsa-sha2-nistp256"),
            ]
            # ssh takes the first value of an option that is given twice.
            command = front.sftp_command(campaign, ed25519_key)
            command[1:1] = options
            # The first time it has never seen the host. From a host that it knows, it learns further keys.
            for _ in range(2):
                assert (await run(command, b"pwd\n")).status == 0
            learned = [line.split()[1] for line in known_hosts.read_text().splitlines()]
            assert sorted(learned) == sorted(["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"] * 2), algorithm

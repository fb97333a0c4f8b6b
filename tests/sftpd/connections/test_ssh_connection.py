"""What is overridden of asyncssh's connection, tried by clients that misbehave. Each test fails when asyncssh changes."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import String, UInt32
from structlog.testing import capture_logs

from config.errors import ConfigurationError
from config.settings import Settings
from database.connections import Pool
from tests.conftest import KeyPair
from tests.sftpd.fronts import Front, change_sftp, eventually, running_front


class Misbehaving(asyncssh.SSHClient):
    """A client that does something odd each time it is asked for a key."""

    conn: asyncssh.SSHClientConnection

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.conn = conn

    def public_key_auth_requested(self) -> asyncssh.SSHKey | None:
        self.misbehave()
        return asyncssh.generate_private_key("ssh-ed25519")

    def misbehave(self) -> None:
        raise NotImplementedError


class KeyExchangeAgain(Misbehaving):
    def misbehave(self) -> None:
        self.conn._kexinit_sent = True
        self.conn._send_kexinit()


class AnotherName(Misbehaving):
    def misbehave(self) -> None:
        self.conn._username += "x"


class PasswordsInVain(Misbehaving):
    def misbehave(self) -> None:
        # With the `none` that every client begins with, this is one request more than six keys need.
        for _ in range(20):
            self.conn.send_packet(
                50,
                String(self.conn._username),
                String("ssh-connection"),
                String("password"),
                b"\x00",
                String("x"),
            )


@pytest.mark.parametrize(
    ("client", "words"),
    [
        (KeyExchangeAgain, "one key exchange is enough before a login"),
        (AnotherName, "can't change its user name"),
        (PasswordsInVain, "too many login attempts on one connection"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_a_client_that_misbehaves_before_its_login_is_sent_away(
    front: Front, campaign: str, client: type[Misbehaving], words: str
) -> None:
    with pytest.raises(asyncssh.DisconnectError, match=words):
        await front.connect(campaign, None, client_keys=(), client_factory=client)


class ReplyUnasked(Misbehaving):
    def misbehave(self) -> None:
        # asyncssh's client would keep the reply until the login is complete.
        self.conn._auth_complete = True
        self.conn.send_packet(82)
        self.conn._auth_complete = False


async def test_a_reply_before_the_login_is_refused(front: Front, campaign: str) -> None:
    # Nothing is ever asked of a client before its login.
    with pytest.raises(asyncssh.ProtocolError, match=r"^protocol error$"):
        await front.connect(campaign, None, client_keys=(), client_factory=ReplyUnasked)


async def test_replies_to_global_requests_that_nobody_waits_for_are_ignored(
    front: Front, campaign: str, ed25519_key: KeyPair
) -> None:
    connection = await front.connect(campaign, ed25519_key)
    for reply in (
        82,
        81,
        82,
    ):  # REQUEST_FAILURE is phpseclib's and Dropbear's answer to the announced host keys
        connection.send_packet(reply)
    connection.send_packet(81, String("some bytes"))
    async with connection.start_sftp_client() as sftp:
        connection.send_packet(82)
        assert await sftp.realpath(".") == "/"


async def test_a_reply_that_somebody_waits_for_arrives(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    # Without its answers to the keep-alive probes, a connection is dropped.
    async with running_front(change_sftp(node, keepalive_interval=0.1, keepalive_count=2), pool) as front:
        connection = await front.connect(campaign, ed25519_key)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.wait_closed(), 1)


async def test_a_message_for_a_channel_that_does_not_exist_ends_the_connection(
    front: Front, campaign: str, ed25519_key: KeyPair
) -> None:
    connection = await front.connect(campaign, ed25519_key)
    connection.send_packet(99, UInt32(7))  # CHANNEL_SUCCESS
    await asyncio.wait_for(connection.wait_closed(), 5)


async def test_a_login_may_exchange_keys_again(front: Front, campaign: str, ed25519_key: KeyPair) -> None:
    connection = await front.connect(campaign, ed25519_key, rekey_bytes=20_000)
    async with connection.start_sftp_client() as sftp, sftp.open("many.csv", "wb") as upload:
        await upload.write(b"recipient,language,recipient_name\n" + b"6591234567,english,A\n" * 5000)


@pytest.mark.parametrize(
    "options",
    [{"kex_algs": ["diffie-hellman-group14-sha256"]}, {"encryption_algs": ["aes256-cbc"]}],
    ids=["key exchange", "cipher"],
)
async def test_asyncsshs_own_words_do_not_reach_the_client(
    front: Front, campaign: str, ed25519_key: KeyPair, options: dict[str, Any]
) -> None:
    # asyncssh's client would notice first that there is no common algorithm, so it is made to go on.
    class Raw(asyncssh.SSHClient):
        def connection_made(self, conn: Any) -> None:
            conn._choose_alg = lambda kind, ours, theirs: ours[0]

    with pytest.raises(asyncssh.DisconnectError) as caught:
        await front.connect(campaign, ed25519_key, client_factory=Raw, **options)
    assert caught.value.reason == (
        "no algorithm in common: this client is too old for this service, see its agency guide"
    )


async def test_a_client_that_reads_no_answers_is_cut(
    front: Front, campaign: str, ed25519_key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The limit is lower here than in production, because asyncio's own loop counts its buffer anew at each write from Python
    # 3.12 on, which uvloop doesn't.
    monkeypatch.setattr("sftpd.connections.ssh_connection._BYTES_UNREAD", 256 * 1024)
    sock = socket.socket()
    # The kernel then keeps little for the client.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.connect(("127.0.0.1", front.port))
    connection = await asyncssh.connect(
        sock=sock,
        username=campaign,
        client_keys=[str(ed25519_key.private_file)],
        known_hosts=None,
        config=None,
        agent_path=None,
        encryption_algs=["aes128-gcm@openssh.com"],
    )
    channel, _ = await connection.create_session(
        asyncssh.SSHClientSession, subsystem="sftp", encoding=None, window=1 << 30
    )
    channel.write(UInt32(5) + b"\x01" + UInt32(3))
    transport = connection._transport
    assert transport is not None
    transport.pause_reading()
    # This sends a request that nobody knows, of 9 bytes and answered with some 100, as often as the channel's window lets it.
    with capture_logs() as logs:
        channel.write((UInt32(5) + b"\xfa" + UInt32(1)) * 230_000)
        await eventually(lambda: any(line["event"] == "connection_ended" for line in logs), timeout=90)
    transport.abort()


async def test_nothing_but_sftp_is_to_be_had(front: Front, campaign: str, ed25519_key: KeyPair) -> None:
    connection = await front.connect(campaign, ed25519_key, agent_forwarding=True)
    with pytest.raises(asyncssh.ChannelOpenError):
        await connection.open_connection("127.0.0.1", front.port)
    with pytest.raises(asyncssh.ChannelListenError):
        await connection.start_server(lambda *_: None, "127.0.0.1", 0)
    with pytest.raises(asyncssh.ChannelOpenError):
        await connection.open_unix_connection("/tmp/x")
    with pytest.raises(asyncssh.ChannelOpenError):
        await connection.create_tun(asyncssh.SSHTunTapSession)
    requests: list[dict[str, Any]] = [{}, {"command": "sh -c 'cat /etc/passwd'"}, {"term_type": "xterm"}]
    for options in requests:
        try:
            ended = await connection.run(**options, input="", timeout=5)
        except asyncssh.ChannelOpenError:
            assert "term_type" in options
            continue
        assert (ended.exit_status, ended.stdout) == (1, "")
        assert ended.stderr == "this service only accepts SFTP uploads\n"


async def test_other_subsystems_are_refused(front: Front, campaign: str, ed25519_key: KeyPair) -> None:
    connection = await front.connect(campaign, ed25519_key)
    with pytest.raises(asyncssh.ChannelOpenError):
        await connection.create_session(asyncssh.SSHClientSession, subsystem="netconf")


async def test_a_pty_is_not_given(front: Front, campaign: str, ed25519_key: KeyPair) -> None:
    ended = await front.ssh(campaign, ed25519_key, options=["-tt"])
    assert ended.status != 0
    assert "PTY allocation request failed" in ended.stderr


async def test_a_spool_folder_that_cannot_be_made_is_one_clear_line(
    node: Settings, pool: Pool, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="the spool folder"):
        async with running_front(change_sftp(node, spool_dir=tmp_path / "file" / "spool"), pool):
            pass

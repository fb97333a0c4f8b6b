"""What is overridden of asyncssh's connection, tried by clients that misbehave. Each test fails when asyncssh changes."""

import asyncio
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import String, UInt32

from config.errors import ConfigurationError
from config.settings import Settings
from database.connections import Pool
from tests.conftest import KeyPair
from tests.sftpd.boxes import running_box
from tests.sftpd.fronts import Front, change_sftp, running_front


class Misbehaving(asyncssh.SSHClient):
    """A client that does something odd each time it is asked for a key."""

    conn: asyncssh.SSHClientConnection

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.conn = conn

    # Whether it then waits for what the front makes of it. What a front has not read when it ends a connection may cost the
    # client its last words.
    waits = False

    async def public_key_auth_requested(self) -> asyncssh.SSHKey | None:
        self.misbehave()
        if self.waits:
            await asyncio.sleep(60)
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
    waits = True

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
    await asyncio.wait_for(connection.wait_closed(), 30)


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


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
async def test_a_key_exchange_takes_as_many_units_as_it_costs(tmp_path: Path) -> None:
    async with running_box(tmp_path / "spool") as box:
        for algorithm, units in (
            ("curve25519-sha256", 1),
            ("diffie-hellman-group16-sha512", 2),
            ("diffie-hellman-group18-sha512", 6),
        ):
            before = box.pacer._units
            await box.connect(kex_algs=[algorithm])
            assert before - box.pacer._units == units, algorithm

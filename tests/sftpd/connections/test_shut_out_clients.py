"""Shut-outs and the PROXY protocol, tried with real connections from other loopback addresses."""

import asyncio
import contextlib

import asyncssh
import pytest
from structlog.testing import capture_logs

from config.settings import Settings
from database.connections import Pool
from tests.conftest import KeyPair
from tests.sftpd.fronts import Front, change_sftp, counted, eventually, running_front

ATTACKER, CUSTOMER = "127.0.0.7", "127.0.0.8"
BALANCER = "127.0.0.9"


async def fail_to_log_in(front: Front, user: str, key: KeyPair, source: str) -> None:
    async with counted(outcome="login_refused"):
        with pytest.raises(asyncssh.PermissionDenied):
            await front.connect(user, key, source=source)


async def is_shut_out(front: Front, user: str, key: KeyPair, source: str) -> bool:
    """Whether even a right key is refused."""
    try:
        connection = await front.connect(user, key, source=source)
    except asyncssh.DisconnectError as error:
        return "too many failed logins from this address" in error.reason
    connection.abort()
    return False


async def test_ten_failures_shut_an_address_out_and_no_other(
    front: Front, campaign: str, ed25519_key: KeyPair, other_key: KeyPair
) -> None:
    for _ in range(10):
        await fail_to_log_in(front, campaign, other_key, ATTACKER)
    assert await is_shut_out(front, campaign, ed25519_key, ATTACKER)
    assert not await is_shut_out(front, campaign, ed25519_key, CUSTOMER)


async def test_a_success_clears_the_count(
    front: Front, campaign: str, ed25519_key: KeyPair, other_key: KeyPair
) -> None:
    for _ in range(2):
        for _ in range(9):
            await fail_to_log_in(front, campaign, other_key, ATTACKER)
        assert not await is_shut_out(front, campaign, ed25519_key, ATTACKER)


async def test_a_connection_counts_once_however_many_keys_it_tried(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    wrong = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(5)]
    async with running_front(change_sftp(node, shutout_failures=2), pool) as front:
        async with counted(outcome="login_refused"):
            with pytest.raises(asyncssh.PermissionDenied):
                await front.connect(campaign, None, client_keys=wrong, source=ATTACKER)
        assert not await is_shut_out(front, campaign, ed25519_key, ATTACKER)


@pytest.mark.parametrize("trusted", [f"{ATTACKER}/32", f"::ffff:{ATTACKER}"])
async def test_a_trusted_address_is_never_shut_out(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair, other_key: KeyPair, trusted: str
) -> None:
    changed = change_sftp(node, shutout_failures=2, trusted_addresses=[trusted])
    async with running_front(changed, pool) as front:
        for _ in range(4):
            await fail_to_log_in(front, campaign, other_key, ATTACKER)
        assert not await is_shut_out(front, campaign, ed25519_key, ATTACKER)


async def test_a_bare_probe_and_an_abandoned_key_exchange_count_for_nothing(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, shutout_failures=2), pool) as front:
        for words in (b"", b"", b"SSH-2.0-monitor\r\n", b"SSH-2.0-monitor\r\n", b"GET /\r\n"):
            async with counted():
                reader, writer = await front.connect_bare(ATTACKER)
                await reader.readline()
                writer.write(words)
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        assert not await is_shut_out(front, campaign, ed25519_key, ATTACKER)


async def test_a_shut_out_ends(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair, other_key: KeyPair
) -> None:
    changed = change_sftp(node, shutout_failures=2, shutout_duration=0.5)
    async with running_front(changed, pool) as front:
        with capture_logs() as logs:
            for _ in range(2):
                await fail_to_log_in(front, campaign, other_key, ATTACKER)
        # A connection that shows it might come too late on a busy machine, and is shown above.
        assert [line["seconds"] for line in logs if line["event"] == "address_shut_out"] == [0.5]
        async with asyncio.timeout(30):
            while await is_shut_out(front, campaign, ed25519_key, ATTACKER):  # noqa: ASYNC110 - time ends it, nobody tells
                await asyncio.sleep(0.05)


async def test_failed_user_names_are_logged_escaped_and_cut(front: Front, ed25519_key: KeyPair) -> None:
    with capture_logs() as logs:
        await fail_to_log_in(front, 'é"' + "y" * 200, ed25519_key, ATTACKER)
        await eventually(lambda: any(line["event"] == "login_refused" for line in logs))
    (name,) = [line["user_name"] for line in logs if line["event"] == "login_refused"]
    assert name.startswith('\\xe9"yyy')
    assert len(name) == 64


class ControlCharacters(asyncssh.SSHClient):
    """asyncssh's client would refuse to send such a name."""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        conn._username = "x\x1b[31m"


async def test_a_name_with_control_characters_is_a_failed_login_and_leaves_no_trace_in_the_log(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, shutout_failures=2), pool) as front:
        with capture_logs() as logs:
            async with counted(2, outcome="login_refused"):
                for _ in range(2):
                    with pytest.raises(asyncssh.DisconnectError, match="no user name of this service"):
                        await front.connect(
                            "x", ed25519_key, source=ATTACKER, client_factory=ControlCharacters
                        )
        assert await is_shut_out(front, campaign, ed25519_key, ATTACKER)
        assert "31m" not in str(logs)


async def speak(front: Front, header: bytes, source: str) -> bytes:
    """What the server answers to these first bytes, up to its version line or the end."""
    reader, writer = await front.connect_bare(source)
    writer.write(header)
    try:
        async with asyncio.timeout(30):
            return await reader.readline()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def log_in_through_balancer(
    front: Front, user: str, key: KeyPair, header: bytes, source: str = BALANCER
) -> asyncssh.SSHClientConnection:
    """Log in behind a PROXY header that goes out in the same packet as the client's first bytes."""

    class HeaderFirst(asyncssh.SSHClient):
        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            transport = conn._transport
            assert transport is not None
            transport.write(header)

    return await front.connect(user, key, source=source, client_factory=HeaderFirst)


HEADER_1 = b"PROXY TCP4 192.0.2.77 10.0.0.1 51000 22\r\n"


async def test_behind_a_listed_load_balancer_the_header_tells_the_address(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, proxy_protocol_from=[BALANCER]), pool) as front:
        await log_in_through_balancer(front, campaign, ed25519_key, HEADER_1)
        await eventually_recorded(pool, "login_accepted")
        assert await pool.fetchval(
            "select host(source_address) from audit_events where event = 'login_accepted'"
        ) == ("192.0.2.77")


async def eventually_recorded(pool: Pool, event: str) -> None:
    async with asyncio.timeout(30):
        while not await pool.fetchval("select count(*) from audit_events where event = $1", event):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_failures_behind_a_load_balancer_shut_out_the_client_not_the_balancer(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair, other_key: KeyPair
) -> None:
    changed = change_sftp(node, proxy_protocol_from=[BALANCER], shutout_failures=2)
    async with running_front(changed, pool) as front:
        async with counted(2, outcome="login_refused"):
            for _ in range(2):
                with pytest.raises(asyncssh.PermissionDenied):
                    await log_in_through_balancer(front, campaign, other_key, HEADER_1)
        with pytest.raises(asyncssh.DisconnectError, match="too many failed logins"):
            await log_in_through_balancer(front, campaign, ed25519_key, HEADER_1)
        await log_in_through_balancer(
            front, campaign, ed25519_key, b"PROXY TCP4 192.0.2.78 10.0.0.1 51000 22\r\n"
        )


async def test_a_listed_load_balancer_must_send_a_header(node: Settings, pool: Pool) -> None:
    async with running_front(change_sftp(node, proxy_protocol_from=[BALANCER]), pool) as front:
        assert await speak(front, b"SSH-2.0-x\r\n", BALANCER) == b""
        assert await speak(front, b"PROXY nonsense\r\n", BALANCER) == b""
        assert await speak(front, HEADER_1, BALANCER) == b"SSH-2.0-SFTP\r\n"
        assert await speak(front, b"", CUSTOMER) == b"SSH-2.0-SFTP\r\n"


async def test_a_header_from_anybody_else_is_not_believed(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, proxy_protocol_from=[BALANCER]), pool) as front:
        with pytest.raises((asyncssh.DisconnectError, ConnectionError)):
            await log_in_through_balancer(front, campaign, ed25519_key, HEADER_1, source=ATTACKER)


async def test_a_header_in_pieces_is_waited_for_and_a_load_balancers_own_check_passes(
    node: Settings, pool: Pool
) -> None:
    async with running_front(change_sftp(node, proxy_protocol_from=[BALANCER]), pool) as front:
        reader, writer = await front.connect_bare(BALANCER)
        for piece in (HEADER_1[:3], HEADER_1[3:20], HEADER_1[20:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.03)
        async with asyncio.timeout(30):
            assert await reader.readline() == b"SSH-2.0-SFTP\r\n"
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        local = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
        assert await speak(front, local, BALANCER) == b"SSH-2.0-SFTP\r\n"

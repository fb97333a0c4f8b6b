"""A crowd of attackers, as a process: `python -m tests.sftpd.attackers PORT USER`. It prints a line when it has connected.

300 connections from 60 loopback addresses say nothing, or rubbish, and come again when they are thrown out. In addition there
are 20 logins a second with wrong keys, from 190 more addresses so that no shut-out helps.
"""

import asyncio
import contextlib
import os
import sys

import asyncssh

IDLE, WRONG_PER_SECOND = 300, 20
IDLE_ADDRESSES, WRONG_ADDRESSES = 60, 190


def address(number: int) -> str:
    """A loopback address of its own, 127.0.1.1 and on."""
    return f"127.0.{1 + number // 250}.{number % 250 + 1}"


async def stay_idle(port: int, number: int) -> None:
    """Connect, say nothing or rubbish, and come again when thrown out."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(address(number % IDLE_ADDRESSES), 0)
            )
            if number % 3 == 0:
                writer.write(os.urandom(500))
            await reader.read()
            writer.close()
        await asyncio.sleep(1)


async def try_wrong_key(port: int, user: str, key: asyncssh.SSHKey, source: str) -> None:
    """One failed login."""
    with contextlib.suppress(OSError, asyncssh.Error):
        await asyncssh.connect(
            *("127.0.0.1", port),
            username=user,
            client_keys=[key],
            known_hosts=None,
            config=None,
            agent_path=None,
            local_addr=(source, 0),
        )


async def main(port: int, user: str) -> None:
    """Attack until killed."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with asyncio.TaskGroup() as tasks:
        for number in range(IDLE):
            tasks.create_task(stay_idle(port, number))
        await asyncio.sleep(1)
        print("there", flush=True)
        for number in range(1_000_000):
            source = address(IDLE_ADDRESSES + number % WRONG_ADDRESSES)
            tasks.create_task(try_wrong_key(port, user, key, source))
            await asyncio.sleep(1 / WRONG_PER_SECOND)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))

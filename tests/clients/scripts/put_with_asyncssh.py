"""An agency's script with asyncssh: host, port, campaign, key, known_hosts, path, name, flow [bytes]."""

import asyncio
import sys
from pathlib import Path

import asyncssh

host, port, campaign, key, known_hosts, path, name, flow, *after = sys.argv[1:]
content = Path(path).read_bytes()

# By default it sends all at once, in blocks of megabytes: nothing is left to break off.
BLOCK, REQUESTS = 32768, 4


def fail(_source: bytes, _target: bytes, sent: int, _total: int) -> None:
    """Die in the middle of the upload."""
    if sent >= int(after[0]):
        raise RuntimeError("the script fails here")


async def send() -> None:
    connection = asyncssh.connect(
        host, int(port), username=campaign, client_keys=[key], known_hosts=known_hosts, agent_path=None
    )
    async with connection as client, client.start_sftp_client() as sftp:
        match flow:
            case "put":
                await sftp.put(path, name)
            case "gently":
                await sftp.put(path, name, block_size=BLOCK, max_requests=REQUESTS)
            case "rename":
                await sftp.put(path, f"{name}.tmp")
                await sftp.posix_rename(f"{name}.tmp", name)
            case "resume":
                # Mode "a" would send every block with the offset 0.
                offset = (await sftp.stat(name)).size or 0
                async with sftp.open(
                    name, asyncssh.FXF_WRITE, encoding=None, block_size=BLOCK, max_requests=REQUESTS
                ) as remote:
                    await remote.write(content[offset:], offset)
            case "fail":
                await sftp.put(path, name, progress_handler=fail, block_size=BLOCK, max_requests=REQUESTS)
            case _:
                sys.exit(f"no such flow: {flow}")


asyncio.run(send())

"""A flood of wrong keys, as a program of its own: it says what it sent and what it was answered when its input ends."""

import asyncio
import contextlib
import sys

CONNECTIONS = 64
AHEAD = 10
# Not where the callers come from that must not be slowed down.
SOURCE = "127.0.0.9"


async def main(port: int, request: bytes) -> None:
    """Keep so many requests waiting for their answers on each connection, until the input ends."""
    sent = answered = 0

    async def flood() -> None:
        nonlocal sent, answered
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(SOURCE, 0))
                try:
                    writer.write(request * AHEAD)
                    sent += AHEAD
                    while received := await reader.read(65536):
                        count = received.count(b"HTTP/1.1 401 ")
                        answered += count
                        writer.write(request * count)
                        sent += count
                finally:
                    writer.close()

    tasks = [asyncio.create_task(flood()) for _ in range(CONNECTIONS)]
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(sent, answered, flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2].encode().replace(b"|", b"\r\n")))

"""Bodies of multipart/form-data as clients of a batch send make them, and worse ones."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

from tests.api.client import APIClient

Connected: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

BOUNDARY = "8f5c1d"
MEDIA_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
GOOD = "recipient,language,name\r\n6591234567,english,Tan\r\n6591234568,chinese,陈\r\n".encode()
BAD = "recipient,language,name\r\n+6591234567,english,Tan\r\n6591234568,chinese,\r\n6591234568,chinese,陈\r\n".encode()


def part(content: bytes, disposition: str = 'form-data; name="file"; filename="appointments.csv"') -> bytes:
    """A part, with the boundary before it."""
    return (
        f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Type: text/csv\r\n\r\n".encode()
        + content
        + b"\r\n"
    )


def body(*parts: bytes) -> bytes:
    """A whole body."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def form(content: bytes, name: str = "appointments.csv", others: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """A body with this file, after other fields."""
    fields = [part(value, f'form-data; name="{field}"') for field, value in others]
    return body(*fields, part(content, f'form-data; name="file"; filename="{name}"'))


@asynccontextmanager
async def begun(
    client: APIClient, beginning: bytes, length: int | None = None, media_type: str = MEDIA_TYPE
) -> AsyncIterator[Connected]:
    """A batch send of which so much was said, on an open connection: with that length, or in chunks, of which this is the first.

    Reading its end takes no more than 30 s.
    """
    reader, writer = await asyncio.open_connection(client.host, client.port)
    sized = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    lines = [
        f"POST /api/v2/campaigns/{client.campaign_id}/batch/messages HTTP/1.1",
        f"Host: x\r\nAuthorization: Bearer {client.key}\r\nConnection: close",
        f"Content-Type: {media_type}\r\n{sized}\r\n\r\n",
    ]
    try:
        async with asyncio.timeout(30):
            writer.write("\r\n".join(lines).encode() + beginning)
            await writer.drain()
            yield reader, writer
    finally:
        writer.close()


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body; the one without bytes is the last."""
    return b"%x\r\n%s\r\n" % (len(data), data)


HEADERS = {"Content-Type": MEDIA_TYPE}

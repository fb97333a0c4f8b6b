"""Random and mutated SFTP packet streams against the drop box, through a raw SSH subsystem channel.

`python -m tests.sftpd.fuzz_packets --runs 20000 [--seed N]`. A run fails on an unhandled exception (an event of kind
internal_error), a hang, a file outside the drop box, an exception's text in an answer, or bytes stored that were not
closed by the client. The seed is printed: the same one sends the same streams.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import asyncssh
import structlog
from asyncssh.packet import Byte, String, UInt32, UInt64

from tests.sftpd.boxes import CAMPAIGN, Box, running_box

ANSWER_SECONDS: Final = 20
# Words that only come from a Python exception, asyncssh or the machine.
LEAKS: Final = (
    b"Uncaught",
    b"Traceback",
    b"Error",
    b"Errno",
    b"expected",
    b"codec",
    b"asyncssh",
    b"AsyncSSH",
    b"NoneType",
    b"/tmp",
    b"sftpd",
    b"Incomplete",
    b"Unsupported",
)
NAMES: Final = (
    b"x.csv",
    b"/x.csv",
    b"./x.csv",
    b"y.csv",
    b"x.csv.filepart",
    b"x.csv.part",
    b".x.csv",
    b"x.txt",
    b"/",
    b"",
    b".",
    b"..",
    b"../x.csv",
    b"/etc/passwd",
    b"a/../x.csv",
    b"\xff\xfe",
    b"a\0b.csv",
    b"\xe2\x80\xaev.csv",
    b"n" * 300 + b".csv",
)
EXTENSIONS: Final = (
    b"posix-rename@openssh.com",
    b"hardlink@openssh.com",
    b"fsync@openssh.com",
    b"lsetstat@openssh.com",
    b"limits@openssh.com",
    b"statvfs@openssh.com",
    b"fstatvfs@openssh.com",
    b"copy-data",
    b"ranges@asyncssh.com",
    b"check-file",
    b"",
)
NUMBERS: Final = (0, 1, 4_096, 16_384, 32_768, 261_120, 2**20, 2**31, 2**32 - 1)
OFFSETS: Final = (*NUMBERS, 2**63, 2**64 - 1, 30 * 2**20 - 1, 30 * 2**20)


class LeakError(AssertionError):
    """An answer told the client what it must not know."""


class Streams:
    """Makes packets, some sensible and others not."""

    def __init__(self, source: random.Random) -> None:
        self.source = source

    def attributes(self) -> bytes:
        flags = self.source.choice((0, 0, 1, 2, 4, 8, 0xC, 0xF, 0x80000000, self.source.getrandbits(32)))
        body = UInt32(flags)
        if flags & 1:
            body += UInt64(self.source.choice(OFFSETS))
        if flags & 2:
            body += UInt32(0) + UInt32(0)
        if flags & 4:
            body += UInt32(self.source.getrandbits(32))
        if flags & 8:
            body += UInt32(self.source.choice(NUMBERS)) + UInt32(self.source.choice(NUMBERS))
        if flags & 0x80000000:
            body += UInt32(1) + String("a") + String("b")
        return body

    def handle(self) -> bytes:
        number = self.source.choice((0, 0, 0, 1, 1, 2, 3, 20, 2**32 - 1))
        return String(self.source.choice((UInt32(number), UInt32(number), UInt32(number), b"", b"h" * 300)))

    def name(self) -> bytes:
        return String(self.source.choice(NAMES))

    def content(self) -> bytes:
        return String(b"6" * self.source.choice((0, 1, 100, 4_096, 16_384, 32_768)))

    def extended(self) -> bytes:
        kind = self.source.choice(EXTENSIONS)
        arguments = (self.name, self.handle, self.attributes, lambda: UInt64(self.source.choice(OFFSETS)))
        chosen = [self.source.choice(arguments)() for _ in range(self.source.randrange(4))]
        return String(kind) + b"".join(chosen)

    def packet(self) -> tuple[int, bytes]:
        """A packet's type and its body after the request id."""
        flags = UInt32(self.source.choice((0x1A, 0x1A, 0x1A, 0x0A, 0x02, 0x0E, 0x1B, 0x01, 0x3A, 0)))
        offset = UInt64(self.source.choice(OFFSETS[:4] if self.source.random() < 0.7 else OFFSETS))
        makers: dict[int, Callable[[], bytes]] = {
            3: lambda: self.name() + flags + self.attributes(),
            4: self.handle,
            5: lambda: self.handle() + offset + UInt32(100),
            6: lambda: self.handle() + offset + self.content(),
            7: self.name,
            8: self.handle,
            9: lambda: self.name() + self.attributes(),
            10: lambda: self.handle() + self.attributes(),
            11: self.name,
            12: self.handle,
            13: self.name,
            14: lambda: self.name() + self.attributes(),
            15: self.name,
            16: self.name,
            17: self.name,
            18: lambda: self.name() + self.name(),
            19: self.name,
            20: lambda: self.name() + self.name(),
            200: self.extended,
        }
        kind = self.source.choice((*makers, 3, 3, 6, 6, 6, 4, 4, 18))
        return kind, makers[kind]()

    def mutate(self, body: bytes) -> bytes:
        """Sometimes cut, lengthen or change a packet's body."""
        changed = bytearray(body)
        match self.source.randrange(16):
            case 0:
                del changed[self.source.randrange(len(changed) + 1) :]
            case 1:
                changed += self.source.randbytes(self.source.randrange(1, 20))
            case 2 if changed:
                for _ in range(self.source.randrange(1, 4)):
                    changed[self.source.randrange(len(changed))] = self.source.randrange(256)
            case 3:
                changed = bytearray(self.source.randbytes(self.source.randrange(60)))
            case _:
                pass
        return bytes(changed)

    def stream(self) -> tuple[bytes, int]:
        """A whole stream, and the number of answers that a client would wait for; -1 where its framing is broken."""
        if self.source.random() < 0.03:
            return self.source.randbytes(self.source.randrange(200)), -1
        version = self.source.choice((3,) * 20 + (0, 1, 2, 4, 6, 2**32 - 1))
        frames = [framed(Byte(1) + UInt32(version))]
        answers = 1
        if self.source.random() < 0.5:
            name = self.source.choice(NAMES[:7])
            flags = UInt32(self.source.choice((0x1A, 0x0A)))
            frames.append(framed(Byte(3) + UInt32(99) + String(name) + flags + UInt32(0)))
            answers += 1
        for number in range(self.source.randrange(1, 14)):
            kind, body = self.packet()
            if self.source.random() < 0.03:
                kind = self.source.randrange(256)
            frames.append(framed(Byte(kind) + UInt32(number) + self.mutate(body)))
            answers += 1
        if version < 3:
            answers = -1
        if self.source.random() < 0.05:
            frames.append(UInt32(self.source.choice((0, 1, 3, 100, 2**22 + 1025, 2**32 - 1))) + b"\0")
            answers = -1
        return b"".join(frames), answers


def framed(packet: bytes) -> bytes:
    """A packet with its length before it."""
    return UInt32(len(packet)) + packet


async def run_stream(connection: asyncssh.SSHClientConnection, stream: bytes, answers: int) -> None:
    """Send one stream on a channel of its own, and read everything that comes. Raises LeakError, TimeoutError."""
    writer, reader, stderr = await connection.open_session(subsystem="sftp", encoding=None)
    writer.write(stream)
    async with asyncio.timeout(ANSWER_SECONDS):
        told = b""
        with suppress(asyncio.IncompleteReadError):
            for _ in range(max(answers, 0)):
                length = int.from_bytes(await reader.readexactly(4), "big")
                told += await reader.readexactly(length)
        writer.write_eof()
        told += await reader.read() + await stderr.read()
        await writer.channel.wait_closed()
    for leak in LEAKS:
        if leak in told.replace(b"/etc/passwd", b""):
            raise LeakError(leak, told[max(0, told.find(leak) - 100) :][:200])


class FaultCounter:
    """Collects the log's internal errors, as processors of structlog see them."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def __call__(
        self, _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        if event["event"] in {"internal_error", "refusal_unreported", "spool_sweep_failed"}:
            self.faults.append(repr(event) + repr(sys.exc_info()))
        raise structlog.DropEvent


def check_files(box: Box, around: Path) -> None:
    """Nothing lies outside the one campaign's folder, and nothing in it is but random names."""
    root = box.settings.spool_dir
    for path in around.rglob("*"):
        inside = path in (root, root / CAMPAIGN) or path.parent == root / CAMPAIGN
        random_name = path.is_dir() or (len(path.stem) == 32 and set(path.stem) <= set("0123456789abcdef"))
        if not inside or not random_name:
            raise LeakError("a file outside the drop box", str(path))


async def fuzz(runs: int, seed: int) -> int:
    """Send that many streams. Raises at the first error, telling the run's number. Returns how many uploads were stored."""
    counter = FaultCounter()
    structlog.configure(processors=[counter], cache_logger_on_first_use=False)
    with tempfile.TemporaryDirectory() as folder:
        around = Path(folder) / "around"
        around.mkdir()
        async with running_box(around / "spool", max_partials_per_campaign=6, max_handles=5) as box:
            connection = await box.connect()
            stored = 0
            for number in range(runs):
                stream, answers = Streams(random.Random(f"{seed}/{number}")).stream()
                try:
                    if connection.is_closed():
                        raise LeakError("the connection was ended", "")
                    await run_stream(connection, stream, answers)
                    if counter.faults:
                        raise LeakError("an unhandled exception", counter.faults[0])
                except (LeakError, TimeoutError, asyncssh.Error) as error:
                    message = f"run {number} of seed {seed}: {error!r}"
                    raise AssertionError(message) from error
                if number % 500 == 499:
                    check_files(box, around)
                    stored += len(box.intake.stored)
                    box.intake.listed.clear()
                    box.intake.stored.clear()
                    print(f"{number + 1} streams", file=sys.stderr, flush=True)
            check_files(box, around)
            connection.close()
            await connection.wait_closed()
            await box.wait_cut()
            session = box.sessions[0]
            if (session.open_handles, session.active_uploads) != (0, 0):
                raise LeakError("handles left", f"{session.open_handles} {session.active_uploads}")
            return stored + len(box.intake.stored)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr, flush=True)
    stored = asyncio.run(fuzz(given.runs, given.seed))
    print(f"{given.runs} streams, no fault; they completed {stored} uploads")


if __name__ == "__main__":
    main()

"""Reads a multipart/form-data body while it comes in: its one file goes into a nameless temporary file, and of other parts only
short texts are kept.

Neither the body nor the file is ever whole in memory, and whatever ends this process leaves nothing behind on the disk.
"""

import asyncio
import contextlib
import hashlib
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

# RFC 2046 §5.1.1.
_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_MOST_OTHER_PARTS: Final = 3
_MOST_OTHER_BYTES: Final = 1024
# So much is gathered before a thread writes and hashes it. The pieces are the ones that came, not copies.
_GATHERED_BYTES: Final = 256 * 1024
_GATHERED_PIECES: Final = 256
_MALFORMED: Final = "the body is no well-formed multipart/form-data"


class BodyRefused(Exception):  # noqa: N818 - a fact about a request
    """The body can't be taken: `status` and `message`, one sentence, say why."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """The part named `file`, whole. `file` is the caller's to close; `sha256` (hex) is its content's.

    `fields`: the other parts by their names, as what their bytes are in UTF-8, where they are.
    """

    file: BinaryIO
    file_name: str
    byte_count: int
    sha256: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """`most_body`: bytes that a whole body may have. `file_refused_from`: the first size of a file that is refused."""

    most_body: int
    file_refused_from: int


def parse_boundary(content_type: str) -> bytes:
    """The boundary that a Content-Type names. Raises BodyRefused: 415 for another media type, 400 for no usable boundary."""
    kind, options = parse_options_header(content_type)
    if kind.strip().lower() != b"multipart/form-data":
        raise BodyRefused(415)
    boundary = options.get(b"boundary", b"")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise BodyRefused(
            400, "the Content-Type names no boundary of 1 to 70 characters that RFC 2046 allows"
        )
    return boundary


@contextlib.asynccontextmanager
async def received_file(
    chunks: AsyncIterator[bytes], boundary: bytes, limits: BodyLimits, check_name: Callable[[str], None]
) -> AsyncIterator[ReceivedFile]:
    """Read the body to its end; its file is open until the end of the block.

    `check_name` is called as soon as the file's name is known, and raises what ends the reading. Raises BodyRefused, with 503
    where this machine has no room for the file; and whatever `chunks` raises.
    """
    with _open_spool() as spool:
        body = _Body(boundary, limits, spool, check_name)
        async for chunk in chunks:
            body.take(chunk)
            if body.gathered_enough:
                with _machine_troubles():
                    await asyncio.to_thread(body.write_gathered)
            else:
                # What has come already is given without a pause, and others want their turn too.
                await asyncio.sleep(0)
        with _machine_troubles():
            await asyncio.to_thread(body.write_gathered)
        yield body.finish()


class _Body:
    """What has been read of a body."""

    def __init__(
        self, boundary: bytes, limits: BodyLimits, spool: BinaryIO, check_name: Callable[[str], None]
    ) -> None:
        self._limits: Final = limits
        self._spool: Final = spool
        self._check_name: Final = check_name
        self._parser: Final = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._take_field,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._take_data,
                "on_end": self._end,
            },
        )
        self._body_bytes = 0
        self._digest: Final = hashlib.sha256()
        self._gathered: list[memoryview] = []
        self._gathered_bytes = 0
        self._file_name: str | None = None
        self._file_bytes = 0
        self._parts = 0
        # Of the part that is being read.
        self._is_file = False
        self._other_bytes = 0
        self._others: Final[dict[bytes, bytearray]] = {}
        self._other = bytearray()
        self._field = self._value = b""
        self._disposition: bytes | None = None
        self._has_ended = False

    @property
    def gathered_enough(self) -> bool:
        """Whether it is worth a thread's while to write what has been gathered."""
        return self._gathered_bytes >= _GATHERED_BYTES or len(self._gathered) >= _GATHERED_PIECES

    def take(self, chunk: bytes) -> None:
        """Read on. Raises BodyRefused, or what the check of the name raises."""
        self._body_bytes += len(chunk)
        if self._body_bytes > self._limits.most_body:
            raise BodyRefused(413)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise BodyRefused(400, _MALFORMED) from None

    def write_gathered(self) -> None:
        """Write and hash what has been gathered; in a thread of its own, while nothing more is taken."""
        for piece in self._gathered:
            self._digest.update(piece)
            self._spool.write(piece)
        self._gathered.clear()
        self._gathered_bytes = 0

    def finish(self) -> ReceivedFile:
        """The file, at the body's end. Raises BodyRefused where that is no end, or there was no file."""
        if not self._has_ended:
            raise BodyRefused(400, f"{_MALFORMED}: it ends before its last boundary")
        if self._file_name is None:
            raise BodyRefused(400, 'the part "file" is missing')
        self._spool.seek(0)
        fields = {name.decode("utf-8", "replace"): _text(value) for name, value in self._others.items()}
        return ReceivedFile(self._spool, self._file_name, self._file_bytes, self._digest.hexdigest(), fields)

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > 1 + _MOST_OTHER_PARTS:
            raise BodyRefused(400, f'there are more than {_MOST_OTHER_PARTS} parts beside the part "file"')
        self._is_file = False
        self._other_bytes = 0
        self._disposition = None

    def _take_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            if self._disposition is not None:
                raise BodyRefused(400, "a part has more than one Content-Disposition")
            self._disposition = self._value
        self._field = self._value = b""

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._disposition or b"")
        if kind.strip().lower() != b"form-data" or b"name" not in options:
            raise BodyRefused(400, "a part has no Content-Disposition of form-data with a name")
        if options[b"name"] != b"file":
            self._other = self._others.setdefault(options[b"name"], bytearray())
            return
        if self._file_name is not None:
            raise BodyRefused(400, 'there is more than one part "file"')
        try:
            name = options.get(b"filename", b"").decode()
        except UnicodeDecodeError:
            raise BodyRefused(400, 'the filename of the part "file" is not UTF-8') from None
        self._check_name(name)
        self._file_name = name
        self._is_file = True

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._other_bytes += end - start
            if self._other_bytes > _MOST_OTHER_BYTES:
                raise BodyRefused(
                    400, f'a part beside the part "file" has more than {_MOST_OTHER_BYTES} bytes'
                )
            self._other += data[start:end]
            return
        self._file_bytes += end - start
        if self._file_bytes >= self._limits.file_refused_from:
            raise BodyRefused(413)
        self._gathered.append(memoryview(data)[start:end])
        self._gathered_bytes += end - start

    def _end(self) -> None:
        self._has_ended = True


def _text(value: bytearray) -> str:
    return value.decode("utf-8", "replace")


def _open_spool() -> BinaryIO:
    with _machine_troubles():
        return tempfile.TemporaryFile(prefix="sftp-gateway-")


@contextlib.contextmanager
def _machine_troubles() -> Iterator[None]:
    """A disk without room is no fault of the body's, and passes."""
    try:
        yield
    except OSError:
        raise BodyRefused(503) from None

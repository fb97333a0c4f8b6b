"""What the packet handler relies on inside asyncssh. When one of these fails, read the new source before changing it here."""

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest
from asyncssh.constants import FXF_CREAT, FXF_TRUNC, FXF_WRITE
from asyncssh.sftp import SFTPHandler, SFTPServerHandler
from asyncssh.stream import SSHServerStreamSession

from tests.sftpd.boxes import csv_of, running_box

READ_IN = "2.24.1"
RELIED_ON = [
    (SFTPHandler.recv_packet, "d811faaea31cc51c"),
    (SFTPHandler.recv_packets, "f1c5fb1ba31b4800"),
    (SFTPHandler.send_packet, "0c22ab5cc5f282e9"),
    (SFTPHandler._cleanup, "eaa55b8012f17ab5"),
    (SFTPServerHandler.__init__, "c6d824a26f61232e"),
    (SFTPServerHandler._cleanup, "620706aba4753e82"),
    (SFTPServerHandler._process_open, "de593bd0384f9f49"),
    (SFTPServerHandler._process_close, "51ec1a5405ff2e30"),
    (SFTPServerHandler._process_packet, "4e7c6b60e5c9dd26"),
    (SFTPServerHandler._process_write, "8057f08f13ae0d06"),
    (SFTPServerHandler._process_rename, "bafc02591a14df58"),
    (SFTPServerHandler._process_opendir, "edbe8f8a79909dda"),
    (SFTPServerHandler._process_readdir, "c062f26f6487cd47"),
    (SFTPServerHandler.run, "3da2d6cb349ee98f"),
    (SSHServerStreamSession.session_started, "9baa3d185c0a7fb2"),
]


@pytest.mark.parametrize(
    ("method", "digest"), RELIED_ON, ids=lambda value: getattr(value, "__qualname__", None)
)
def test_asyncssh_is_what_was_read(method: Callable[..., object], digest: str) -> None:
    source = inspect.getsource(method)
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == digest, (
        f"{method.__qualname__} changed since asyncssh {READ_IN} (now {asyncssh.__version__}): "
        "see whether sftpd.session.packet_handler still tells the client's CLOSE from a clean-up"
    )


def test_requests_that_asyncssh_knows_are_all_judged() -> None:
    """A new kind of request is served only after somebody has looked at it."""
    kinds = sorted(str(kind) for kind in SFTPServerHandler._packet_handlers)
    digest = hashlib.sha256(" ".join(kinds).encode()).hexdigest()[:16]
    assert digest == "059e2de8d27e3a17", kinds


async def test_a_clean_up_is_not_a_close(tmp_path: Path) -> None:
    """The channel's regular end, with exit status 0, leaves open handles unprocessed."""
    async with running_box(tmp_path / "spool") as box:
        connection = await box.connect()
        sftp = await connection.start_sftp_client()
        client = sftp._handler
        handle = await client.open(b"x.csv", FXF_WRITE | FXF_CREAT | FXF_TRUNC, asyncssh.SFTPAttrs())
        await client.write(handle, 0, csv_of(5_000))
        sftp.exit()
        await sftp.wait_closed()
        await box.wait_cut()
        assert box.intake.stored == []
        assert box.sessions[0].open_handles == 0
        again = await box.client()
        assert (await again.stat(b"x.csv", 0)).size == 5_000

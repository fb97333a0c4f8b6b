"""What sftpd overrides and relies on inside asyncssh. Where a test fails, read the new source before changing it here."""

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest
from asyncssh.channel import SSHChannel
from asyncssh.connection import SSHConnection, SSHServerConnection
from asyncssh.constants import FXF_CREAT, FXF_TRUNC, FXF_WRITE
from asyncssh.logging import SSHLogger
from asyncssh.sftp import SFTPHandler, SFTPServerHandler
from asyncssh.stream import SSHServerStreamSession, SSHStreamSession

from tests.sftpd.boxes import csv_of, running_box

READ_IN = "2.24.1"
RELIED_ON = [
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
    (SSHStreamSession.eof_received, "e78304778312f1a5"),
    (SSHStreamSession.connection_lost, "c015e4ebb89ef401"),
    (SSHChannel.__init__, "c9834d9302839e71"),
    (SSHChannel._accept_data, "33121e9e185c9850"),
    (SSHChannel._deliver_data, "bd94ccbaa59ab510"),
    (SSHChannel._flush_recv_buf, "22d7ff2363a4d38d"),
    (SSHChannel._flush_send_buf, "3f11e9dc27c58b18"),
    (SSHChannel._process_data, "342490795c4b893c"),
    (SSHChannel._service_next_request, "386db1498a953902"),
    (SSHChannel._report_response, "b1278076178741d3"),
    (SSHConnection.data_received, "b2d14a83b2604db6"),
    (SSHConnection.create_task, "a9bff2bae35cd56f"),
    (SSHConnection.send_packet, "fb9da7bec6dd395a"),
    (SSHConnection._cleanup, "ea4cd2aed57194e5"),
    (SSHConnection._force_close, "264b4367525f4f86"),
    (SSHConnection._finish_recv_packet, "e12d96db58b3524e"),
    (SSHConnection._recv_data, "fc4e0735191bb0fd"),
    (SSHConnection._recv_pkthdr, "7adc4d88fe20593c"),
    (SSHConnection._recv_packet, "b3daa22e9763eee9"),
    (SSHConnection._send_deferred_packets, "c5ef8240853eb331"),
    (SSHConnection._service_next_global_request, "2a5788c58af17bb0"),
    (SSHServerConnection._process_session_open, "5af6eee0340b6669"),
    (SSHServerConnection._process_hostkeys_prove_00_at_openssh_dot_com_global_request, "d6e86ada990be29e"),
    (SSHLogger.log, "508a0a50623f9179"),
]


@pytest.mark.parametrize(
    ("method", "digest"), RELIED_ON, ids=lambda value: getattr(value, "__qualname__", None)
)
def test_asyncssh_is_what_was_read(method: Callable[..., object], digest: str) -> None:
    source = inspect.getsource(method)
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == digest, (
        f"{method.__qualname__} changed since asyncssh {READ_IN} (now {asyncssh.__version__}): "
        "see whether what sftpd overrides of it still does what it says"
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

"""The embedded servers answer, fail as told, come back with what they had, and leave nothing behind."""

import asyncio
import os
import smtplib
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import boto3
import psutil
import pytest

from config.sections import S3Settings
from database.connections import Pool
from gateway.embedded.mail_server import Mailbox, MailboxMode
from gateway.embedded.postgres import PostgreSQLServer, postgres_server
from gateway.embedded.s3 import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, S3Server
from gateway.embedded.server_process import ServerProcess
from gateway.errors import EmbeddedError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


async def test_each_test_has_a_migrated_database_of_its_own(pool: Pool) -> None:
    assert await pool.fetchval("select count(*) from uploads") == 0
    assert await pool.fetchval("select count(*) from pgqueuer") == 0


async def test_postgres_keeps_its_rows_over_a_restart_and_a_crash(own_postgres: PostgreSQLServer) -> None:
    connection = await asyncpg.connect(own_postgres.tcp_url("postgres"))
    await connection.execute("create table kept as select 7 as n")
    await connection.close()
    await asyncio.to_thread(own_postgres.restart)
    own_postgres.kill()
    own_postgres.start()
    connection = await asyncpg.connect(own_postgres.socket_url("postgres"))
    assert await connection.fetchval("select n from kept") == 7
    await connection.close()


def test_a_bucket_takes_and_gives_an_object_and_refuses_a_wrong_signature(s3_settings: S3Settings) -> None:
    def client(secret: str) -> "S3Client":
        made: S3Client = boto3.client(
            "s3", endpoint_url=s3_settings.endpoint_url, region_name=s3_settings.region,
            aws_access_key_id=ACCESS_KEY_ID, aws_secret_access_key=secret,
        )  # fmt: skip
        return made

    right = client(SECRET_ACCESS_KEY)
    right.put_object(Bucket=s3_settings.bucket, Key="a/b.csv", Body=b"rows")
    assert right.get_object(Bucket=s3_settings.bucket, Key="a/b.csv")["Body"].read() == b"rows"
    with pytest.raises(right.exceptions.ClientError, match="SignatureDoesNotMatch"):
        client("wrong").get_object(Bucket=s3_settings.bucket, Key="a/b.csv")
    right.close()


def test_a_bucket_made_while_the_server_runs_takes_an_object_at_once(s3: S3Server) -> None:
    with closing(
        boto3.client(
            "s3",
            endpoint_url=s3.endpoint_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
        )
    ) as client:
        for number in range(3):
            s3.make_bucket(f"fresh-{number}")
            s3.make_bucket(f"fresh-{number}")
            client.put_object(Bucket=f"fresh-{number}", Key="a.csv", Body=b"rows")


def send(mailbox: Mailbox) -> None:
    with smtplib.SMTP(mailbox.host, mailbox.port, timeout=1) as client:
        client.sendmail("a@example.com", ["b@example.com"], b"Subject: hello\r\n\r\nbody\r\n")


@pytest.mark.parametrize(
    ("mode", "trouble", "kept"),
    [
        pytest.param(MailboxMode.REFUSING_FOR_NOW, smtplib.SMTPRecipientsRefused, 0, id="4xx"),
        pytest.param(MailboxMode.REFUSING_FOR_GOOD, smtplib.SMTPRecipientsRefused, 0, id="5xx"),
        pytest.param(MailboxMode.HANGING, smtplib.SMTPServerDisconnected, 0, id="hangs"),
        pytest.param(MailboxMode.CUTTING, smtplib.SMTPServerDisconnected, 1, id="cuts after keeping"),
        pytest.param(MailboxMode.AWAY, ConnectionRefusedError, 0, id="away"),
    ],
)
def test_the_mailbox_fails_as_told_and_recovers(
    mailbox: Mailbox, mode: MailboxMode, trouble: type[Exception], kept: int
) -> None:
    mailbox.become(mode)
    with pytest.raises(trouble):
        send(mailbox)
    mailbox.become(MailboxMode.ACCEPTING)
    send(mailbox)
    messages = mailbox.wait_for(kept + 1)
    assert len(messages) == kept + 1
    assert messages[-1]["Subject"] == "hello"
    assert messages[-1].get_content().strip() == "body"


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    server = ServerProcess("thing", ["sh", "-c", "echo no space left; exit 1"], log=tmp_path / "log")
    with pytest.raises(EmbeddedError, match="the thing did not start: no space left"):
        server.wait_until_ready(lambda: False)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="the thing can't be started: No such file"):
        ServerProcess("thing", [tmp_path / "missing"], log=tmp_path / "log")


def test_a_cluster_that_fails_in_use_is_removed(short_folder: Path) -> None:
    folder = short_folder / "failing"
    pids: list[int] = []

    def use() -> None:
        with postgres_server(folder, durable=False) as server:
            assert server.pid is not None
            pids.append(server.pid)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        use()
    assert not psutil.pid_exists(pids[0])
    assert not folder.exists()


def test_servers_die_with_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from gateway.embedded.server_process import ServerProcess\n"
        "server = ServerProcess('sleep', ['sleep', '600'], log=Path(sys.argv[1]))\n"
        "print(server.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "log"],
        stdout=subprocess.PIPE,
        env=os.environ,
        cwd=Path.cwd(),
    )
    assert parent.stdout is not None
    with parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait(10)
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.02)

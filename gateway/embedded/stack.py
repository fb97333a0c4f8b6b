"""All embedded services together, and the settings that lead to them, as environment variables."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.settings import variable_of
from gateway.embedded.mail_server import Mailbox, open_mailbox
from gateway.embedded.postgres import PostgreSQLServer, postgres_server
from gateway.embedded.s3 import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, S3Server, s3_server

DATABASE: Final = "sftp_gateway"
BUCKET: Final = "sftp-gateway"
SENDER: Final = "postman@sftp-gateway.example"


@dataclass(frozen=True, slots=True)
class EmbeddedStack:
    """Three running servers in one folder."""

    folder: Path
    postgres: PostgreSQLServer
    s3: S3Server
    mailbox: Mailbox

    def settings(self) -> dict[str, str]:
        """The environment variables that lead a gateway here."""
        return {
            variable_of("environment"): "test",
            **database_variables(self.postgres.tcp_url(DATABASE)),
            **s3_variables(self.s3.endpoint_url, BUCKET),
            **mailbox_variables(self.mailbox),
            variable_of("sftp.host_key_dir"): str(self.folder / "host-keys"),
            variable_of("sftp.spool_dir"): str(self.folder / "spool"),
        }


def database_variables(url: str) -> dict[str, str]:
    """The settings that lead to a database."""
    return {variable_of("database.url"): url}


def sending_variables() -> dict[str, str]:
    """The settings by which a node sends too: in the test environment to the simulator, so that nothing leaves the machine."""
    return {variable_of("sending.processes"): "1"}


def s3_variables(endpoint_url: str, bucket: str) -> dict[str, str]:
    """The settings that lead to a bucket of the embedded S3 server."""
    return {
        variable_of("s3.endpoint_url"): endpoint_url,
        variable_of("s3.bucket"): bucket,
        variable_of("s3.region"): REGION,
        variable_of("s3.access_key_id"): ACCESS_KEY_ID,
        variable_of("s3.secret_access_key"): SECRET_ACCESS_KEY,
    }


def mailbox_variables(mailbox: Mailbox) -> dict[str, str]:
    """The settings that lead to a mailbox."""
    return {
        variable_of("smtp.host"): mailbox.host,
        variable_of("smtp.port"): str(mailbox.port),
        variable_of("smtp.sender"): SENDER,
    }


@contextlib.contextmanager
def embedded_stack(folder: Path) -> Iterator[EmbeddedStack]:
    """PostgreSQL with an empty database, S3 with a bucket, a mailbox: all under `folder`, all ended at the end.

    Raises EmbeddedError, one line that says which of them can't run and why.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        postgres_server(folder / "postgresql") as postgres,
        s3_server(folder / "s3", bucket=BUCKET) as s3,
        open_mailbox(folder / "mail") as mailbox,
    ):
        postgres.run_sql(f"create database {DATABASE}")
        yield EmbeddedStack(folder, postgres, s3, mailbox)

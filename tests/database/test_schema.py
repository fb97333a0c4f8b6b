"""The schema: safe to migrate twice, and from several nodes at once; the release that needs it says so."""

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from config.errors import ConfigurationError
from config.sections import DatabaseSettings
from database.connections import connect
from database.errors import SchemaError, ServiceUnreachable
from database.migrations.files import read_migrations
from database.schema import check_schema, migrate
from gateway.embedded.postgres import PostgreSQLServer


def settings_of(url: str) -> DatabaseSettings:
    return DatabaseSettings(url=SecretStr(url))


async def test_four_nodes_migrate_at_once_and_each_step_runs_once(empty_database_url: str) -> None:
    applied = await asyncio.gather(*(migrate(settings_of(empty_database_url)) for _ in range(4)))
    assert sorted(len(steps) for steps in applied)[:3] == [0, 0, 0]
    assert max(applied, key=len) == [f"{m.number:04}_{m.name}" for m in read_migrations()] + ["pgqueuer"]
    assert await migrate(settings_of(empty_database_url)) == []


async def test_the_tables_of_the_contract_are_there(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "select table_name from information_schema.tables where table_schema = 'public'"
    )
    columns = await connection.fetch(
        "select column_name from information_schema.columns where table_name = 'messages'"
    )
    await connection.close()
    expected = {"campaigns", "template_bodies", "ssh_keys", "uploads", "batches", "messages", "audit_events"}
    assert expected <= {row["table_name"] for row in rows}
    assert {
        "batch_no", "row_number", "recipient", "language", "values", "segments", "encoding", "created_at",
    } <= {row["column_name"] for row in columns}  # fmt: skip


async def test_a_database_without_schema_is_told_what_to_do(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    with pytest.raises(SchemaError, match="run `sftp-gateway migrate`"):
        await check_schema(connection)
    await connection.close()


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        pytest.param("postgresql://u:hush@127.0.0.1:1/db", ServiceUnreachable, "can't be reached", id="away"),
        pytest.param(
            "postgresql://u:hush@127.0.0.1/db?target_session_attrs=x",
            ConfigurationError,
            "not of the form",
            id="not-a-url",
        ),
        pytest.param(
            "postgresql://u:hush@127.0.0.1/db?sslmode=verify-full&sslrootcert=/nonexistent",
            ConfigurationError,
            "/nonexistent can't be read: add &sslrootcert=FILE",
            id="no-certificates",
        ),
    ],
)
async def test_a_database_in_trouble_is_one_line_without_its_password(
    url: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as raised:
        await migrate(settings_of(url))
    assert "hush" not in str(raised.value)


async def test_a_certificate_that_nobody_vouches_for_is_a_matter_of_configuration(tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(self_signed("database.example"))
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"S")
        with contextlib.suppress(OSError):
            await writer.start_tls(server_side)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        url = f"postgresql://u:hush@127.0.0.1:{port}/db?sslmode=verify-full&sslrootcert={certificate}"
        with pytest.raises(ConfigurationError, match="SSLCertVerificationError"):
            await connect(settings_of(url))


def self_signed(name: str) -> bytes:
    """A key, and its certificate for `name`, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


async def test_an_unknown_database_is_a_matter_of_configuration(database_url: str) -> None:
    with pytest.raises(ConfigurationError, match="SFTP_GATEWAY_DATABASE__URL"):
        await migrate(settings_of(database_url.replace("/test_", "/no_such_")))


async def test_a_database_closed_for_maintenance_is_one_to_ask_again(
    postgres: PostgreSQLServer, empty_database_url: str
) -> None:
    name = empty_database_url.partition("?")[0].rsplit("/", 1)[-1]
    postgres.run_sql(f"alter database {name} allow_connections false")
    with pytest.raises(ServiceUnreachable, match="takes no connections"):
        await connect(settings_of(empty_database_url))

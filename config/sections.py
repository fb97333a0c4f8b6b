"""The sections of the settings, one model each. Every field says what it is for: the reference in docs/ is made from here.

The sections of the sending core stand in `sending_sections.py`, that of logs in `logs.py`.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from config.section import (
    HTTPURL,
    Count,
    DatabaseURL,
    MailAddress,
    Networks,
    Port,
    Seconds,
    SecretsKey,
    Section,
    Words,
    state_folder,
)
from config.sizes import MAX_UPLOAD_BYTES, MEBIBYTE


class DatabaseSettings(Section):
    """PostgreSQL, version 14 or newer: campaigns, keys, uploads, batches, messages, the queue."""

    url: DatabaseURL = Field(
        description=(
            "postgresql://user:password@host:port/database. Beyond loopback, add "
            "?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt, or your own authority's file. Several hosts, "
            "with commas between them, are asked one after the other for one that takes writes."
        ),
    )
    direct_url: DatabaseURL | None = Field(
        default=None,
        description=(
            "The same database past its pooler, for LISTEN, the queues, migrations, session locks and the command line; "
            "empty: the same as url. Needed where url leads to PgBouncer in transaction mode."
        ),
    )
    pool_size: Count = Field(default=10, description="Connections kept by each process, at most.")
    connect_timeout: Seconds = Field(default=2, description="Seconds to wait for a connection.")
    command_timeout: Seconds = Field(
        default=5, description="Seconds to wait for an answer while a client waits."
    )
    allow_plaintext: bool = Field(
        default=False,
        description="Accept a database beyond loopback without verified TLS, such as one on a private wire.",
    )


class S3Settings(Section):
    """The bucket: originals under `originals/`, reports under `validation-reports/`, message logs under `exports/`."""

    endpoint_url: HTTPURL | None = Field(
        default=None, description="Address of the service; empty for AWS's own."
    )
    bucket: str = Field(description="Name of the bucket. It must exist.")
    region: str = Field(default="ap-southeast-1", description="Region that requests are signed for.")
    access_key_id: SecretStr | None = Field(
        default=None, description="Key id; empty for the machine's own role."
    )
    secret_access_key: SecretStr | None = Field(default=None, description="The key's secret.")
    session_token: SecretStr | None = Field(default=None, description="Token of temporary credentials.")
    connect_timeout: Seconds = Field(default=2, description="Seconds to wait for a connection.")
    read_timeout: Seconds = Field(default=5, description="Seconds to wait for an answer.")
    server_side_encryption: Literal["AES256", "aws:kms", "none"] = Field(
        default="AES256",
        description="Encryption asked of the service for every object; none only where the bucket does it by itself.",
    )
    name_key: SecretsKey | None = Field(
        default=None,
        description=(
            "32 random bytes in base64, the same on all nodes: file names in the metadata of originals are encrypted with it. "
            "Empty: whoever may read an original can read its name. `sftp-gateway reconcile` needs the same key."
        ),
    )
    link_endpoint_url: HTTPURL | None = Field(
        default=None,
        description="Address that agencies reach the service at, for signed links; empty: the same as endpoint_url.",
    )
    link_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        default=72, description="Hours a report's signed link lives; 7 days (168) at most, as S3 allows."
    )
    public_base_url: HTTPURL | None = Field(
        default=None,
        description=(
            "With it a reportURL is <this>/validation-reports/<campaignId>/<name>.csv, unsigned, as in the guide: "
            "then a front must serve that prefix only, and to agencies only."
        ),
    )
    allow_plaintext: bool = Field(default=False, description="Accept http:// beyond loopback.")
    allow_temporary_credentials: bool = Field(
        default=False, description="Accept credentials that expire, although signed links die with them."
    )


class SMTPSettings(Section):
    """The mail server that takes the notifications."""

    host: str = Field(description="Name or address of the mail server.")
    port: Port = Field(default=587, description="Its port.")
    security: Literal["auto", "starttls", "tls", "none"] = Field(
        default="auto",
        description="starttls or tls demand it; auto uses STARTTLS where offered and demands it beyond loopback; none: plain.",
    )
    sender: MailAddress = Field(description="Address that notifications come from.")
    username: str | None = Field(default=None, description="Login name; empty: no login.")
    password: SecretStr | None = Field(default=None, description="Login password.")
    allow_plaintext: bool = Field(
        default=False,
        description="Accept security = none beyond loopback: e-mails, and a login, in plain text.",
    )
    timeout: Seconds = Field(default=15, description="Seconds to wait for each answer of the mail server.")
    message_id_domain: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$",
        description="Domain in Message-IDs; empty: that of the sender's address.",
    )
    give_up_hours: Seconds = Field(
        default=48, description="Hours after which an undeliverable e-mail is given up."
    )


class SFTPSettings(Section):
    """The SFTP front. Limits are per node and split evenly over its processes."""

    host: str = Field(default="0.0.0.0", description="Address to listen on; :: for both IPv4 and IPv6.")  # noqa: S104 - a server's purpose
    port: Port = Field(default=22, description="Port to listen on; 0 for any free one.")
    host_key_dir: Path = Field(
        default_factory=lambda: state_folder() / "host-keys",
        description="Folder of the host keys, mode 0700. [$STATE_DIRECTORY/host-keys]",
    )
    spool_dir: Path = Field(
        default_factory=lambda: state_folder() / "spool",
        description="Folder for uploads in progress, mode 0700. [$STATE_DIRECTORY/spool]",
    )
    processes: Count = Field(
        default=1, description="Front processes on this node, sharing one listening socket."
    )
    version_name: str = Field(
        default="SFTP",
        pattern=r"^[A-Za-z0-9_.]{1,32}$",
        description="Software name in the SSH version string.",
    )
    max_connections: Count = Field(default=1000, description="Connections at a time.")
    max_connections_per_address: Count = Field(
        default=50, description="Connections at a time from one address."
    )
    max_sessions_per_campaign: Count = Field(default=10, description="Logins at a time of one campaign.")
    max_unauthenticated: Count = Field(
        default=100,
        description="Connections not yet logged in; beyond it the oldest of the busiest address is dropped.",
    )
    login_timeout: Seconds = Field(default=30, description="Seconds to log in.")
    max_keys_tried: Count = Field(default=6, description="Public keys that a connection may try.")
    max_channels: Count = Field(default=10, description="Channels of one connection.")
    max_handles: Count = Field(default=16, description="Files and folders open at a time in one session.")
    max_login_bytes: Count = Field(default=65_536, description="Bytes taken from a client before its login.")
    max_kexinit_bytes: Count = Field(default=8_192, description="Bytes of a client's list of algorithms.")
    max_request_bytes: Count = Field(default=34 * 1024, description="Bytes of an SFTP request but WRITE.")
    announced_write_bytes: Count = Field(default=261_120, description="Bytes of a WRITE, as announced.")
    max_write_bytes: Count = Field(default=4 * MEBIBYTE, description="Bytes of a WRITE that are taken.")
    max_unserved_bytes: Count = Field(default=8 * MEBIBYTE, description="Bytes of requests that may wait.")
    max_unread_bytes: Count = Field(default=4 * MEBIBYTE, description="Bytes of answers that may wait.")
    key_exchange_interval: Seconds = Field(default=10, description="Seconds between key exchanges.")
    key_exchange_bytes: Count = Field(default=10**9, description="Bytes after which one may come sooner.")
    turn_seconds: Seconds = Field(default=0.002, description="Seconds of processor until others have a turn.")
    max_listed_uploads: Count = Field(default=1000, description="Uploads that a listing shows, the newest.")
    max_questions_per_campaign: Count = Field(default=2, description="Look-ups of uploads at a time.")
    idle_timeout: Seconds = Field(
        default=600, description="Seconds without a request after which a session ends."
    )
    keepalive_interval: Seconds = Field(default=30, description="Seconds between keep-alive probes.")
    keepalive_count: Count = Field(
        default=4, description="Unanswered probes after which a connection is dropped."
    )
    recheck_interval: Seconds = Field(
        default=30, description="Seconds between two looks at whether live sessions may still be there."
    )
    shutout_failures: Count = Field(
        default=10, description="Failed logins from one address that shut it out."
    )
    shutout_window: Seconds = Field(default=600, description="Seconds within which those failures count.")
    shutout_duration: Seconds = Field(default=900, description="Seconds that an address stays shut out.")
    trusted_addresses: Networks = Field(
        default_factory=list, description="Addresses never shut out: NAT gateways, monitors, load balancers."
    )
    proxy_protocol_from: Networks = Field(
        default_factory=list, description="Load balancers whose PROXY protocol header (v1, v2) is believed."
    )
    compatibility: Literal["strict", "wide"] = Field(
        default="strict",
        description=(
            "wide also speaks key exchanges for older programs, such as Ruby's net-ssh without x25519: ECDH on the NIST "
            "curves, and Diffie-Hellman group 14 with SHA-256."
        ),
    )
    allow_sha1_signatures: bool = Field(
        default=False,
        description="Let clients sign with SHA-1 (ssh-rsa), as JSch 0.1.55 does. Weak: leave it off.",
    )
    max_upload_bytes: Annotated[int, Field(ge=1, le=MAX_UPLOAD_BYTES)] = Field(
        default=MAX_UPLOAD_BYTES,
        description="An upload must be smaller than this many bytes; the default is the most that verdicts are made for.",
    )
    max_partials_per_campaign: Count = Field(
        default=20, description="Unfinished uploads kept for one campaign."
    )
    max_spool_bytes_per_campaign: Count = Field(
        default=600 * 1_000_000, description="Bytes of unfinished uploads kept for one campaign."
    )
    max_spool_bytes: Count = Field(
        default=20 * 1024 * MEBIBYTE, description="Bytes that all unfinished uploads of this node may take."
    )
    max_rows_per_hour: Count = Field(
        default=20_000_000,
        description="Rows of one campaign judged in an hour; what goes beyond it waits, and nothing is refused.",
    )
    max_bytes_per_hour: Count = Field(
        default=6_000_000_000,
        description="Bytes of one campaign judged in an hour; what goes beyond it waits, and nothing is refused.",
    )
    temporary_suffixes: Words = Field(
        default=[
            ".filepart",
            ".part",
            ".partial",
            ".tmp",
            ".temp",
            ".inprogress",
            ".uploading",
            ".writing",
            ".lftp",
        ],
        description="Name endings of uploads still to be renamed; a leading dot always is one.",
    )
    acknowledge_timeout: Seconds = Field(
        default=10, description="Seconds in all to store an upload before its CLOSE fails."
    )
    drain_timeout: Seconds = Field(
        default=30, description="Seconds that a stop waits for uploads in progress."
    )
    max_not_csv_notifications: Count = Field(
        default=20,
        description=(
            "Uploads an hour of one campaign that are refused for a name not in .csv, or as too large, "
            "each with a row and an e-mail; the rest are counted in one e-mail."
        ),
    )
    max_interrupted_notifications: Count = Field(
        default=20,
        description="The same for uploads that look interrupted. Those only counted can't be released.",
    )
    temporary_name_minutes: Seconds = Field(
        default=60, description="Minutes after which a temporary name never renamed to .csv is reported."
    )
    cut_upload_minutes: Seconds = Field(
        default=60,
        description="Minutes after which an upload cut off, and neither resumed nor sent again, is reported.",
    )


class WorkerSettings(Section):
    """The verdicts and the e-mails."""

    processes: Count = Field(default=1, description="Worker processes started by `run` on this node.")
    concurrent_verdicts: Count = Field(
        default=2,
        description="Uploads decided at a time by one process, each in a child process of its own.",
    )
    verdict_memory_mb: Count = Field(
        default=600, description="Megabytes that one verdict may take; over it the upload has failed."
    )
    verdict_output_mb: Count = Field(
        default=2048, description="Megabytes that one verdict may write; over it the upload has failed."
    )
    verdict_processor_seconds: Count = Field(
        default=120,
        description="Seconds of processor that one verdict may use; over it the upload has failed.",
    )
    verdict_seconds: Seconds = Field(
        default=600, description="Seconds that one verdict may take in all; over it the upload has failed."
    )
    concurrent_notifications: Count = Field(default=4, description="E-mails sent at a time by one process.")
    retry_first: Seconds = Field(
        default=30, description="Seconds before a verdict is tried again; doubles each time."
    )
    retry_for: Seconds = Field(
        default=3600, description="Seconds of retries after which an upload has failed."
    )
    heartbeat_timeout: Seconds = Field(
        default=15, description="Seconds without a sign of life after which another worker takes a job over."
    )
    max_job_crashes: Count = Field(
        default=5,
        description="Crashes of one job, or of the worker that runs it, after which it is held until `job retry`.",
    )
    sweep_interval: Seconds = Field(
        default=60, description="Seconds between looks for uploads that have no job."
    )
    drain_timeout: Seconds = Field(
        default=30, description="Seconds that a stop waits for verdicts being made."
    )
    duplicate_hours: Seconds = Field(
        default=24, description="Hours in which the same bytes under the same name make no second batch."
    )


class MessageSettings(Section):
    """What is put around each body, and which characters are refused."""

    footer_english: str | None = Field(
        default=None, description="Footer of English messages; empty: the documented one."
    )
    footer_chinese: str | None = Field(
        default=None, description="Footer of Chinese messages; empty: a translation."
    )
    footer_malay: str | None = Field(
        default=None, description="Footer of Malay messages; empty: a translation."
    )
    footer_tamil: str | None = Field(
        default=None, description="Footer of Tamil messages; empty: a translation."
    )
    refuse_typography: bool = Field(
        default=True,
        description="Refuse dashes, ellipses, odd blanks and the like in English values (tier 3).",
    )
    refuse_emoji: bool = Field(default=True, description="Refuse emoji in English values.")
    refuse_spreadsheet_errors: bool = Field(
        default=True, description="Refuse values such as `#N/A`, `#REF!`, `Err:502` and `####`."
    )
    refuse_markup: bool = Field(
        default=True, description="Refuse HTML such as `&amp;` and `<br>` in values, and `_x000D_`."
    )


class RetentionSettings(Section):
    """How long files live. Messages are kept, in the database or in the bucket, and the audit trail too."""

    originals_days: Count = Field(default=7, description="Days that uploaded files are kept.")
    reports_days: Count = Field(default=14, description="Days that reports are kept.")
    partials_hours: Count = Field(default=24, description="Hours that unfinished uploads are kept.")
    log_exports_days: Count = Field(
        default=7, description="Days that message logs are kept which were made in the background."
    )
    archive_after_months: int | None = Field(
        default=None,
        # The end of a month's last messages is then at least as long ago as a range must rest.
        ge=4,
        description=(
            "Messages older than so many whole months leave the database for the bucket at night, where they are kept. "
            "Without it, only `archive run` does that."
        ),
    )
    archive_audit_after_months: int | None = Field(
        default=None,
        # A quarter of a year stays at hand, whatever is asked.
        ge=4,
        description=(
            "Audit events older than so many whole months leave the database for the bucket at night, where they are kept. "
            "Without it, only `archive run --kind audit_events` does that."
        ),
    )


class OpsSettings(Section):
    """The HTTP endpoint for health, readiness and metrics."""

    host: str = Field(
        default="127.0.0.1", description="Address to listen on. It has no login: keep it private."
    )
    port: Port = Field(default=9464, description="Port to listen on; 0 for any free one.")
    allowed_hosts: Words = Field(
        default_factory=list,
        description=(
            "Names by which it may be asked for /readyz and /metrics, such as those that a proxy passes on; "
            "addresses and localhost always may."
        ),
    )


class BillingSettings(Section):
    """What is charged: only messages to the public in production. Prices stand in the database (`billing price add`)."""

    starts: Annotated[date, Field(ge=date(2000, 1, 1))] = Field(
        default=date(2025, 7, 1), description="The first day, Singapore's, whose messages are charged."
    )
    charge_own_expiry: bool = Field(
        default=False,
        description=(
            "Charge messages, too, that this gateway gave up on, as no news of them had come in time."
        ),
    )

"""What the front counts. Names begin with `sftp_gateway_`; gauges add up over the processes of a node."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

CONNECTIONS: Final = Counter(
    "sftp_gateway_connections_total",
    "Connections by how they ended: probe, logged_in, login_refused, login_unavailable, dropped.",
    ["outcome"],
)
CONNECTIONS_REFUSED: Final = Counter(
    "sftp_gateway_connections_refused_total",
    "Connections refused before key exchange, by reason: a limit's name, shut_out, proxy_header, stopping.",
    ["reason"],
)
CONNECTIONS_OPEN: Final = Gauge(
    "sftp_gateway_connections_open", "Connections now.", multiprocess_mode="livesum"
)
CONNECTIONS_UNAUTHENTICATED: Final = Gauge(
    "sftp_gateway_connections_unauthenticated", "Connections not logged in.", multiprocess_mode="livesum"
)
SESSIONS_OPEN: Final = Gauge("sftp_gateway_sessions_open", "Logins now.", multiprocess_mode="livesum")
SESSIONS_ENDED: Final = Counter(
    "sftp_gateway_sessions_ended_total",
    "Logins ended by this service, by reason: revoked, idle, stopping.",
    ["reason"],
)
LOGINS: Final = Counter(
    "sftp_gateway_logins_total",
    "Logins by result: accepted, or the reason of a refusal (unknown, key, signature, source, sessions, unavailable).",
    ["result"],
)
LOGIN_SECONDS: Final = Histogram(
    "sftp_gateway_login_seconds",
    "Seconds from the connection to an accepted login.",
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SHUTOUTS: Final = Counter("sftp_gateway_shutouts_total", "Addresses shut out after too many failed logins.")
KEY_EXCHANGES_WAITING: Final = Gauge(
    "sftp_gateway_key_exchanges_waiting",
    "Connections waiting for their turn to exchange keys.",
    multiprocess_mode="livesum",
)
AUDIT_EVENTS_DROPPED: Final = Counter(
    "sftp_gateway_audit_events_dropped_total",
    "Login events not written singly: refused logins beyond the rate that is kept, or with the database away.",
)
SPOOL_FAILURES: Final = Counter(
    "sftp_gateway_spool_failures_total",
    "Failures of the spool's disk met outside a session: a campaign's folder, or all of it, can't be read or swept.",
)
ACCESS_WATCH_CONNECTED: Final = Gauge(
    "sftp_gateway_access_watch_connected",
    "Processes that hear at once of revoked keys and suspended campaigns.",
    multiprocess_mode="livesum",
)

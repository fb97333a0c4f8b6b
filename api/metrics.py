"""What this room counts. Names begin with `sftp_gateway_`; gauges add up over the processes of a node."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter(
    "sftp_gateway_api_requests", "HTTP requests by the status of their answer.", ["status"]
)
CALLBACKS: Final = Counter(
    "sftp_gateway_callbacks",
    "Callbacks of providers by result: recorded, unmatched (no such attempt), ignored (says nothing new to us), forged (wrong "
    "token), malformed, unavailable (the database was away), busy (too many at once).",
    ["result"],
)
CALLBACK_SECONDS: Final = Histogram(
    "sftp_gateway_callback_seconds",
    "From a callback's arrival to its commit.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CONNECTIONS_OPEN: Final = Gauge(
    "sftp_gateway_api_connections_open", "HTTP connections now.", multiprocess_mode="livesum"
)
CONNECTIONS_CUT: Final = Counter(
    "sftp_gateway_api_connections_cut",
    "HTTP connections cut: total (too many open), address (too many of one address), slow (no whole request in time), tls "
    "(no TLS session came about).",
    ["cause"],
)

# An alert on an increase sees the first event only where the series was there before it, at 0.
for _result in ("recorded", "unmatched", "ignored", "forged", "malformed", "unavailable", "busy"):
    CALLBACKS.labels(_result)
for _cause in ("total", "address", "slow", "tls"):
    CONNECTIONS_CUT.labels(_cause)

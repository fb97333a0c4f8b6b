"""What this room counts. Names begin with `sftp_gateway_`; gauges add up over the processes of a node."""

from typing import Final

from prometheus_client import Counter, Gauge

REQUESTS: Final = Counter(
    "sftp_gateway_api_requests",
    "HTTP requests by endpoint (none: no endpoint was reached) and by the status of their answer.",
    ["endpoint", "status"],
)
CONNECTIONS_OPEN: Final = Gauge(
    "sftp_gateway_api_connections_open", "HTTP connections now.", multiprocess_mode="livesum"
)
ANSWERS_HELD: Final = Counter(
    "sftp_gateway_api_answers_held", "Answers 401 and 403 that were held back, since their address has many."
)
CONNECTIONS_CUT: Final = Counter(
    "sftp_gateway_api_connections_cut",
    "HTTP connections cut: total (too many open), address (too many of one address), slow (no whole request in time), tls "
    "(no TLS session came about), proxy_header (what a listed proxy sent is none), flood (of an address with many wrong keys).",
    ["cause"],
)

# An alert on an increase sees the first event only where the series was there before it, at 0.
for _cause in ("total", "address", "slow", "tls", "proxy_header", "flood"):
    CONNECTIONS_CUT.labels(_cause)

"""What this room counts. Names begin with `sftp_gateway_`; gauges add up over the processes of a node."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

PAGE_SECONDS: Final = Histogram(
    "sftp_gateway_console_page_seconds",
    "Seconds from a request for a page of the console to its answer, by page.",
    ["page"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10),
)
STREAMS: Final = Gauge(
    "sftp_gateway_console_streams",
    "Pages of the console that are open and live.",
    multiprocess_mode="livesum",
)
EVENTS_SENT: Final = Counter(
    "sftp_gateway_console_events_sent", "Changes that open pages of the console were told."
)
POLICY_VIOLATIONS: Final = Counter(
    "sftp_gateway_console_policy_violations",
    "Reports of browsers that a page of the console broke its content security policy.",
)
CROSS_SITE: Final = Counter(
    "sftp_gateway_console_cross_site", "Requests that the console refused since they came from another site."
)
LOGINS: Final = Counter(
    "sftp_gateway_console_logins",
    "Tries to log in to the console, by result: right, wrong, tried_out, expired, unknown (no code of that browser), or limited "
    "(no further code was sent).",
    ["result"],
)
STEP_UPS: Final = Counter(
    "sftp_gateway_console_step_ups",
    "Fresh codes given inside a session of the console, by result.",
    ["result"],
)
CODES: Final = Counter(
    "sftp_gateway_console_codes", "E-mails with a code, by result: sent, refused or failed.", ["result"]
)

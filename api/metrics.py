"""What this room counts. Names begin with `sftp_gateway_`; gauges add up over the processes of a node."""

from typing import Final

from prometheus_client import Counter, Histogram

CALL_SECONDS: Final = Histogram(
    "sftp_gateway_api_call_seconds",
    "From a call's whole head to its answer, of a batch send from its whole body, by endpoint.",
    ["endpoint"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1, 3, 5, 15, 30),
)
REFUSALS: Final = Counter(
    "sftp_gateway_api_refusals", "Calls refused for what they ask, by the code of the answer.", ["code"]
)
SINGLE_GROUPS: Final = Histogram(
    "sftp_gateway_api_single_groups",
    "Single sends that were committed together, by their number.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200),
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
# An alert on an increase sees the first event only where the series was there before it, at 0.
for _result in ("recorded", "unmatched", "ignored", "forged", "malformed", "unavailable", "busy"):
    CALLBACKS.labels(_result)
ADMISSIONS: Final = Counter(
    "sftp_gateway_api_admissions",
    "Calls by what became of them before any work: admitted; key_malformed, key (not in force): 401; campaign (not the path's), "
    "address (not allowed), suspended: 403; rate, rate_remembered (without asking the database): 429; unavailable: 503.",
    ["result"],
)
ADMISSION_GROUPS: Final = Histogram(
    "sftp_gateway_api_admission_groups",
    "How many calls one statement decided about.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
for _result in (
    "admitted", "key_malformed", "key", "campaign", "address", "suspended", "rate", "rate_remembered", "unavailable",
):  # fmt: skip
    ADMISSIONS.labels(_result)

"""What this room counts, summed over all processes."""

from prometheus_client import Counter, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 300, 3600)

UPLOADS_RECEIVED = Counter("sftp_gateway_uploads_received", "Uploads acknowledged to their clients.")
BYTES_RECEIVED = Counter("sftp_gateway_upload_bytes_received", "Bytes of acknowledged uploads.")
UPLOADS_REFUSED = Counter(
    "sftp_gateway_uploads_refused", "Uploads refused before any row was read.", ["code"]
)
UPLOADS_NOT_STORED = Counter(
    "sftp_gateway_uploads_not_stored",
    "Uploads refused at their end because a service was away: s3, database.",
    ["service"],
)
UPLOADS_DECIDED = Counter(
    "sftp_gateway_uploads_decided", "Outcomes: accepted, duplicate, rejected, failed.", ["outcome"]
)
UPLOADS_WITHDRAWN = Counter(
    "sftp_gateway_uploads_withdrawn",
    "Uploads by HTTP that nobody waited for any more, so that nothing of them was accepted: late (no verdict in time), hung_up "
    "(the sender was gone), stopping (the process was told to stop), forsaken (the process that waited was gone); and files of "
    "the console that were checked and not sent: forgotten (by their sender), expired (they waited too long).",
    ["cause"],
)
VERDICTS_EXCEEDED = Counter(
    "sftp_gateway_verdicts_exceeded",
    "Uploads failed because their verdict took too much: memory, output, processor, time, died.",
    ["limit"],
)
MESSAGES_CREATED = Counter("sftp_gateway_messages_created", "Messages handed to the sending core.")
RETRIES = Counter("sftp_gateway_verdict_retries", "Verdicts put back because a service was away.")
LOG_EXPORTS = Counter(
    "sftp_gateway_log_exports",
    "Message logs asked for in the background, by their end: finished, failed.",
    ["outcome"],
)
RANGES_NOT_ARCHIVED = Counter(
    "sftp_gateway_ranges_not_archived",
    "Old ranges of messages or audit events that stayed in the database, at each try of a worker to archive one by itself.",
)
SWEPT = Counter(
    "sftp_gateway_jobs_swept", "Uploads, notifications and message logs that had lost their job.", ["kind"]
)
INTAKE_SECONDS = Histogram(
    "sftp_gateway_intake_seconds",
    "From the client's CLOSE to the commit that acknowledges it.",
    buckets=_SECONDS,
)
QUEUE_SECONDS = Histogram(
    "sftp_gateway_queue_seconds", "From receipt to the start of the decision.", buckets=_SECONDS
)
VALIDATION_SECONDS = Histogram(
    "sftp_gateway_validation_seconds", "Reading and judging the rows.", buckets=_SECONDS
)
STORING_SECONDS = Histogram(
    "sftp_gateway_storing_seconds", "Storing the verdict: batch and messages, or report.", buckets=_SECONDS
)

# An alert on an increase sees the first event only where the series was there before it, at 0.
for _service in ("s3", "database"):
    UPLOADS_NOT_STORED.labels(_service)
for _outcome in ("accepted", "duplicate", "rejected", "failed"):
    UPLOADS_DECIDED.labels(_outcome)
for _cause in ("late", "hung_up", "stopping", "forsaken", "forgotten", "expired"):
    UPLOADS_WITHDRAWN.labels(_cause)
for _limit in ("memory", "output", "processor", "time", "died"):
    VERDICTS_EXCEEDED.labels(_limit)
for _outcome in ("finished", "failed"):
    LOG_EXPORTS.labels(_outcome)
for _kind in ("upload", "notice", "log"):
    SWEPT.labels(_kind)

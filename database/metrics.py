"""What this room counts, summed over all processes. A queue's run begins its series at 0."""

from prometheus_client import Counter

JOB_CRASHES = Counter(
    "sftp_gateway_job_crashes", "Jobs that crashed, by themselves or with their worker.", ["entrypoint"]
)
JOBS_HELD = Counter(
    "sftp_gateway_jobs_held", "Jobs that were held, as they had crashed too often.", ["entrypoint"]
)

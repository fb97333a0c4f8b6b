"""What this room counts, summed over all processes."""

from prometheus_client import Counter

NOTIFICATIONS = Counter(
    "sftp_gateway_notifications", "E-mails by what became of them: sent, refused, given_up.", ["result"]
)
RETRIES = Counter(
    "sftp_gateway_notification_retries", "E-mails put back because the mail server did not take them yet."
)

# An increase shows the first event only where the series has begun at 0.
for _result in ("sent", "refused", "given_up"):
    NOTIFICATIONS.labels(_result)

"""What this room counts, summed over all processes."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

from messages.attempts import Move, Recorded

MESSAGE_STATUSES = Counter(
    "sftp_gateway_message_statuses",
    "Statuses that messages got, by provider, with the code of a failure.",
    ["provider", "status", "code"],
)
OUTCOMES_UNKNOWN = Counter(
    "sftp_gateway_outcomes_unknown", "Hand-overs of which nobody knew whether the message was sent."
)
OUTCOMES_KEPT = Gauge(
    "sftp_gateway_outcomes_kept", "Outcomes that wait for the database.", multiprocess_mode="livesum"
)
OUTCOMES_DROPPED = Counter(
    "sftp_gateway_outcomes_dropped", "Outcomes that the database refuses; their messages are looked up."
)
THROTTLED = Counter(
    "sftp_gateway_sending_throttled",
    "Hand-overs that the provider refused as too many at once.",
    ["provider"],
)
RECEIPTS_UNMATCHED = Counter(
    "sftp_gateway_receipts_unmatched", "Receipts of attempts that nobody handed over."
)


def count_recorded(recorded: Recorded) -> None:
    """Count what a recording changed, once it is committed."""
    count_moves(recorded.moves)
    RECEIPTS_UNMATCHED.inc(len(recorded.unmatched))


def count_moves(moves: Mapping[Move, int]) -> None:
    """Count messages by the status that they got."""
    for move, messages in moves.items():
        MESSAGE_STATUSES.labels(move.provider, move.status.word, move.error or "").inc(messages)

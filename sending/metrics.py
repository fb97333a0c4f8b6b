"""What this room counts, summed over all processes."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from messages.attempts import Move, Recorded
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.twilio_errors import ALARMING_CODES

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
RECEIPTS_UNMATCHED = Counter(
    "sftp_gateway_receipts_unmatched", "Receipts of attempts that nobody handed over."
)
DATABASES_RESTORED = Counter(
    "sftp_gateway_databases_restored",
    "Times that all senders were paused, as the database was older than the newest claim in the bucket.",
)
MARKS_UNCHECKED = Counter(
    "sftp_gateway_newest_claim_unknown",
    "Times that bucket or database were away when the newest claim was to be compared or written.",
)

SMPP_BINDS = Gauge(
    "sftp_gateway_smpp_binds", "Connections to the aggregator that are bound.", multiprocess_mode="livesum"
)
SMPP_LINKS_LOST = Counter(
    "sftp_gateway_smpp_links_lost",
    "Connections to the aggregator that ended or could not be made: lost, or refused (the account).",
    ["reason"],
)
SMPP_UNREADABLE = Counter(
    "sftp_gateway_smpp_messages_unreadable",
    "Messages of the aggregator that are no receipt that says anything to us.",
)

SUBMIT_SECONDS = Histogram(
    "sftp_gateway_submit_seconds",
    "From a hand-over's begin to the provider's answer.",
    ["provider"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 35),
)
SEGMENTS = Counter(
    "sftp_gateway_segments_handed_over",
    "Segments given to a provider: what is used of its rate.",
    ["provider"],
)
THROTTLED = Counter(
    "sftp_gateway_hand_overs_throttled", "Hand-overs that a provider told to come again later.", ["provider"]
)
ALARMS = Counter(
    "sftp_gateway_provider_alarms",
    "Failures whose code says that the sender itself is in trouble: suspended, or not registered.",
    ["code"],
)

# An alert on an increase sees the first event only where the series was there before it, at 0.
for _reason in ("lost", "refused"):
    SMPP_LINKS_LOST.labels(_reason)
for _code in sorted(ALARMING_CODES):
    ALARMS.labels(_code)
for _provider in ("simulator", "twilio", "smpp"):
    MESSAGE_STATUSES.labels(_provider, MessageStatus.SUCCESS.word, "")
    for _error in ErrorCode:
        MESSAGE_STATUSES.labels(_provider, MessageStatus.FAILURE.word, _error)


def count_recorded(recorded: Recorded) -> None:
    """Count what a recording changed, once it is committed."""
    count_moves(recorded.moves)
    RECEIPTS_UNMATCHED.inc(len(recorded.unmatched))


def count_moves(moves: Mapping[Move, int]) -> None:
    """Count messages by the status that they got."""
    for move, messages in moves.items():
        MESSAGE_STATUSES.labels(move.provider, move.status.word, move.error or "").inc(messages)

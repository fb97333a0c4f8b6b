"""The steps of one upload in words, from the audit trail and from what its row tells besides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from audit.events import AuditEvent, RecordedEvent
from console.uploads.words import WAYS, counted
from processing.uploads import Source, Upload


@dataclass(frozen=True, slots=True)
class Step:
    """What happened, when, and, for those who may know, from where or by whom. `at` is aware UTC."""

    at: datetime
    sentence: str
    source_address: str | None = None
    actor: str | None = None


def tell_story(upload: Upload, events: Sequence[RecordedEvent]) -> list[Step]:
    """All steps, oldest first."""
    steps = [
        Step(event.at, _sentence(upload, event), event.source_address, event.actor)
        for event in events
        if event.event in _KNOWN
    ]
    told = {event.event for event in events}
    if not told & {AuditEvent.UPLOAD_RECEIVED, AuditEvent.UPLOAD_REFUSED}:
        steps.append(Step(upload.received_at, f"Received by {WAYS[upload.source.value]}"))
    if upload.deciding_since is not None:
        tries = f", {counted(upload.attempts, 'attempt')}" if upload.attempts > 1 else ""
        steps.append(Step(upload.deciding_since, f"The check began{tries}"))
    if upload.finished_at is not None and not told & _ENDS:
        steps.append(Step(upload.finished_at, f"Decided: {upload.status.value}"))
    if upload.notified_at is not None and AuditEvent.NOTIFICATION_SENT not in told:
        steps.append(Step(upload.notified_at, _KNOWN[AuditEvent.NOTIFICATION_SENT]))
    if upload.notification_refused_at is not None and AuditEvent.NOTIFICATION_REFUSED not in told:
        steps.append(Step(upload.notification_refused_at, _KNOWN[AuditEvent.NOTIFICATION_REFUSED]))
    # Steps of the same moment stay in the order in which they were recorded.
    return sorted(steps, key=lambda step: step.at)


_ENDS = {
    AuditEvent.UPLOAD_REFUSED,
    AuditEvent.UPLOAD_DECIDED,
    AuditEvent.UPLOAD_FAILED,
    AuditEvent.UPLOAD_WITHDRAWN,
}
_KNOWN: Mapping[str, str] = {
    AuditEvent.UPLOAD_RECEIVED: "Received",
    AuditEvent.UPLOAD_REFUSED: "Refused before its rows were checked",
    AuditEvent.UPLOAD_CHECKED: "Checked: it is good, and waits to be sent",
    AuditEvent.UPLOAD_SEND_ASKED: "Its sender said that it is to be sent: it is checked once more",
    AuditEvent.UPLOAD_DECIDED: "Decided",
    AuditEvent.UPLOAD_FAILED: "Failed: the service was at fault",
    AuditEvent.UPLOAD_WITHDRAWN: "Withdrawn: its sender didn't wait for the outcome, and nothing is sent",
    AuditEvent.UPLOAD_RETRIED: "Put back to be checked once more, by the operators",
    AuditEvent.UPLOAD_RELEASED: "Released to be checked as it is, by the operators",
    AuditEvent.UPLOAD_RESTORED: "Entered again after the database was restored",
    AuditEvent.UPLOAD_HOLD_REFUSED: "Left as it was decided before that, by the operators: nothing is told or sent again",
    AuditEvent.NOTIFICATION_SENT: "E-mail about the outcome sent",
    AuditEvent.NOTIFICATION_REFUSED: "E-mail about the outcome refused by the mail server",
}


def _sentence(upload: Upload, event: RecordedEvent) -> str:
    known = _KNOWN[event.event]
    if event.event == AuditEvent.UPLOAD_RECEIVED:
        ways = {Source.SFTP: "by SFTP", Source.API: "by the API", Source.CONSOLE: "by the console"}
        return f"{known} {ways[upload.source]}"
    if event.event == AuditEvent.UPLOAD_WITHDRAWN and upload.source is Source.CONSOLE:
        return "Forgotten: nothing of it is sent, and it is no longer kept"
    if event.event == AuditEvent.UPLOAD_DECIDED:
        return _decision(event.details) or known
    return known


def _decision(details: Mapping[str, object]) -> str | None:
    match details:
        case {"outcome": "accepted", "messages": int(messages)}:
            return f"Accepted: {counted(messages, 'message')}"
        case {"outcome": "duplicate"}:
            return "Accepted as the same file as before: nothing is sent a second time"
        case {"outcome": "rejected", "rows": int(rows), "errors": int(errors)} if rows:
            return f"Rejected: {counted(errors, 'error')} in {counted(rows, 'row')}"
        case {"outcome": "rejected"}:
            return "Rejected: something is wrong with the file as a whole"
        case {"outcome": str(outcome)}:
            return f"Decided: {outcome}"
        case _:
            return None

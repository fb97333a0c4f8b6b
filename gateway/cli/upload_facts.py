"""How an upload and its timeline are shown: to people, and in JSON (the keys are a contract, 2-gateway.md §5)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.cli.output import (
    for_people,
    print_facts,
    print_line,
    print_table,
    utc,
)

if TYPE_CHECKING:
    from audit.events import RecordedEvent
    from processing.uploads import Upload


def upload_document(upload: "Upload") -> dict[str, object]:
    """The JSON of an upload."""
    return {
        "id": upload.id,
        "campaignId": upload.campaign_id,
        "fileName": upload.file_name,
        "status": upload.status.value,
        "bytes": upload.byte_count,
        "sha256": upload.sha256,
        "receivedAt": utc(upload.received_at),
        "finishedAt": utc(upload.finished_at),
        "batchId": upload.batch_id,
        "totalMessages": upload.total_messages,
        "duplicateOf": upload.duplicate_of,
        "reportKey": upload.report_key,
        "supportId": upload.support_id,
        "numRows": upload.num_rows,
        "numErrors": upload.num_errors,
        "notifiedAt": utc(upload.notified_at),
    }


def timeline_document(events: "Sequence[RecordedEvent]") -> list[dict[str, object]]:
    """The JSON of a timeline, oldest first."""
    return [
        {
            "at": utc(event.at),
            "event": event.event,
            "actor": event.actor,
            "sourceAddress": event.source_address,
            "connectionId": event.connection_id,
            "details": dict(event.details),
        }
        for event in events
    ]


def show_upload(upload: "Upload", events: "Sequence[RecordedEvent]") -> None:
    """All about one upload, for people."""
    messages = None if upload.total_messages is None else f"{upload.total_messages:,}"
    print_facts(
        [
            ("id", upload.id),
            ("campaignId", upload.campaign_id),
            ("file", upload.file_name),
            ("status", upload.status.value),
            ("bytes", f"{upload.byte_count:,}"),
            ("SHA-256", upload.sha256),
            ("received", for_people(upload.received_at)),
            ("decided", for_people(upload.finished_at)),
            ("batchId", upload.batch_id),
            ("messages", messages),
            ("same bytes as", upload.duplicate_of),
            ("reason", upload.error_reason),
            ("rows with errors", None if upload.num_rows is None else f"{upload.num_rows:,}"),
            ("errors", None if upload.num_errors is None else f"{upload.num_errors:,}"),
            ("report", upload.report_key),
            ("support id", upload.support_id),
            ("e-mail sent", for_people(upload.notified_at)),
            (
                "e-mail refused",
                for_people(upload.notification_refused_at) if upload.notification_refused_at else None,
            ),
            ("e-mail trouble", upload.notification_error),
        ]
    )
    print_line("")
    rows = []
    for event in events:
        after = (event.at - events[0].at).total_seconds()
        details = ", ".join(f"{name} {value}" for name, value in event.details.items())
        who = ", ".join(word for word in (event.actor, event.source_address) if word)
        rows.append((for_people(event.at), f"+{after:.3f} s", event.event, who, details))
    print_table(("at", "after", "event", "by", "details"), rows, empty="No step of it is on record.")

"""The audit trail: an event is stored with what it tells or not at all, and an upload's events are told in order."""

from datetime import UTC, datetime, timedelta

from audit.events import Actor, AuditEvent, RecordedEvent, fetch_events_of_upload, record_event
from database.connections import Connection

UPLOAD = "upload_00000000-0000-4000-8000-000000000001"
AGENCY = Actor(name="SHA256:abc", connection_id="c-1", source_address="2001:db8::7")


async def test_the_events_of_an_upload_are_given_back_oldest_first(connection: Connection) -> None:
    await record_event(
        connection,
        AuditEvent.UPLOAD_RECEIVED,
        campaign_id="clinic",
        upload_id=UPLOAD,
        actor=AGENCY,
        details={"bytes": 12},
    )
    await record_event(connection, AuditEvent.UPLOAD_DECIDED, campaign_id="clinic", upload_id="upload_other")
    await record_event(connection, AuditEvent.UPLOAD_DECIDED, campaign_id="clinic", upload_id=UPLOAD)

    first, second = await fetch_events_of_upload(connection, UPLOAD)

    assert datetime.now(UTC) - first.at < timedelta(minutes=5)
    assert first == RecordedEvent(
        first.at, "upload_received", "SHA256:abc", "2001:db8::7", "c-1", {"bytes": 12}
    )
    assert second == RecordedEvent(second.at, "upload_decided", None, None, None, {})
    assert await fetch_events_of_upload(connection, "upload_unknown") == []


async def test_an_event_of_a_transaction_that_fails_is_not_recorded(connection: Connection) -> None:
    failing = connection.transaction()
    await failing.start()
    await record_event(connection, AuditEvent.CAMPAIGN_SUSPENDED, campaign_id="clinic")
    await failing.rollback()

    assert await connection.fetchval("select count(*) from audit_events") == 0

"""The audit trail: an event is stored with what it tells or not at all, and an upload's events are told in order."""

from datetime import UTC, datetime, timedelta

from audit.archived import describe_archived, list_archived
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


async def test_archives_are_told_by_their_time_and_of_many_the_first_is_named(connection: Connection) -> None:
    # A year's first moment in Singapore, whose days the filters of the trail have.
    begun = datetime(2025, 12, 31, 16, tzinfo=UTC)
    for number, state in enumerate(("archived", "restored", "archived", "archived")):
        await connection.execute(
            "insert into archives (name, kind, begins, ends, state, first_at, last_at, sealed_at)"
            " values ($1, 'audit_events', $2::bigint, $2::bigint + 1, $3, $4, $5, now())",
            f"audit_events_to_{number + 1}", number, state, begun + timedelta(days=31 * number),
            begun + timedelta(days=31 * number + 20),
        )  # fmt: skip
    found = await list_archived(connection)
    assert [archive.name[-1] for archive in found] == ["1", "3", "4"]
    assert describe_archived(found) == (
        "events of 2026-01-01 to 2026-04-24 are archived, in audit_events_to_1, and 2 more: "
        "`sftp-gateway archive restore audit_events_to_1` brings it back"
    )
    assert "in audit_events_to_4: " in describe_archived(found[2:])
    assert await list_archived(connection, since=begun + timedelta(days=84)) == found[2:]
    assert await list_archived(connection, until=begun + timedelta(days=60)) == found[:1]

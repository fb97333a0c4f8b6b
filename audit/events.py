"""The table `audit_events`: who did what, from where, to which campaign or upload. Its rows are kept for ever,
in the database or, where they are old, in archives (`audit.archived`).

An event's details are ids, counts, codes and fingerprints. They are never contents, names of files, phone numbers, people's
e-mail addresses, or keys. Only a correction of what was charged has the words of whoever made it: its reason.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

import asyncpg

from audit.details import EventDetails, read_details
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("audit", "events.sql")


class AuditEvent(StrEnum):
    """Everything that is recorded, named noun_verb."""

    CAMPAIGN_CREATED = "campaign_created"
    CAMPAIGN_SUSPENDED = "campaign_suspended"
    CAMPAIGN_RESUMED = "campaign_resumed"
    CAMPAIGN_DELETED = "campaign_deleted"
    CAMPAIGN_NOTIFY_CHANGED = "campaign_notify_changed"
    CAMPAIGN_SOURCES_CHANGED = "campaign_sources_changed"
    CAMPAIGN_TWILIO_CHANGED = "campaign_twilio_changed"
    CAMPAIGN_API_ADDRESSES_CHANGED = "campaign_api_addresses_changed"
    CAMPAIGN_API_RATE_CHANGED = "campaign_api_rate_changed"
    CAMPAIGN_NRIC_CHANGED = "campaign_nric_changed"
    API_KEY_ADDED = "api_key_added"
    API_KEY_DELETED = "api_key_deleted"
    AUDIT_DOWNLOADED = "audit_downloaded"
    BANNER_CHANGED = "banner_changed"
    BILLING_CORRECTED = "billing_corrected"
    BILLING_MONTH_POSTED = "billing_month_posted"
    BILLING_PRICE_ADDED = "billing_price_added"
    BILLING_REPORT_DOWNLOADED = "billing_report_downloaded"
    AGENCY_ADDED = "agency_added"
    AGENCY_BILLING_CHANGED = "agency_billing_changed"
    USER_OPS_CHANGED = "user_ops_changed"
    USER_PIC_CHANGED = "user_pic_changed"
    USER_CREATOR_CHANGED = "user_creator_changed"
    MEMBER_SET = "member_set"
    MEMBER_REMOVED = "member_removed"
    NRIC_IDENTIFIER_ADDED = "nric_identifier_added"
    SECRETS_ROTATED = "secrets_rotated"
    SECRETS_REWRAPPED = "secrets_rewrapped"
    KEY_ADDED = "key_added"
    KEY_REVOKED = "key_revoked"
    HOST_KEY_ADDED = "host_key_added"
    HOST_KEY_RETIRED = "host_key_retired"
    LOGIN_ACCEPTED = "login_accepted"
    LOGIN_REFUSED = "login_refused"
    SESSION_ENDED = "session_ended"
    CONSOLE_CODE_ASKED = "console_code_asked"
    CONSOLE_LOGIN_ACCEPTED = "console_login_accepted"
    CONSOLE_LOGIN_REFUSED = "console_login_refused"
    CONSOLE_STEP_UP_ACCEPTED = "console_step_up_accepted"
    CONSOLE_STEP_UP_REFUSED = "console_step_up_refused"
    CONSOLE_SESSION_ENDED = "console_session_ended"
    UPLOAD_RECEIVED = "upload_received"
    UPLOAD_REFUSED = "upload_refused"
    UPLOAD_CHECKED = "upload_checked"
    UPLOAD_SEND_ASKED = "upload_send_asked"
    UPLOAD_DECIDED = "upload_decided"
    UPLOAD_FAILED = "upload_failed"
    UPLOAD_WITHDRAWN = "upload_withdrawn"
    UPLOAD_RETRIED = "upload_retried"
    UPLOAD_RELEASED = "upload_released"
    UPLOAD_RESTORED = "upload_restored"
    UPLOAD_HOLD_REFUSED = "upload_hold_refused"
    BUCKET_RECONCILED = "bucket_reconciled"
    BATCHES_HELD = "batches_held"
    RANGE_ARCHIVED = "range_archived"
    RANGE_RESTORED = "range_restored"
    REPORT_DOWNLOADED = "report_downloaded"
    JOB_RETRIED = "job_retried"
    BATCH_RETRIED = "batch_retried"
    BATCH_STOPPED = "batch_stopped"
    BATCH_RELEASED = "batch_released"
    MESSAGE_SENT = "message_sent"
    MESSAGE_RETRIED = "message_retried"
    MESSAGE_UNMASKED = "message_unmasked"
    DELIVERY_REPORT_DOWNLOADED = "delivery_report_downloaded"
    LOG_DOWNLOADED = "log_downloaded"
    LOG_EXPORT_REQUESTED = "log_export_requested"
    SENDING_PAUSED = "sending_paused"
    SENDING_RESUMED = "sending_resumed"
    NOTIFICATION_SENT = "notification_sent"
    NOTIFICATION_REFUSED = "notification_refused"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `name`: an operating-system user, a key's fingerprint, a user's id. `source_address`: an IP address as text."""

    name: str | None = None
    connection_id: str | None = None
    source_address: str | None = None


NOBODY: Final = Actor()


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it was recorded. `at` is aware UTC."""

    at: datetime
    event: str
    actor: str | None
    source_address: str | None
    connection_id: str | None
    details: Mapping[str, object] = field(default_factory=dict)


async def record_event(
    connection: Connection,
    event: AuditEvent,
    *,
    campaign_id: str | None = None,
    upload_id: str | None = None,
    actor: Actor = NOBODY,
    details: EventDetails | None = None,
) -> None:
    """Record one event in the caller's transaction, so that it is stored together with what it tells, or not at all."""
    await connection.execute(
        SQL["record_event"],
        event.value,
        campaign_id,
        upload_id,
        actor.connection_id,
        actor.name,
        actor.source_address,
        json.dumps(details or {}),
    )


async def fetch_events_of_upload(connection: Connection, upload_id: str) -> list[RecordedEvent]:
    """All events of one upload that aren't archived, oldest first. An unknown upload has none."""
    return [_event_of(row) for row in await connection.fetch(SQL["fetch_events_of_upload"], upload_id)]


async def fetch_logins(connection: Connection, campaign_id: str, limit: int) -> list[RecordedEvent]:
    """Logins by SFTP, refused ones and ends of sessions, the newest first, among the campaign's newest 100,000 events.

    Those that are archived are left out.
    """
    kinds = [AuditEvent.LOGIN_ACCEPTED, AuditEvent.LOGIN_REFUSED, AuditEvent.SESSION_ENDED]
    rows = await connection.fetch(SQL["fetch_logins"], campaign_id, [kind.value for kind in kinds], limit)
    return [_event_of(row) for row in rows]


def _event_of(row: asyncpg.Record) -> RecordedEvent:
    return RecordedEvent(
        at=row["at"],
        event=row["event"],
        actor=row["actor"],
        source_address=row["source_address"],
        connection_id=row["connection_id"],
        details=read_details(row["details"]),
    )

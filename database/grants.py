"""Which part of the gateway needs which rights on which table: one table, from which `migrate --grants` prints the statements.

Whoever takes over one part, such as the front, which speaks with the whole internet, can then do with the database what that part
does, and no more. A role of the database stands for each part. The role that migrates owns the tables, and none of these is it.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final


class DatabaseRole(StrEnum):
    """The roles, by the names that the database has for them."""

    FRONT = "sftp_gateway_front"
    WORKER = "sftp_gateway_worker"
    SENDER = "sftp_gateway_sender"
    API = "sftp_gateway_api"
    CONSOLE = "sftp_gateway_console"
    ADMIN = "sftp_gateway_admin"


_FRONT, _WORKER, _SENDER, _API, _CONSOLE, _ADMIN = DatabaseRole
_EVERYBODY_READS: Final[Mapping[DatabaseRole, tuple[str, ...]]] = dict.fromkeys(DatabaseRole, ("select",))
# A notification's end is shown in these columns of its upload, by a trigger that runs with the rights of whoever writes it.
_SHOWS_END: Final = "update (notified_at, notification_refused_at, notification_error)"

# Every table of the schema has its line here, also where nobody has a right on it; a right on some columns names them.
RIGHTS: Final[Mapping[str, Mapping[DatabaseRole, tuple[str, ...]]]] = {
    "schema_migrations": _EVERYBODY_READS,
    "campaigns": {
        # Not the agency's address, which only the e-mails need.
        _FRONT: ("select (id, name, status, allowed_sources)",),
        _WORKER: ("select",),
        _SENDER: ("select (id, name, channel, header, status, otp)",),
        # Not the agency's address.
        _API: (
            "select (id, channel, header, status, otp, created_at, api_addresses, api_rate, nric, creator_id)",
        ),
        _CONSOLE: ("select", "insert", "update"),
        _ADMIN: ("select", "insert", "update"),
    },
    "template_bodies": {
        _WORKER: ("select",),
        _SENDER: ("select",),
        _API: ("select",),
        _CONSOLE: ("select", "insert"),
        _ADMIN: ("select", "insert"),
    },
    "ssh_keys": {
        _FRONT: ("select (campaign_id, fingerprint, revoked_at)",),
        _WORKER: ("select (id, campaign_id, fingerprint, label)",),
        _CONSOLE: ("select", "insert", "update (revoked_at)"),
        _ADMIN: ("select", "insert", "update (revoked_at)"),
    },
    # A change of host keys locks the table, for which PostgreSQL demands the right to update all of it.
    "api_keys": {
        _WORKER: ("select (campaign_id, prefix, name)",),
        _API: ("select",),
        _CONSOLE: ("select", "insert", "update (deleted_at)"),
        _ADMIN: ("select", "insert", "update (deleted_at)"),
    },
    "api_uses": {_API: ("select", "insert", "update", "delete"), _CONSOLE: ("select",), _ADMIN: ("select",)},
    "api_calls": {_API: ("select", "insert", "update"), _ADMIN: ("select",)},
    "idempotency_keys": {_WORKER: ("delete", "select"), _API: ("select", "insert", "update", "delete")},
    "nric_test_identifiers": {
        _API: ("select",),
        _CONSOLE: ("select",),
        _ADMIN: ("select", "insert", "update", "delete"),
    },
    "agencies": {
        _WORKER: ("select",),
        _CONSOLE: ("select", "insert", "update"),
        _ADMIN: ("select", "insert", "update"),
    },
    "agency_domains": {
        _WORKER: ("select",),
        _CONSOLE: ("select", "insert", "update", "delete"),
        _ADMIN: ("select", "insert", "update", "delete"),
    },
    # Who made a message stands in its documents.
    "users": {
        _WORKER: ("select (id, email)",),
        _API: ("select (id, email)",),
        _CONSOLE: ("select", "insert", "update"),
        _ADMIN: ("select", "insert", "update"),
    },
    "members": {
        _CONSOLE: ("select", "insert", "update", "delete"),
        _ADMIN: ("select", "insert", "update", "delete"),
    },
    # The console's own. Ops end sessions at the command line, too.
    "login_codes": {_CONSOLE: ("select", "insert", "update", "delete")},
    "console_sessions": {
        _CONSOLE: ("select", "insert", "update", "delete"),
        _ADMIN: ("select", "update (ended_at)"),
    },
    "console_forms": {_CONSOLE: ("select", "insert", "update", "delete")},
    "campaign_drafts": {_CONSOLE: ("select", "insert", "update", "delete")},
    "campaign_visits": {_CONSOLE: ("select", "insert", "update")},
    "console_banner": {_CONSOLE: ("select", "insert", "update", "delete")},
    "sftp_sessions": {
        _FRONT: ("select", "insert", "update", "delete"),
        _CONSOLE: ("select",),
        _ADMIN: ("select",),
    },
    "host_key_fingerprints": {
        _FRONT: ("select",),
        _CONSOLE: ("select",),
        _ADMIN: ("select", "insert", "update"),
    },
    "uploads": {
        _FRONT: ("select", "insert", "update (listed, modified_at, untold)", _SHOWS_END),
        _WORKER: ("select", "insert", "update"),
        _API: ("select", "insert", "update"),
        _CONSOLE: ("select", "insert", "update"),
        # What a restore has lost is entered again.
        _ADMIN: ("select", "insert", "update"),
    },
    # What is only counted, the front counts, and the worker takes out again to tell it.
    "refusal_counts": {
        _FRONT: ("select", "insert", "update (refusals)"),
        _WORKER: ("select", "delete"),
    },
    "notifications": {
        # What the front refuses, it has told. It counts what waits, for the metrics; what it says stays unread.
        _FRONT: ("insert (upload_id, outcome, status, facts)", "select (created_at, done_at)"),
        _WORKER: ("select", "insert", "update (done_at, sent_at, refused_at, error)"),
        _CONSOLE: ("select (created_at, done_at)",),
    },
    # A batch's number is read back, to copy its messages in; its time is that of their end.
    "batches": {
        # Message logs are made in the background by the worker, which so reads all of it.
        _WORKER: ("insert", "select", "update (created_at)"),
        _SENDER: ("select", "update"),
        _API: ("select", "insert", "update"),
        _CONSOLE: ("select", "insert", "update"),
        _ADMIN: ("select", "update"),
    },
    "messages": {
        _WORKER: ("select", "insert"),
        _SENDER: ("select",),
        _API: ("select", "insert"),
        _CONSOLE: ("select", "insert"),
        _ADMIN: ("select",),
    },
    "attempts": {
        _WORKER: ("select",),
        _SENDER: ("select", "insert", "update"),
        _API: ("select", "insert", "update"),
        _CONSOLE: ("select", "insert", "update"),
        _ADMIN: ("select", "insert", "update"),
    },
    "senders": {
        _SENDER: ("select", "insert", "update"),
        _API: ("select (id, provider)",),
        _CONSOLE: ("select", "update"),
        _ADMIN: ("select", "update"),
    },
    "lanes": {
        _SENDER: ("select", "insert", "update"),
        _API: ("select (id, sender_id, priority)",),
        _CONSOLE: ("select", "insert", "update"),
        _ADMIN: ("select", "insert", "update"),
    },
    # What an attempt's outcome comes to, triggers count with their owner's rights.
    "usage_days": {_WORKER: ("select",), _CONSOLE: ("select",), _ADMIN: ("select",)},
    "late_outcomes": {_WORKER: ("select",), _CONSOLE: ("select",), _ADMIN: ("select",)},
    "usage_checks": {
        _WORKER: ("select", "insert", "update"),
        _ADMIN: ("select", "insert", "update"),
    },
    "price_periods": {_WORKER: ("select",), _CONSOLE: ("select",), _ADMIN: ("select",)},
    "prices": {_WORKER: ("select",), _CONSOLE: ("select",), _ADMIN: ("select", "insert")},
    "billing_months": {
        _WORKER: ("select", "insert"),
        _CONSOLE: ("select",),
        _ADMIN: ("select", "insert"),
    },
    "billing_reports": {
        _WORKER: ("select", "insert"),
        _CONSOLE: ("select",),
        _ADMIN: ("select", "insert"),
    },
    "billing_report_campaigns": {
        _WORKER: ("select", "insert"),
        _CONSOLE: ("select",),
        _ADMIN: ("select", "insert"),
    },
    "billing_report_lines": {
        _WORKER: ("select", "insert"),
        _CONSOLE: ("select",),
        _ADMIN: ("select", "insert"),
    },
    "log_exports": {_WORKER: ("select", "update", "delete"), _CONSOLE: ("select", "insert")},
    "outcome_groups": {_SENDER: ("select", "insert", "update", "delete")},
    "message_parts": {_SENDER: ("select", "insert", "update", "delete")},
    "part_receipts": {_SENDER: ("select", "insert", "update", "delete")},
    # What a receipt shows to have left doesn't go again.
    "due": {
        _SENDER: ("select", "insert", "update", "delete"),
        _API: ("select", "insert", "delete"),
        # Ops release what is held, here and at the command line.
        _CONSOLE: ("select", "insert", "update (at)", "delete"),
        _ADMIN: ("select", "insert", "update (at)", "delete"),
    },
    # A sender that is about to sign its first callback makes the first key.
    "secret_keys": {
        _SENDER: ("select", "insert"),
        _API: ("select",),
        _CONSOLE: ("select", "insert"),
        _ADMIN: ("select", "insert", "update", "delete"),
    },
    "twilio_accounts": {
        _SENDER: ("select",),
        _CONSOLE: ("select", "insert", "update", "delete"),
        _ADMIN: ("select", "insert", "update", "delete"),
    },
    # Who doesn't find a message asks whether it is archived.
    "archives": {
        _WORKER: ("select",),
        _API: ("select (name, kind, begins, ends, state, first_at, last_at)",),
        _CONSOLE: ("select (name, kind, begins, ends, state, first_at, last_at)",),
        _ADMIN: ("select",),
    },
    "archive_files": {_WORKER: ("select", "insert", "delete"), _ADMIN: ("select", "insert", "delete")},
    "archived_usage": {},
    # What lists and logs still ask of events that are archived; a function writes it.
    "kept_events": {
        _WORKER: ("select (id, upload_id, event, actor)",),
        _CONSOLE: ("select",),
        _ADMIN: ("select",),
    },
    "message_status": {_CONSOLE: ("select",), _ADMIN: ("select",)},
    "audit_events": {
        _FRONT: ("insert",),
        # A log names the key that a file came with, and old ranges are copied into the bucket.
        _WORKER: ("select", "insert"),
        _SENDER: ("insert",),
        _API: ("insert",),
        _CONSOLE: ("select", "insert"),
        _ADMIN: ("select", "insert"),
    },
    # From when to when the events, messages and attempts of each range are, for who puts old ones into the bucket.
    "record_ranges": {_WORKER: ("select",), _ADMIN: ("select",)},
    # PgQueuer's own. A job holds an id and nothing else.
    "pgqueuer": {
        _FRONT: ("select", "insert"),
        _API: ("select", "insert"),
        _CONSOLE: ("select", "insert"),
        _WORKER: ("select", "insert", "update", "delete"),
        # `job retry` lets a held one run again, or forgets it where another one of its subject is there.
        _ADMIN: ("select", "insert", "update", "delete"),
    },
    "pgqueuer_log": {
        _FRONT: ("insert",),
        _API: ("insert",),
        _CONSOLE: ("insert",),
        _WORKER: ("select", "insert", "update", "delete"),
        _ADMIN: ("insert",),
    },
    "pgqueuer_statistics": {_WORKER: ("select", "insert", "update", "delete")},
    "pgqueuer_schedules": {_WORKER: ("select",)},
}
# The tables whose ids come from a sequence that whoever inserts must be let use.
_SEQUENCES: Final = {"pgqueuer": "pgqueuer_id_seq", "pgqueuer_statistics": "pgqueuer_statistics_id_seq"}
# What these functions tell or do, they do with their owner's rights.
_FUNCTIONS: Final[Mapping[str, tuple[DatabaseRole, ...]]] = dict.fromkeys(
    (
        "usage_differences(text)",
        # Tables are dropped and attached by their owner alone.
        "archive_obstacles(bigint, bigint, timestamptz)",
        "seal_archive(text, bigint, bigint, timestamptz, timestamptz)",
        "unseal_archive(text)",
        "count_archived_usage(text)",
        "keep_archived_events(text)",
        "finish_archive(text)",
        "begin_restore(text)",
        "finish_restore(text)",
    ),
    (_WORKER, _ADMIN),
)


def grant_statements() -> Iterator[str]:
    """The SQL statements, one each, which leave these roles with exactly the rights of the table, whatever they had before.

    They are for the owner of the tables. The roles must exist, and the schema be up to date.
    """
    everybody = ", ".join(DatabaseRole)
    yield "begin;"
    yield f"grant usage on schema public to {everybody};"
    for table, by_role in RIGHTS.items():
        yield f"revoke all on {table} from {everybody};"
        for role, rights in by_role.items():
            yield f"grant {', '.join(rights)} on {table} to {role};"
    for table, sequence in _SEQUENCES.items():
        yield f"revoke all on sequence {sequence} from {everybody};"
        inserting = [role for role, rights in RIGHTS[table].items() if "insert" in rights]
        yield f"grant usage on sequence {sequence} to {', '.join(inserting)};"
    for function, roles in _FUNCTIONS.items():
        yield f"revoke all on function {function} from {everybody};"
        yield f"grant execute on function {function} to {', '.join(roles)};"
    yield "commit;"

-- name: add_ranges
select add_message_ranges() as messages, add_audit_ranges() as audit_events

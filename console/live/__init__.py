"""Pages that follow what changes: one LISTEN connection a process, and a stream of server-sent events for each open page."""

"""Commands about what the bucket has and the database hasn't: after a restore, and of messages that were archived."""

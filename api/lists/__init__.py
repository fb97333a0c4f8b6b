"""What became of messages: one of them, a batch's, a campaign's, and another try for what has failed (8-api.md §2.3 to §2.7)."""

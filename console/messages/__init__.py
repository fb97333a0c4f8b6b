"""Pages about messages: a campaign's, its batches, one batch, one message; retries, downloads, and what ops may do."""

"""The commands about the HTTP API: keys, and what lets a campaign call."""

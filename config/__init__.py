"""Settings, logs, identifiers and fault points: every other room may import this one, and it imports none of them."""

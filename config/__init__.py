"""Settings, logs, the database pool and its schema: what every other room stands on, and which stands on none."""

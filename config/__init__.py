"""Settings, logs and names of points for tests: what every other room stands on, and which stands on none."""

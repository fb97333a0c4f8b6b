"""Bytes of a CSV to columns and findings, and back to a report: pure, bounded in memory, no I/O but the bytes given."""

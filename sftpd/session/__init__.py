"""A logged-in session: its packets, the drop box that it sees, and its uploads."""

"""The console: pages for agency officers, ops and admins, rendered here and sent whole. Scripts only spare reloads."""

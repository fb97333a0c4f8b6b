"""Campaigns: who an agency is to this gateway, and what its messages say."""

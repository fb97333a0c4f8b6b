"""Campaigns: who an agency is to this gateway, and what its messages say.

In: an admin's commands. Out: rows of `campaigns` and `template_bodies`, and a campaign with its template for `processing`. The
next room is `keys`, which holds the keys that a campaign logs in with.
"""

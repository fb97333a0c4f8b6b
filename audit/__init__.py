"""The audit trail: who did what, from where, to which campaign or upload.

In: events from all rooms above, each in the transaction of what it tells. Out: rows of `audit_events`, kept for ever, and an
upload's timeline; and what of them is in the bucket (`archived`). There is no next room.
"""

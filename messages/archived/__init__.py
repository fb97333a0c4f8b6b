"""Messages that have left the database for the bucket: who looks for a message, and doesn't find it, asks here.

In: a batch's number, or a message's id. Out: the name of the archive that has it (`ranges`). What makes archives, and reads
them, is above this room: `processing/archives/`.
"""

"""What lets an upload be found again after the database was restored to an earlier moment.

In: each original tells in its metadata what its row knew (`receipts`), and before an upload has its outcome a mark beside it
tells which (`marks`). Out: `run` compares bucket and database and enters what is missing; what may have been told or sent already
is held (`holds`) until ops release or refuse it. Nothing here sends an e-mail or a message.
"""

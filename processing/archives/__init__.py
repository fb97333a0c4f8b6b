"""Old ranges of messages and of audit events leave the database for the bucket, as Parquet files, and come back.

In: a range that nothing holds any more (`ranges.check_range`). `archiving` seals it, writes its files and reads each back,
writes down what is asked of it later, and lets its tables go in the one transaction that says that it is archived: so at each
moment its rows are in the database or in the bucket, and killed anywhere it goes on at the next call. `restoring` brings all of
it back; `reading` fetches a single message. `archives` has the tables, `files` the form of the files. The worker's retention
calls `nightly`.
"""

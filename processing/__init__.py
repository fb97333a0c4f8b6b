"""From a finished spool to one outcome: a batch with its messages, or a report.

In: `intake` takes a finished spool and stores the object, the upload and its job. The job then reads columns, finds what
is wrong and reaches a verdict. Out: a batch with its messages through the room `messages`, or a report in the bucket, and
a notification. `processing.uploads` runs the SQL on the table `uploads`; who composes the process starts the jobs.
"""

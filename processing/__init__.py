"""From a finished spool to one outcome: a batch with its messages, or a report.

In: `intake` stores the object, the upload and its job. Then the job: columns, findings, verdict. Out: `batches` and
`messages` for the sending core, a report in the bucket, and a job for `notifications`.
"""

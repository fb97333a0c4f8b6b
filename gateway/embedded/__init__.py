"""PostgreSQL, S3 and a mailbox in folders of their own, for the demo, the devstack and the tests; never for production.

They are real servers on loopback: the same asyncpg, boto3 and SMTP code speaks to them as to those of an agency.
"""

"""A logged-in session: its packets, the drop box that it sees, and its uploads.

In: requests of SFTP version 3. Out: bytes in `sftpd.spool`, and finished ones to `processing.intake`.
"""

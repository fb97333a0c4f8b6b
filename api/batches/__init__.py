"""Batch sends: a body comes in, its file goes through the intake as one of SFTP does, and the answer is the verdict."""

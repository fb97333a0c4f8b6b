"""The commands of `sftp-gateway`, one module for each noun.

A module's `register(app)` adds its commands. What is slow to import is imported inside a command, so that `--help` and
shell completion stay quick.
"""

"""Verdicts on uploads: what one depends on and says, how it is made, and the processes that make it."""

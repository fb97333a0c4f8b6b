"""What a node needs from outside, by the names that `check`, `/readyz` and the metrics use, and what it tells of what waits.

This stands apart from the probes, because the table of parts names dependencies and must be quick to import.
"""

from enum import StrEnum
from typing import Final


class Dependency(StrEnum):
    """The things outside, in the order in which `check` and `/readyz` list them."""

    DATABASE = "database"
    S3 = "s3"
    SMTP = "smtp"
    HOST_KEYS = "hostkeys"
    SPOOL = "spool"


# Uploads are taken and judged without the mail server too; only the e-mails wait for it.
DISPENSABLE: Final = frozenset({Dependency.SMTP})


class Backlog(StrEnum):
    """What waits in PostgreSQL, or was found there, and is told as metrics, each by the parts that may read it there."""

    UPLOADS = "uploads"
    MESSAGES = "messages"
    CHECKS = "checks"

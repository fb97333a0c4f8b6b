"""What a node needs from outside, by the names that `check`, `/readyz` and the metrics use.

This stands apart from the probes, because the table of parts names dependencies and must be quick to import.
"""

from enum import StrEnum
from typing import Final


class Dependency(StrEnum):
    """In the order in which they are told."""

    DATABASE = "database"
    S3 = "s3"
    SMTP = "smtp"
    HOST_KEYS = "hostkeys"
    SPOOL = "spool"


# Without it uploads are taken and decided all the same; only the e-mails wait.
DISPENSABLE: Final = frozenset({Dependency.SMTP})

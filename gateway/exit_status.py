"""The exit statuses of `sftp-gateway` (2-gateway.md §5), and what a parent and its children say to each other by them."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """What a caller learns: done, refused by a rule, usage or configuration, a service away."""

    DONE = 0
    REFUSED = 1
    CONFIGURATION = 2
    UNREACHABLE = 3

"""The deployments that exist: what may be sent, and to whom, differs between them."""

from enum import StrEnum


class Environment(StrEnum):
    """Where this gateway runs.

    `test`: at most 20 rows, simulator numbers, a training line in every message. `production`: the real thing. `loadtest`: takes
    everything and sends nothing.
    """

    TEST = "test"
    PRODUCTION = "production"
    LOADTEST = "loadtest"

"""The two deployments that exist: what may be sent, and to whom, differs between them."""

from enum import StrEnum


class Environment(StrEnum):
    """`test`: at most 20 rows, simulator numbers, a training line in every message. `production`: the real thing."""

    TEST = "test"
    PRODUCTION = "production"

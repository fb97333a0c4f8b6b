"""The errors of this room. Their texts are written for the person at the command line, and hold no secrets."""

from config.errors import ConfigError


class DatabaseError(ConfigError):
    """The database, which is part of the gateway's surroundings, is not as it must be; the text says what to do."""


class ServiceUnreachable(DatabaseError):  # noqa: N818 - a fact about a service, read as one
    """The database did not answer, or was too busy: the same call may succeed later."""


class SchemaError(DatabaseError):
    """The database's schema is none that this program may start on, or its server is too old to hold it."""


class OutcomeUnknown(ServiceUnreachable):
    """It went away at a COMMIT: whether that was carried out isn't known."""

"""The errors of this room. Their texts are written for the person at the command line, and hold no secrets."""


class ConfigError(Exception):
    """Something about the gateway's surroundings is wrong; the text says what, where and what to do."""


class ConfigurationError(ConfigError):
    """A setting is wrong: nothing starts until a person mends it."""


class ServiceUnreachable(ConfigError):  # noqa: N818 - a fact about a service, read as one
    """A service did not answer: the same call may succeed later."""


class SchemaError(ConfigError):
    """The database's schema is not the one this release needs."""

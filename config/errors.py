"""The errors of this room. Their texts are written for the person at the command line, and hold no secrets."""


class ConfigError(Exception):
    """Something about the gateway's surroundings is wrong; the text says what, where and what to do."""


class ConfigurationError(ConfigError):
    """A setting is wrong: nothing starts until a person mends it."""

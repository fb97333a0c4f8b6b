"""The errors of this room. Their texts are for the admin at the command line, and hold no keys and no personal data."""


class KeysError(Exception):
    """A rule refused an admin's call; the text says what is wrong and what to do. Nothing was stored."""


class KeyRefused(KeysError):  # noqa: N818 - a fact, read as one
    """A public key, or what was given as one, is not acceptable. Each refusal names its cure."""


class KeyNotFound(KeysError):  # noqa: N818 - a fact, read as one
    """The campaign has no such key in force."""


class HostKeyError(KeysError):
    """Host keys are missing, unreadable, or not those that the other nodes show: a node doesn't start with them."""


class HostKeyRefused(KeysError):  # noqa: N818 - a fact, read as one
    """A change of host keys is not possible now: a rotation is going on, or none is, or they were made elsewhere."""

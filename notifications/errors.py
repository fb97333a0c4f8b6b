"""The errors of this room. The caller tries MailUnavailable again later, and stops at MailRefused.

Their texts are fixed, since a mail server's own words may hold an address.
"""


class NotificationError(Exception):
    """An e-mail could not be handed over."""


class MailUnavailable(NotificationError):  # noqa: N818 - read as a fact
    """The mail server is away, slow, busy or refuses for now: the same e-mail may be taken later."""


class MailRefused(NotificationError):  # noqa: N818
    """The mail server refuses this e-mail for good."""

"""The errors of this room. Their texts are for the person who asked."""


class BillingError(Exception):
    """What was asked breaks a rule; the text says what is wrong and what to do. Nothing was stored."""


class NotPosted(BillingError):  # noqa: N818 - a fact, read as one
    """The month has no report yet."""


class BillingRefused(BillingError):  # noqa: N818 - a fact, read as one
    """A price, a closing or a correction that the rules don't allow."""

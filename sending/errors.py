"""The errors of this room: what was asked of a sender is refused. Their texts are for whoever asked."""


class SendingError(Exception):
    """What was asked of the sending core can't be done; the text says what is wrong and what to do."""


class SenderNotFound(SendingError):  # noqa: N818 - a fact, read as one
    """No sender has this name, or the campaign's channel has none yet."""


class RestoreNotConfirmed(SendingError):  # noqa: N818 - a fact, read as one
    """The senders of a restored database are resumed only by somebody who says so in so many words."""

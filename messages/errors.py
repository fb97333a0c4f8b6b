"""The errors of this room: what was asked of a message or a batch is refused. Their texts are for whoever asked.

The first split is what the caller tells: there is no such thing, or a rule refuses. `code` is the one of the API (8-api.md §4).
"""

from typing import ClassVar


class MessagesError(Exception):
    """A call about a message or a batch was refused; the text says what is wrong and what to do. Nothing was changed."""


class MessageNotFound(MessagesError):  # noqa: N818 - a fact, read as one
    """No message has this id, or it is another campaign's."""


class BatchNotFound(MessagesError):  # noqa: N818 - a fact, read as one
    """No batch has this id, or it is another campaign's."""


class MessagesArchived(MessagesError):  # noqa: N818 - a fact, read as one
    """They have left the database for the bucket: `archive` has them. The text is for ops, who can bring them back."""

    def __init__(self, archive: str) -> None:
        super().__init__(
            f"its messages are archived in {archive}: bring them back with `sftp-gateway archive restore {archive}`"
        )
        self.archive = archive


class ChangeRefused(MessagesError):  # noqa: N818 - a fact, read as one
    """A rule refuses what was asked of `subject`, such as `message message_…`; `reason` goes on from there."""

    code: ClassVar[str]

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(f"{subject} {reason}")
        self.reason = reason


class MessageNotRetryable(ChangeRefused):
    """The message hasn't failed, was stopped, or its batch is none whose messages are retried."""

    code = "message_not_retryable"


class RetryLimitReached(ChangeRefused):
    """The message was retried as often as the settings allow."""

    code = "retry_limit_reached"


class BatchNotRetryable(ChangeRefused):
    """Some of its messages haven't begun, or its status is none from which a batch is retried."""

    code = "batch_not_retryable"


class BatchNotHeld(ChangeRefused):
    """It is not held, so that there is nothing to release."""

    code = "batch_not_held"


class BatchEnded(ChangeRefused):
    """All its messages have their last status, or it was stopped before: there is nothing to stop."""

    code = "batch_ended"

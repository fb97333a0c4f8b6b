"""The errors of this room. First split: what the caller does, again or stop. Texts are fixed: they reach logs and the queue."""


class ProcessingError(Exception):
    """Something of the service itself is at fault, never a sender's file (that is a Finding)."""


class TemporaryTrouble(ProcessingError):  # noqa: N818 - read as a fact
    """A service is away or slow: the same step may succeed later."""


class StoreUnavailable(TemporaryTrouble):
    """The bucket did not answer, or refused."""


class ReopeningRefused(ProcessingError):  # noqa: N818
    """The upload is in no state in which ops may retry or release it; the text tells them why."""


class ObjectMissing(ProcessingError):  # noqa: N818
    """An object that the database knows is not in the bucket."""

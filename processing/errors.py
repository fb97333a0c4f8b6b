"""The errors of this room, split first by what the caller does: try again, or stop.

Their texts are fixed and hold no rows, since they reach logs and the queue's tables.
"""


class ProcessingError(Exception):
    """This room can't do what it was asked. Never raised for what is wrong with an upload: that is a Finding."""


class TemporaryTrouble(ProcessingError):  # noqa: N818 - the name states a fact
    """A service is away or slow: the same step may succeed later."""


class StoreUnavailable(TemporaryTrouble):
    """The bucket did not answer, or refused."""


class ChildUnavailable(TemporaryTrouble):
    """The machine couldn't start a process for a verdict, or it didn't get ready in time."""

    def __init__(self) -> None:
        super().__init__("the process for verdicts didn't start")


class ReopeningRefused(ProcessingError):  # noqa: N818
    """The upload is in no state in which ops may retry or release it; the text tells them why."""


class SendingRefused(ProcessingError):  # noqa: N818
    """A checked upload can't be sent or forgotten; the text tells its sender why."""


class SameFileSent(SendingRefused):
    """The same bytes were sent, or are being sent, and whoever says that they be sent again hasn't been told so."""


class ObjectMissing(ProcessingError):  # noqa: N818
    """An object that the database knows is not in the bucket."""


class VerdictExceeded(ProcessingError):  # noqa: N818
    """A verdict took more than it may, so that its upload has failed. `limit`: memory, output, processor, time or died."""

    def __init__(self, limit: str) -> None:
        super().__init__(
            f"the verdict exceeded a limit: {limit}"
            if limit != "died"
            else "the verdict's process died twice"
        )
        self.limit = limit


class ArchivingBusy(TemporaryTrouble):
    """Somebody else archives or restores."""

    def __init__(self) -> None:
        super().__init__("somebody else archives or restores just now: try again when that is done")


class RangeInUse(TemporaryTrouble):
    """A range can't leave the database at this moment; what is done of it is kept, and gone on with."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} isn't archived yet: {reason}")


class RangeStays(ProcessingError):  # noqa: N818 - a fact, read as one
    """Something speaks against archiving a range; `reason` says what."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} stays in the database: {reason}")
        self.reason = reason


class ArchiveUnknown(ProcessingError):  # noqa: N818 - a fact, read as one
    """There is no archive of that name that could be restored."""


class ArchiveDamaged(ProcessingError):  # noqa: N818 - a fact, read as one
    """A file of an archive isn't in the bucket, or isn't what was written."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the archive's file {key} is gone from the bucket, or isn't what was written: bring back its version of before"
        )

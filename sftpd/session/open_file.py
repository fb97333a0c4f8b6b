"""One open handle of the drop box: what it is writing, or why it will never complete anything."""

from dataclasses import dataclass
from datetime import datetime

from sftpd.refusals import Refusal
from sftpd.session.file_names import NameKind
from sftpd.spool.partials import Partial
from sftpd.spool.spool_file import SpoolFile


@dataclass(slots=True, eq=False)
class OpenFile:
    """A handle. It has a `spooled` copy of its own, or shows a `partial` until its first WRITE decides."""

    name: str
    kind: NameKind
    announced: int | None
    # Opened with truncation: whatever had this name before, this is a new upload, even an empty one.
    opened_anew: bool = True
    # The client gave its size by FSETSTAT.
    size_was_set: bool = False
    spooled: SpoolFile | None = None
    partial: Partial | None = None
    # Why it is spoilt: clients still send CLOSE, and that completes nothing.
    refusal: Refusal | None = None
    modified_at: datetime | None = None

    @property
    def size(self) -> int:
        """What FSTAT tells, in bytes."""
        if self.spooled is not None:
            return self.spooled.size
        return self.partial.size if self.partial is not None else 0

"""Refusals: one type for each, with the SFTP status, the line that a person reads, and the log event.

The line is sent to the client as the status text, and once on the channel's stderr. It is written here, so that it never
holds a file name, an exception's text or anything of another campaign.
"""

from typing import ClassVar, Final

from asyncssh.constants import (
    FX_BAD_MESSAGE,
    FX_FAILURE,
    FX_NO_SUCH_FILE,
    FX_OP_UNSUPPORTED,
    FX_PERMISSION_DENIED,
)

from config.sizes import MAX_UPLOAD_BYTES, size_text


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """What an SFTP client is told instead of OK.

    With `shown`, its line goes to the channel's stderr as well, which OpenSSH's and PuTTY's clients print.
    """

    status: ClassVar[int] = FX_PERMISSION_DENIED
    text: ClassVar[str] = "not allowed"
    event: ClassVar[str] = "request_refused"
    shown: ClassVar[bool] = True

    def __init__(self, detail: str | None = None) -> None:
        """`detail` takes the place of the fixed text where a figure, or the intake's own line, belongs in it."""
        self.line: Final = detail or self.text
        super().__init__(self.line)


class SpoilingRefusal(Refusal):
    """The spool can take no more of this upload. What came is dropped, and the handle completes nothing."""

    status = FX_FAILURE


class NotCSV(Refusal):
    """The name ends neither in .csv nor in a temporary suffix."""

    text = "only .csv files are accepted"
    event = "upload_refused_not_csv"


class NameRefused(Refusal):
    """The name breaks the name rule (2-gateway.md §1)."""

    text = "this name is not accepted: UTF-8, at most 255 bytes, no folders, no control characters"
    event = "upload_refused_name"


class FolderRefused(Refusal):
    """A path with a folder in it."""

    text = "there are no folders here: put files into /"
    event = "request_refused_folder"


class WriteOnly(Refusal):
    """A READ, or an OPEN that is for reading only."""

    text = "this service only takes uploads: nothing can be downloaded"
    event = "request_refused_read"


class AcceptedUnchangeable(Refusal):
    """RENAME, REMOVE or truncation of an accepted upload."""

    text = "an uploaded file cannot be changed, renamed or removed"
    event = "request_refused_accepted"


class InterruptedUnrenamable(Refusal):
    """RENAME of a partial whose upload was cut off or interrupted."""

    text = "this upload was interrupted: resume it or upload it again before renaming it"
    event = "rename_refused_interrupted"


class StillOpen(Refusal):
    """RENAME or REMOVE of a name that is being written."""

    text = "this file is still being uploaded: close it first"
    event = "request_refused_open"


class LinksRefused(Refusal):
    """LINK, SYMLINK, READLINK."""

    text = "links are not supported"
    event = "request_refused_link"


class AccessEnded(Refusal):
    """The key was revoked or the campaign suspended while the session was live."""

    text = "access has ended"
    event = "request_refused_revoked"


class WriterWithdrawn(Refusal):
    """A key that wrote into this partial, perhaps not this session's own, is not in force any more."""

    text = "a key that wrote into this upload was withdrawn: upload the whole file again"
    event = "upload_refused_writer"


class NoSuchFile(Refusal):
    """STAT, RENAME, REMOVE or resumption of a name that this campaign has not uploaded. Clients ask for some by themselves."""

    text = "no such file"
    event = "file_unknown"
    status = FX_NO_SUCH_FILE
    shown = False


class UnsupportedRequest(Refusal):
    """A request of another SFTP version or of an extension that is not offered."""

    text = "this request is not supported"
    event = "request_unsupported"
    status = FX_OP_UNSUPPORTED
    shown = False


class MalformedRequest(Refusal):
    """A packet that does not hold what its type says."""

    text = "malformed request"
    event = "request_malformed"
    status = FX_BAD_MESSAGE


class InvalidHandle(Refusal):
    """A handle that was never opened, or is closed already. SFTP version 3 has no better code."""

    text = "invalid handle"
    event = "handle_invalid"
    status = FX_FAILURE
    shown = False


class TooManyHandles(Refusal):
    """More open handles than `max_handles` in one session."""

    text = "too many files are open in this session: close some first"
    event = "open_refused_handles"
    status = FX_FAILURE


class TooLarge(Refusal):
    """A WRITE, FSETSTAT or announced size that reaches the limit."""

    _form = "the file is too large: it must be smaller than {limit}; split it"
    text = _form.format(limit=size_text(MAX_UPLOAD_BYTES))
    event = "upload_refused_too_large"

    @classmethod
    def beyond(cls, limit: int) -> "TooLarge":
        """The refusal, naming a limit given in bytes."""
        return cls(cls._form.format(limit=size_text(limit)))


class UploadInterrupted(Refusal):
    """A CLOSE that looks like that of an interrupted upload."""

    text = "the upload looks interrupted and was not processed: upload it again"
    event = "upload_refused_interrupted"
    status = FX_FAILURE

    @classmethod
    def after(cls, size: int) -> "UploadInterrupted":
        """The refusal, telling how many bytes came and the way out for a file that really is whole."""
        return cls(
            f"the upload looks interrupted after {size} bytes and was not processed: upload it again; "
            "if the file really is whole, add one empty line at its end"
        )


class WrongOffset(Refusal):
    """The first WRITE after an OPEN without truncation is neither at 0 nor at the partial's end."""

    text = "an upload can only be resumed at its end or begun anew: upload the whole file again"
    event = "resume_refused_offset"
    status = FX_FAILURE


class PartialTaken(Refusal):
    """The partial to resume is being resumed elsewhere, or is gone."""

    text = "the unfinished upload is no longer there: upload the whole file again"
    event = "resume_refused_taken"
    status = FX_FAILURE


class TooScattered(SpoilingRefusal):
    """An upload in so many separate ranges that only an attack writes them."""

    text = "the file is written in too many separate pieces: upload it in order"
    event = "write_refused_scattered"


class QuotaExceeded(SpoilingRefusal):
    """The campaign's unfinished uploads take all the bytes they may."""

    text = "unfinished uploads take all the space of this campaign: finish or remove some of them"
    event = "write_refused_quota"


class SpoolFull(SpoilingRefusal):
    """The node's spool, its disk, or a limit of the process is full."""

    text = "the service cannot take more uploads at the moment: try again later"
    event = "write_refused_full"


class Unavailable(Refusal):
    """Bucket or database did not answer: nothing was accepted."""

    text = "the upload could not be stored and was not accepted: try again later"
    event = "upload_refused_unavailable"
    status = FX_FAILURE


class ListingUnavailable(Refusal):
    """The database did not answer a listing or a STAT."""

    text = "the listing is not available at the moment: try again later"
    event = "listing_unavailable"
    status = FX_FAILURE


class InternalError(Refusal):
    """An error of our own. The log has the reference, with the exception's type and place."""

    event = "internal_error"
    status = FX_FAILURE

    def __init__(self, reference: str) -> None:
        super().__init__(f"internal error, reference {reference}")

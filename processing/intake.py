"""The way in: a finished spool becomes a stored object, an upload and its job, or one clear error.

The one call between rooms. It knows nothing of SFTP: an HTTP upload would enter here too.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keys.audit import Actor
from processing.rules.codes import FindingCode


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: a campaign, through one connection."""

    campaign_id: str
    actor: Actor


@dataclass(frozen=True, slots=True)
class FinishedSpool:
    """An upload that its client has completed. The file at `path` is not changed any more; the caller removes it.

    `modified_at` is the time that the client set on the file, aware UTC.
    """

    upload_id: str
    sender: Sender
    file_name: str
    path: Path
    byte_count: int
    modified_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """What a campaign sees of an upload of its own in the last 24 hours. Times are aware UTC."""

    file_name: str
    byte_count: int
    modified_at: datetime | None
    received_at: datetime


class IntakeError(Exception):
    """The upload was not taken; the text is one line for the client, without secrets or personal data."""


class IntakeUnavailable(IntakeError):  # noqa: N818 - read as a fact
    """Bucket or database did not answer in time: the client may try again; nothing was accepted."""


class Intake:
    """Takes uploads in. One per process; calls run side by side."""

    async def store(self, spool: FinishedSpool) -> None:
        """Store object, upload and job durably, within `acknowledge_timeout` seconds in all.

        Returns only when all three are committed: then CLOSE may answer OK. Raises IntakeUnavailable otherwise.
        """

    async def refuse(
        self, sender: Sender, file_name: str, code: FindingCode, *, byte_count: int, path: Path | None = None
    ) -> str:
        """Record an upload refused before any row was read, and its reject e-mail. Returns the upload's id.

        `code`: file_too_large, file_not_csv (of these, only some an hour are mailed singly) or upload_interrupted; for
        the last, `path` is the partial, which is kept so that ops can release it. Raises IntakeUnavailable.
        """

    async def list_uploads(self, campaign_id: str) -> list[ListedUpload]:
        """The campaign's accepted uploads of the last 24 hours, the newest of each name. Raises IntakeUnavailable."""

    async def unlist_upload(self, campaign_id: str, file_name: str) -> None:
        """Take an earlier upload's name out of the listing; nothing else changes. Raises IntakeUnavailable."""

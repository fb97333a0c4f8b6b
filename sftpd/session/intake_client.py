"""The way onward, for one login: everything that the drop box asks of the intake, with its errors made refusals."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path

from config.identifiers import new_identifier
from config.logs import describe_exception, get_logger
from processing.intake import FinishedSpool, Intake, IntakeError, ListedUpload, Sender
from rules.codes import FindingCode
from sftpd.refusals import ListingUnavailable, Unavailable
from sftpd.sessions import Session
from sftpd.spool.spool_file import SpoolFile

_log = get_logger("sftpd")


class RefusedUpload(StrEnum):
    """What is refused before a row was read, and told by e-mail."""

    NOT_CSV = FindingCode.FILE_NOT_CSV
    TOO_LARGE = FindingCode.FILE_TOO_LARGE
    INTERRUPTED = FindingCode.UPLOAD_INTERRUPTED


async def report_refusal(
    intake: Intake,
    sender: Sender,
    name: str,
    reason: RefusedUpload,
    byte_count: int,
    path: Path | None = None,
) -> bool:
    """Have the reject e-mail sent. Never raises: a client gets its refusal whether or not the intake can be reached."""
    try:
        await intake.refuse(sender, name, FindingCode(reason), byte_count=byte_count, path=path)
    except Exception as error:  # noqa: BLE001 - logged; the client's answer must not depend on it
        _log.error(
            "refusal_unreported",
            campaign_id=sender.campaign_id,
            connection_id=sender.actor.connection_id,
            code=reason.value,
            **describe_exception(error),
        )
        return False
    return True


class IntakeClient:
    """What one login's drop boxes hand to the intake."""

    def __init__(self, intake: Intake, session: Session) -> None:
        self._intake = intake
        self._session = session
        self._sender = session.sender

    async def store(self, spooled: SpoolFile, name: str, modified_at: datetime | None) -> None:
        """Return when the upload is durable: then CLOSE may answer OK. Raises Unavailable; nothing was accepted then."""
        upload_id = new_identifier("upload")
        # From here to the answer the bytes have no note: a process killed now leaves nothing to resume.
        spooled.forget_notes()
        finished = FinishedSpool(
            upload_id=upload_id,
            sender=self._sender,
            file_name=name,
            path=spooled.path,
            byte_count=spooled.size,
            modified_at=modified_at,
            still_welcome=lambda: not self._session.revoked,
        )
        try:
            await self._intake.store(finished)
        except IntakeError as error:
            raise Unavailable(str(error) or None) from None

    async def report(
        self, name: str, reason: RefusedUpload, byte_count: int, path: Path | None = None
    ) -> None:
        """Have the reject e-mail sent, if the intake can be reached."""
        await report_refusal(self._intake, self._sender, name, reason, byte_count, path)

    async def uploads(self) -> dict[str, ListedUpload]:
        """The campaign's accepted uploads of 24 hours, by name. Raises ListingUnavailable."""
        try:
            return {
                upload.file_name: upload
                for upload in await self._intake.list_uploads(self._sender.campaign_id)
            }
        except IntakeError:
            raise ListingUnavailable from None

    async def upload(self, name: str) -> ListedUpload | None:
        """The campaign's accepted upload of that name, of 24 hours. Raises ListingUnavailable."""
        try:
            return await self._intake.find_upload(self._sender.campaign_id, name)
        except IntakeError:
            raise ListingUnavailable from None

    async def unlist(self, name: str) -> None:
        """Clear an earlier upload's name from the listing. Raises ListingUnavailable."""
        try:
            await self._intake.unlist_upload(self._sender.campaign_id, name)
        except IntakeError:
            raise ListingUnavailable from None

    async def set_modified_at(self, name: str, modified_at: datetime) -> None:
        """Show in the listing a time that the client set after its upload was accepted. Raises ListingUnavailable."""
        try:
            await self._intake.set_modified_at(self._sender.campaign_id, name, modified_at)
        except IntakeError:
            raise ListingUnavailable from None

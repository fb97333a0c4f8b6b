"""What one login asks of the intake: to take an upload in, or to report a refused one. Its errors become refusals."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from audit.events import Actor
from config.identifiers import new_identifier
from config.logs import describe_exception, get_logger
from database.connections import Connection
from keys.access import KeyUse, hold_access
from processing.intake import FinishedSpool, Intake, IntakeError, Sender
from rules.codes import FindingCode
from sftpd.refusals import AccessEnded, Refusal, Unavailable, WriterWithdrawn
from sftpd.sessions import Session
from sftpd.spool.partials import Partial, PartialState
from sftpd.spool.spool_file import SpoolFile

_log = get_logger("sftpd")


class RefusedUpload(StrEnum):
    """Uploads that are refused before a row was read, and of which the agency is told by e-mail."""

    NOT_CSV = FindingCode.FILE_NOT_CSV
    TOO_LARGE = FindingCode.FILE_TOO_LARGE
    INTERRUPTED = FindingCode.UPLOAD_INTERRUPTED


async def report_refusal(
    intake: Intake,
    sender: Sender,
    name: str,
    refused: RefusedUpload,
    byte_count: int,
    path: Path | None = None,
    *,
    upload_id: str | None = None,
) -> bool:
    """Have the reject e-mail sent, and return whether the intake took that on.

    It never raises, because a client gets its refusal whether or not the intake can be reached.
    """
    try:
        await intake.refuse(
            sender, name, FindingCode(refused), byte_count=byte_count, path=path, upload_id=upload_id
        )
    except Exception as error:  # noqa: BLE001 - logged; the client's answer must not depend on it
        _log.error(
            "refusal_unreported",
            campaign_id=sender.campaign_id,
            connection_id=sender.actor.connection_id,
            code=refused.value,
            **describe_exception(error),
        )
        return False
    return True


async def report_unfinished(intake: Intake, partial: Partial) -> bool:
    """Tell of a partial that was cut off, or never renamed to .csv, and return whether the intake took that on.

    Whoever tells it uses the same id, so that it is told once. One that was refused at its CLOSE, or told before, isn't told.
    """
    notes = partial.notes
    if partial.state is PartialState.INTERRUPTED or notes.reported:
        return True
    refused = RefusedUpload.INTERRUPTED if partial.state is PartialState.CUT else RefusedUpload.NOT_CSV
    sender = Sender(partial.campaign_id, Actor(notes.fingerprint, notes.connection_id, notes.source_address))
    return await report_refusal(
        intake, sender, partial.name, refused, partial.size, upload_id=partial.report_id
    )


class IntakeClient:
    """The intake, as the drop boxes of one login use it."""

    def __init__(self, intake: Intake, session: Session) -> None:
        self._intake = intake
        self._session = session
        self._sender = session.sender

    async def store(self, spooled: SpoolFile, name: str, modified_at: datetime | None) -> None:
        """Return when the upload is durable, so that CLOSE may answer OK.

        Where nothing was accepted, raises Unavailable, AccessEnded or, where another key that wrote into it has lost its
        access, WriterWithdrawn.
        """
        upload_id = new_identifier("upload")
        writers = spooled.notes.writers
        # From here to the answer the bytes have no note. If this process is killed meanwhile, they are not taken for a partial.
        spooled.forget_notes()
        finished = FinishedSpool(
            upload_id=upload_id,
            sender=self._sender,
            file_name=name,
            path=spooled.path,
            byte_count=spooled.size,
            modified_at=modified_at,
            find_unauthorized=lambda connection: self._find_unauthorized(connection, writers),
        )
        try:
            await self._intake.store(finished)
        except IntakeError as error:
            raise Unavailable(str(error) or None) from None

    async def _find_unauthorized(self, connection: Connection, writers: Iterable[KeyUse]) -> Refusal | None:
        """Why the upload may not be taken: this session's access, or that of a key which wrote into it, has ended."""
        if self._session.revoked:
            return AccessEnded()
        own = self._session.key_use
        uses = {own, *writers}
        access = await hold_access(
            connection, self._session.campaign_id, sorted({use.fingerprint for use in uses})
        )
        if access is None or not access.lets_in(own):
            return AccessEnded()
        return None if all(access.lets_in(use) for use in uses) else WriterWithdrawn()

    async def report_evicted(self, evicted: Iterable[Partial]) -> None:
        """Tell of partials that had to make room for others."""
        for partial in evicted:
            _log.info("partial_evicted", campaign_id=partial.campaign_id, bytes=partial.size)
            await report_unfinished(self._intake, partial)

    async def report(
        self, name: str, refused: RefusedUpload, byte_count: int, path: Path | None = None
    ) -> None:
        """Have the reject e-mail sent, if the intake can be reached."""
        await report_refusal(self._intake, self._sender, name, refused, byte_count, path)

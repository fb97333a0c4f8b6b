"""The marks that jobs put before an outcome: what its row will say, but for words, which may be personal."""

from config.logs import get_logger
from notifications.notifications import Rejected
from processing.errors import StoreUnavailable
from processing.object_store import ObjectStore
from processing.outcomes import NewBatch
from processing.reconcile.marks import Marked, put_mark
from processing.uploads import Upload

logger = get_logger("processing")


async def mark_accepted(store: ObjectStore, upload: Upload, batch: NewBatch) -> None:
    """Mark an upload that is about to be accepted. Raises StoreUnavailable: then it must not be."""
    await put_mark(
        store, upload, Marked.ACCEPTED,
        batch_id=batch.id, total_messages=batch.total_messages, has_unicode=batch.has_unicode,
    )  # fmt: skip


async def mark_rejected(store: ObjectStore, upload: Upload, rejected: Rejected) -> None:
    """Mark an upload that is about to be rejected. Raises StoreUnavailable: then it must not be."""
    await put_mark(
        store, upload, Marked.REJECTED,
        num_rows=rejected.num_rows, num_errors=rejected.num_errors, has_avoidable_character=rejected.has_avoidable,
        has_unicode=rejected.has_unicode, report_key=rejected.report_key,
    )  # fmt: skip


async def mark_failed(store: ObjectStore, upload: Upload) -> None:
    """Mark an upload that is about to fail, if that can be done: it may fail because the bucket is away."""
    try:
        await put_mark(store, upload, Marked.FAILED)
    except StoreUnavailable as error:
        logger.warning("outcome_unmarked", upload_id=upload.id, reason=str(error))


async def mark_withdrawn(store: ObjectStore, upload: Upload) -> None:
    """Say that nothing was sent after all of an upload that was marked as accepted, if that can be done."""
    try:
        await put_mark(store, upload, Marked.WITHDRAWN)
    except StoreUnavailable as error:
        logger.warning("outcome_unmarked", upload_id=upload.id, reason=str(error))

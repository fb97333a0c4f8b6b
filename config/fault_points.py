"""Named steps at which a test may kill the process, exactly there, to see that nothing is lost or done twice.

They do nothing unless the environment names a folder, by `GATEWAY_FAULT_POINTS=<folder>`. A file in it named like a point,
such as `intake.committed`, kills the next process that reaches that point, once, as the file is removed in the same moment.
"""

import os
import signal
from functools import cache
from pathlib import Path
from typing import Final

VARIABLE: Final = "GATEWAY_FAULT_POINTS"

POINTS: Final = (
    "spool.closed",  # the client's CLOSE has come, nothing is stored
    "intake.object_stored",  # the object is in the bucket, no row yet
    "intake.before_commit",  # upload and job are written, not committed
    "intake.committed",  # committed, and the client hasn't been told
    "verdict.begun",  # the attempt is counted
    "verdict.fetched",  # the object is here
    "verdict.judged",  # the verdict is known, nothing is stored
    "verdict.copied",  # batch and messages are written, not committed
    "verdict.report_stored",  # the report is in the bucket, no outcome yet
    "verdict.committed",  # the outcome is committed, and the job is still picked
    "notification.fetched",  # the notification is here, the mail server hasn't been asked
    "notification.sent",  # the mail server has the e-mail, which isn't recorded yet
    "notification.recorded",  # that is recorded, and the job is still picked
    "export.begun",  # a message log is wanted, nothing is read
    "export.written",  # the file is here, not in the bucket
    "export.stored",  # it is in the bucket, and its row doesn't say so
    "export.committed",  # the row says so, and the job is still picked
    "api.grouped",  # single sends are about to be written, with their answers
    "api.committed",  # they are committed, and no caller has been told
    "api.refusal_kept",  # a refusal is kept under its idempotency key, and its caller hasn't been told
    "sending.taken",  # batches have their lanes
    "sending.claimed",  # messages are committed as `sending`, none is handed over
    "sending.handed_over",  # the provider has answered, which isn't recorded yet
    "sending.received",  # a receipt is there, which isn't recorded yet
    "sending.recorded",  # outcomes are committed
    "billing.locked",  # a month is about to be posted, and has the totals to itself
    "billing.posted",  # it is written, with its reports, not committed
    "billing.committed",  # it is committed, and further ones may be due
    "archive.sealed",  # a range is sealed, no file is written
    "archive.file_written",  # some of its files are written, others aren't
    "archive.counted",  # all are, its usage is counted or its events kept; its tables are there
    "archive.archived",  # its tables are gone
    "restore.file_copied",  # some rows of an archive are in tables that nobody reads yet, others aren't
    "restore.restored",  # all are, and everybody reads them
    "reconcile.entered",  # one upload is entered again after a restore, others aren't yet
)


def reach(point: str) -> None:
    """Die here by SIGKILL if a test asked for it. `point` is one of POINTS."""
    folder = _folder()
    if folder is None:
        return
    try:
        (folder / point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@cache
def _folder() -> Path | None:
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None

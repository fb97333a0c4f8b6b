"""What must hold when nothing is left to do: every upload has one outcome and one Message-ID, and no leftovers lie anywhere."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Final

import asyncpg

from processing.object_store import ORIGINALS, REPORTS
from sftpd.spool.partials import PartialNotes
from tests.chaos.testbed.clients import Attempt, Ledger
from tests.chaos.testbed.files import UploadFile
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import Testbed, until

# Summaries of refusals are due an hour later, so their jobs are no unfinished work.
_UNFINISHED: Final = """
select (select count(*) from uploads where finished_at is null)
     + (select count(*) from notifications where done_at is null)
     + (select count(*) from pgqueuer where entrypoint <> 'refusal_summary')
"""
_UPLOADS: Final = """
select id, campaign_id, file_name, sha256, status, outcome, attempts, refusal_code, batch_id, total_messages,
       duplicate_of, num_rows, num_errors, report_key, notified_at, notification_refused_at, bytes
from uploads order by received_at
"""
_BATCHES: Final = """
select b.id, b.upload_id, b.campaign_id, b.total_messages, b.status, b.original_file_name,
       count(m.row_number) as messages, min(m.row_number) as first, max(m.row_number) as last
from batches b left join messages m using (batch_no) group by b.id
"""
_MESSAGES_TWICE: Final = """
select count(*) from (
    select 1 from messages group by "values"->>'topic' having count(*) > 1) twice
"""
_MESSAGES_ALONE: Final = """
select count(*) from messages m where not exists (select from batches b where b.batch_no = m.batch_no)
"""


@dataclass
class Inspection:
    """What was counted, and in `wrong` a line for each invariant that does not hold."""

    attempts: int = 0
    acknowledged: int = 0
    uploads: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unacknowledged_but_taken: int = 0
    retried_verdicts: int = 0
    batches: int = 0
    messages: int = 0
    e_mails: int = 0
    message_ids: int = 0
    partials: int = 0
    wrong: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raises AssertionError with everything that is wrong."""
        assert not self.wrong, "\n".join([f"{len(self.wrong)} invariants broken:", *self.wrong[:30]])


async def quiet(testbed: Testbed, stall: float = 90) -> float:
    """Wait until nothing is left to do, and return the seconds that took.

    Raises TimeoutError where the work has not become less for `stall` seconds.
    """
    began = changed = time.monotonic()
    least = None
    while left := await testbed.fetch_value(_UNFINISHED):
        if least is None or left < least:
            least, changed = left, time.monotonic()
        if time.monotonic() - changed > stall:
            message = f"{left} undecided uploads, unreceived outcomes and jobs, and no less for {stall:.0f} s"
            raise TimeoutError(message)
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def clean_spools(testbed: Testbed, timeout: float = 90) -> None:
    """Wait until each node's sweep (at its start, and each minute) has removed what the dead left behind."""

    async def clean() -> bool:
        return not any(_leftovers(node) for node in testbed.fronts)

    await until(clean, "spools without leftovers", timeout)


async def inspect(
    testbed: Testbed,
    ledger: Ledger,
    *,
    refusals: Callable[[str], bool] = lambda _code: False,
    mail: bool = True,
    other_batches: bool = False,
) -> Inspection:
    """Compare database, bucket, mailbox and spools with what was sent.

    `refusals` says with which codes uploads may be refused before any row is read. With `mail` every outcome must have been
    mailed; else e-mails that the mail server refused for good are accepted. With `other_batches` some are no upload's.
    """
    found = Inspection(attempts=len(ledger.attempts), acknowledged=ledger.acknowledged)
    rows = await testbed.fetch(_UPLOADS)
    mails = await asyncio.to_thread(testbed.mailbox.messages)
    batches = {
        row["id"]: row
        for row in await testbed.fetch(_BATCHES)
        if row["upload_id"] is not None or not other_batches
    }
    refused = [row for row in rows if row["refusal_code"] is not None]
    taken = [row for row in rows if row["refusal_code"] is None]
    found.uploads, found.batches, found.e_mails = len(rows), len(batches), len(mails)
    found.outcomes.update(row["status"] for row in rows)
    found.messages = sum(row["messages"] for row in batches.values())
    found.retried_verdicts = sum(row["attempts"] > 1 for row in rows)
    found.wrong += _wrong_refusals(refused, refusals)
    found.wrong += _wrong_uploads(taken, ledger, batches, found)
    found.wrong += _wrong_mails(rows, mails, found, mail=mail)
    found.wrong += _wrong_batches(taken, batches)
    for what, statement in (
        ("topics in two messages", _MESSAGES_TWICE),
        ("messages without a batch", _MESSAGES_ALONE),
    ):
        if count := await testbed.fetch_value(statement):
            found.wrong.append(f"{count} {what}")
    found.wrong += _wrong_spools(testbed, ledger, found)
    found.wrong += _wrong_objects(testbed, rows, found)
    found.wrong += [f"a file is left in the nodes' /tmp: {path.name}" for path in _temporary_files(testbed)]
    return found


def _by_content(attempts: Sequence[Attempt]) -> dict[tuple[str, str, str], list[Attempt]]:
    groups: dict[tuple[str, str, str], list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        groups[attempt.campaign_id, attempt.file.name, attempt.file.sha256].append(attempt)
    return groups


def _wrong_refusals(refused: Sequence[asyncpg.Record], allowed: Callable[[str], bool]) -> Iterator[str]:
    for row in refused:
        if not allowed(row["refusal_code"]):
            yield f"{row['file_name']}: refused as {row['refusal_code']}"


def _wrong_uploads(
    taken: Sequence[asyncpg.Record],
    ledger: Ledger,
    batches: dict[str, asyncpg.Record],
    found: Inspection,
) -> Iterator[str]:
    """Every acknowledged attempt has an upload, no attempt has two, and each has the outcome that its file deserves."""
    uploads = defaultdict(list)
    for row in taken:
        uploads[row["campaign_id"], row["file_name"], row["sha256"]].append(row)
    attempts = _by_content(ledger.attempts)
    for content in uploads.keys() - attempts.keys():
        yield f"{content[1]}: an upload of bytes that nobody sent"
    for content, tried in attempts.items():
        file, its_uploads = tried[0].file, uploads.get(content, [])
        acknowledged = sum(attempt.acknowledged for attempt in tried)
        found.unacknowledged_but_taken += max(0, len(its_uploads) - acknowledged)
        if not acknowledged <= len(its_uploads) <= len(tried):
            yield f"{file.name}: {len(its_uploads)} uploads of {acknowledged} acknowledged in {len(tried)} tries"
        for row in its_uploads:
            yield from _wrong_outcome(row, file)
        made = [row for row in its_uploads if row["status"] == "accepted" and row["duplicate_of"] is None]
        if file.is_good and its_uploads and len(made) != 1:
            yield f"{file.name}: {len(made)} batches of the same bytes under the same name"
        if {row["batch_id"] for row in its_uploads} - {None} - batches.keys():
            yield f"{file.name}: a batchId without a batch"
        if len({row["batch_id"] for row in its_uploads if row["status"] == "accepted"}) > 1:
            yield f"{file.name}: its uploads name different batches"


def _wrong_outcome(row: asyncpg.Record, file: UploadFile) -> Iterator[str]:
    expected = "accepted" if file.is_good else "rejected"
    if row["status"] != expected or row["outcome"] != 1:
        yield f"{file.name}: {row['status']}, outcome {row['outcome']}, where {expected} is right"
    elif file.is_good and row["total_messages"] != file.rows:
        yield f"{file.name}: {row['total_messages']} messages of {file.rows} rows"
    elif not file.is_good and (row["num_rows"] != file.bad_rows or not row["num_errors"]):
        yield f"{file.name}: {row['num_rows']} bad rows of {file.bad_rows}"


def _wrong_mails(
    rows: Sequence[asyncpg.Record], mails: Sequence[EmailMessage], found: Inspection, *, mail: bool
) -> Iterator[str]:
    """Every outcome has one Message-ID, and each e-mail belongs to an outcome: a second delivery has the same id and content."""
    by_upload = defaultdict(list)
    for message in mails:
        by_upload[str(message["X-Upload-Id"])].append(message)
    found.message_ids = len({str(message["Message-ID"]) for message in mails})
    for upload_id in by_upload.keys() - {row["id"] for row in rows}:
        yield f"{upload_id}: an e-mail of an upload that isn't there"
    for row in rows:
        received = by_upload[row["id"]]
        ids = {str(message["Message-ID"]).partition("@")[0].lstrip("<") for message in received}
        if not mail and row["notification_refused_at"] is not None:
            continue
        if ids != {f"{row['id']}.1"} or row["notified_at"] is None:
            yield f"{row['file_name']}: Message-IDs {sorted(ids)}, notified at {row['notified_at']}"
            continue
        for message in received:
            body = json.loads(message.get_content())
            if row["status"] == "accepted" and body != {"isValid": True, "batchId": row["batch_id"]}:
                yield f"{row['file_name']}: accepted, and its e-mail says otherwise"
            if row["status"] == "rejected" and (body["isValid"], body["numRows"]) != (False, row["num_rows"]):
                yield f"{row['file_name']}: rejected, and its e-mail says otherwise"


def _wrong_batches(taken: Sequence[asyncpg.Record], batches: dict[str, asyncpg.Record]) -> Iterator[str]:
    """Every batch belongs to one upload and is whole: its messages are rows 2 to the last, none missing."""
    makers = {row["id"]: row for row in taken if row["duplicate_of"] is None}
    for batch in batches.values():
        upload = makers.get(batch["upload_id"])
        if upload is None or upload["batch_id"] != batch["id"]:
            yield f"{batch['id']}: no upload has it"
            continue
        # A row's number is what a spreadsheet shows: the header is row 1.
        counts = {batch["messages"], batch["total_messages"], upload["total_messages"], batch["last"] - 1}
        if len(counts) != 1 or batch["first"] != 2 or batch["status"] != "messages_enqueued":
            yield f"{upload['file_name']}: its batch isn't whole, {dict(batch)}"


def _wrong_spools(testbed: Testbed, ledger: Ledger, found: Inspection) -> Iterator[str]:
    """Partial uploads may be left only of attempts that failed, and of no name whose last attempt was acknowledged."""
    for node in testbed.fronts:
        yield from (f"{node.name}: the spool holds {name}" for name in _leftovers(node))
        cut: Counter[tuple[str, str]] = Counter()
        last: dict[tuple[str, str], Attempt] = {}
        for attempt in ledger.attempts:
            if attempt.node is node:
                cut[attempt.campaign_id, attempt.file.name] += not attempt.acknowledged
                last[attempt.campaign_id, attempt.file.name] = attempt
        for campaign_id, notes in _partials(node):
            found.partials += 1
            key = campaign_id, notes.name
            if not cut[key] or last[key].acknowledged:
                yield f"{node.name}: a partial of {notes.name}, which was acknowledged"


def _partials(node: Node) -> Iterator[tuple[str, PartialNotes]]:
    for path in node.spool.glob("*/*.json"):
        yield path.parent.name, PartialNotes.model_validate_json(path.read_bytes())


def _leftovers(node: Node) -> list[str]:
    """The names of what is no partial upload: bytes without a note, a note without bytes, anything else."""
    files = {path for path in node.spool.glob("*/*") if path.is_file()}
    pairs = {path for path in files if {path.with_suffix(".json"), path.with_suffix(".bytes")} <= files}
    return sorted(path.name for path in files - pairs)


def _wrong_objects(testbed: Testbed, rows: Sequence[asyncpg.Record], found: Inspection) -> Iterator[str]:
    """The original of every upload is in the bucket and whole, and so is each report. Originals without an upload may stay: they
    are removed by age."""
    bucket = testbed.s3.folder / "buckets" / "sftp-gateway"
    originals = {
        path.stem: path.stat().st_size for path in (bucket / ORIGINALS).glob("*/*.csv") if path.is_file()
    }
    for row in rows:
        if row["sha256"] is not None and originals.get(row["id"]) != row["bytes"]:
            yield f"{row['file_name']}: its original is not in the bucket, or not whole"
        if row["report_key"] is not None and not (bucket / row["report_key"]).is_file():
            yield f"{row['file_name']}: its report is not in the bucket"
    reports = {str(path.relative_to(bucket)) for path in (bucket / REPORTS).glob("*/*.csv")}
    if unknown := reports - {row["report_key"] for row in rows}:
        yield f"{len(unknown)} reports that no upload has"
    unknown_originals = originals.keys() - {row["id"] for row in rows}
    if len(unknown_originals) > found.attempts - found.acknowledged:
        yield f"{len(unknown_originals)} originals that no upload has"


def _temporary_files(testbed: Testbed) -> list[Path]:
    """What is in the nodes' /tmp, but for the metrics of nodes that run."""
    running = tuple(f"sftp-gateway-metrics-{node.pid}-" for node in testbed.nodes if node.is_running)
    return [path for path in testbed.temporary.iterdir() if not path.name.startswith(running)]

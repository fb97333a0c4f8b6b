"""The vocabulary of audit events' details: every name that may stand there, and what it tells. mypy holds the code to it.

Names are in snake case, and each tells one thing of one type, whatever the event. A new name is a line here.
"""

import json
from collections.abc import Mapping
from typing import Final, TypedDict


class EventDetails(TypedDict, total=False):
    """What an event may tell besides who did what to which campaign or upload: ids, counts, codes and fingerprints."""

    account_sid: str
    # A keyed hash of an address of e-mail, never the address.
    address: str | None
    admitted: bool
    agency_id: str | None
    algorithm: str
    allowed_sources: list[str]
    api_addresses: list[str]
    api_rate: int | None
    # The name of an archive of messages, or of audit events.
    archive: str
    attempt: int
    attempts: int
    batch_id: str | None
    batches: int
    bytes: int
    channel: str
    code: str
    # How many there were of each kind.
    counts: Mapping[str, int]
    crashes: int
    creator_id: str | None
    data_keys: int
    # `local` or `foreign`.
    destination: str
    domains: list[str]
    duplicate_of: str
    encrypted: int
    errors: int
    events: int
    # A message log that was made in the background.
    export_id: str
    # Which of a form's fields were changed.
    fields: list[str]
    filters: Mapping[str, object]
    fingerprint: str
    foreign_mills: int
    # How a file was written: `csv` or `xlsx`.
    form: str
    given: bool
    # Whether an outcome is held since a restore.
    held: bool
    # A job's number, and the kind of job that it is.
    job: int
    kind: str
    key_sid: str
    # Fingerprints of the keys that a refused login offered.
    keys_tried: list[str]
    languages: list[str]
    left_out_before: int
    local_mills: int
    masked: bool
    member_only: bool
    message_id: str
    messages: int | None
    # Such as `2026-10`.
    month: str
    nric: bool
    old_key_lost: bool
    otp: bool
    # What came of an upload, in a word. Which of its outcomes an e-mail told is a number.
    outcome: str
    outcome_number: int
    # Whether only what its user has made is in it.
    own: bool
    # A billing period, by the year in which it begins.
    period: str
    prefix: str
    # Why, as a fixed word or text; of a correction to what was charged, in the words of whoever made it.
    reason: str
    reference: str
    reports: int
    role: str
    rows: int
    seconds: float
    segments: int
    senders: list[str]
    service_sid: str
    sessions: list[str]
    sha256: str
    shown: bool
    since: str | None
    statuses: list[str]
    # What a job is for, where it is no upload.
    subject: str
    support_id: str
    unreadable: int
    # The last day of a message log, such as `2026-11-30`; `since` is the first.
    until: str
    user_id: str
    # A day, such as `2027-02-01`.
    valid_from: str
    version: int


# What releases before this one wrote, in its words of now. Their rows stay as they were written.
_OLD_NAMES: Final = {
    "supportId": "support_id",
    "batchId": "batch_id",
    "ended_by": "reason",
    "cause": "reason",
    "of": "duplicate_of",
}


def read_details(text: str | None) -> dict[str, object]:
    """The details of a row, whichever release wrote it, in the words of this one."""
    written: dict[str, object] = json.loads(text or "{}")
    read = {_OLD_NAMES.get(name, name): value for name, value in written.items()}
    # A number stood there for the outcome that an e-mail told, where other events had a word.
    if isinstance(read.get("outcome"), int):
        read["outcome_number"] = read.pop("outcome")
    return read

"""What is known of a spooled upload. It is kept beside the bytes, so that it outlives its process, for 24 hours by default."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from keys.access import KeyUse


class PartialState(StrEnum):
    """What became of the last handle on an upload."""

    # A handle is open. Where the process that had it is gone, the upload was cut off.
    WRITING = "writing"
    CUT = "cut"
    INTERRUPTED = "interrupted"
    # It was closed whole under a temporary name, and only the rename is missing.
    WAITING = "waiting"


class PartialNotes(BaseModel):
    """The note beside a spooled upload's bytes. Times are UTC, sizes bytes."""

    # A program of before or after may have written more into it, and must not lose the upload to this one.
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    name: str
    state: PartialState
    changed_at: AwareDatetime
    modified_at: AwareDatetime | None = None
    announced: int | None = None
    # It was written without holes so far. Then the size on disk tells which bytes were written, even after a SIGKILL.
    in_order: bool = True
    size: int = 0
    ranges: list[tuple[int, int]] = []
    # The agency has been told that it was never renamed to .csv, or never finished.
    reported: bool = False
    # Who began it.
    connection_id: str | None = None
    source_address: str | None = None
    fingerprint: str | None = None
    # Who else wrote into it when resuming it. It is taken only while every key that wrote into it is in force.
    later_writers: list[KeyUse] = []

    @property
    def writers(self) -> list[KeyUse]:
        """Every key that wrote into it, and from where."""
        return [KeyUse(self.fingerprint or "", self.source_address or ""), *self.later_writers]

    def without_ranges(self) -> Self:
        """The note as it is kept in memory: only who writes needs the ranges, and reads them from disk."""
        return self.model_copy(update={"ranges": []}) if self.ranges else self


@dataclass(frozen=True, slots=True)
class Partial:
    """An unfinished upload that no handle is open on. `key` is its random name in the spool.

    Its notes lack the ranges.
    """

    campaign_id: str
    key: str
    folder: Path
    notes: PartialNotes
    size: int

    @property
    def bytes_path(self) -> Path:
        return self.folder / f"{self.key}.bytes"

    @property
    def notes_path(self) -> Path:
        return self.folder / f"{self.key}.json"

    @property
    def name(self) -> str:
        return self.notes.name

    @property
    def report_id(self) -> str:
        """The id under which it is told that nobody has finished it: the same for every process that tells it.

        A partial that is resumed and cut off again has another.
        """
        seed = f"{self.key} {self.notes.changed_at.isoformat()}".encode()
        return f"upload_{UUID(bytes=hashlib.sha256(seed).digest()[:16], version=4)}"

    @property
    def state(self) -> PartialState:
        """The state in the note, except that an upload whose process died while writing was cut off."""
        return PartialState.CUT if self.notes.state is PartialState.WRITING else self.notes.state

    @property
    def modified_at(self) -> datetime:
        """The time that the client set, else that of the last change."""
        return self.notes.modified_at or self.notes.changed_at

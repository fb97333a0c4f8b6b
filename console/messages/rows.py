"""A message as a row of a table, as far as whoever looks may see it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from console.guides.help_pages import GROUPS
from console.messages.sight import Sight
from console.rendering import masked_number
from messages.retrieval import Batch, Message
from messages.statuses import ErrorCode, MessageStatus

# The console's word for each status (8-api.md §3), and how that is framed.
STATUS_WORDS: Final = {status: word for word, statuses in GROUPS for status in statuses}
_KINDS: Final = {"pending": "grey", "sent": "blue", "success": "green", "failure": "red"}
STATUS_KINDS: Final = {status: _KINDS[word] for status, word in STATUS_WORDS.items()}


@dataclass(frozen=True, slots=True)
class Row:
    """A message in a table. `batch_id` is None for a single send; `values` are None where not shown; `order` is its place."""

    id: str
    made_at: datetime
    batch_id: str | None
    file_name: str = field(repr=False)
    sender: str
    recipient: str = field(repr=False)
    status: MessageStatus
    word: str
    kind: str
    error: ErrorCode | None
    values: tuple[str, ...] | None = field(repr=False)
    updated_at: datetime
    order: str


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes the rows of one campaign's messages, for one sight. `parameters` are the template's, in its order."""

    sight: Sight
    sender: str
    parameters: Sequence[str]
    in_batch: bool = False

    @property
    def shows_values(self) -> bool:
        """Whether the table has columns of values."""
        return self.sight.sees_all_contents or self.sight.sees_own

    def row(self, message: Message) -> Row:
        """The row of a message that is there for whoever looks."""
        shows = self.sight.sees_contents(message.batch)
        status = message.status
        return Row(
            id=message.id,
            made_at=message.created_at,
            batch_id=None if message.batch.is_single else message.batch.id,
            file_name=message.batch.original_file_name,
            sender=self.sender,
            recipient=message.recipient if shows else masked_number(message.recipient),
            status=status,
            word=STATUS_WORDS[status],
            kind=STATUS_KINDS[status],
            error=message.error if status is MessageStatus.FAILURE else None,
            values=tuple(message.values.get(name, "") for name in self.parameters) if shows else None,
            updated_at=message.updated_at,
            order=order_of(message.batch, message.row_number),
        )


def order_of(batch: Batch, row_number: int = 0) -> str:
    """The place of a message, or of a batch, among others: texts whose order is theirs, the newest the greatest."""
    return f"{batch.created_at.astimezone(UTC):%Y%m%d%H%M%S%f} {batch.id} {row_number:010}"

"""Public ids of messages and attempts: each leads back to its batch and row, so that no table needs an index for it.

A message's id is its batch's UUID made a UUID of version 8 (RFC 9562) whose last 8 hex digits are the row number (8-api.md §1);
an attempt's (7-sending.md §7) has its number in the first two of those digits. The database's function `message_id` says the
same. A template and its bodies have ids that are derived from what they belong to, since no table holds them: a
campaign has one template, which is never edited.
"""

import re
import uuid
from dataclasses import dataclass
from typing import Final

_HEX: Final = r"[0-9a-f]"
_MESSAGE_ID: Final = re.compile(
    rf"message_({_HEX}{{8}}-{_HEX}{{4}}-)8({_HEX}{{3}}-{_HEX}{{4}}-{_HEX}{{4}})({_HEX}{{8}})", re.ASCII
)
_BATCH_ID: Final = re.compile(rf"batch_{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}", re.ASCII)
_MOST_ROWS: Final = 0xFF_FFFF
# Any fixed UUID: what is derived from it (RFC 9562, version 5) is the same on all nodes and for ever.
_NAMESPACE: Final = uuid.UUID("3c0a4f3e-7d0b-4f5e-9d1c-5b1f0b6a2e47")


@dataclass(frozen=True, slots=True)
class MessageKey:
    """What a message's id holds: `stem`, which finds the batch (the database's `message_id_stem`), and the row from 1."""

    stem: str
    row_number: int


def message_id(batch_id: str, row_number: int) -> str:
    """The id of a row of a batch, such as `message_0d9c31e2-4b7f-8c58-9a61-7e2000000003`."""
    return f"message_{_derived(batch_id, row_number)}"


def attempt_id(batch_id: str, row_number: int, attempt: int) -> str:
    """The id of an attempt of a message; attempts count from 1 to 255, rows to 16,777,215."""
    if not (0 < attempt <= 0xFF and 0 < row_number <= _MOST_ROWS):
        message = "an attempt's id holds a row of 24 bits and a number of 8"
        raise ValueError(message)
    return f"message-attempt_{_derived(batch_id, attempt << 24 | row_number)}"


def template_id(campaign_id: str) -> str:
    """The id of a campaign's one template."""
    return f"template_{uuid.uuid5(_NAMESPACE, f'template {campaign_id}')}"


def template_body_id(campaign_id: str, language: str) -> str:
    """The id of what a campaign's template says in one language."""
    return f"template-body_{uuid.uuid5(_NAMESPACE, f'template-body {campaign_id} {language}')}"


def is_batch_id(text: str) -> bool:
    """Whether `text` has the form of a batch's id."""
    return _BATCH_ID.fullmatch(text) is not None


def parse_message_id(text: str) -> MessageKey | None:
    """What `text` names, or None where it has not the form of a message's id."""
    match = _MESSAGE_ID.fullmatch(text)
    if match is None or not 0 < (row_number := int(match[3], 16)) < 2**31:
        return None
    return MessageKey(match[1] + match[2], row_number)


def _derived(batch_id: str, number: int) -> str:
    uuid = batch_id.removeprefix("batch_")
    return f"{uuid[:14]}8{uuid[15:28]}{number:08x}"

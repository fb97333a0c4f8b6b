"""What browsers send: forms of at most 64 KiB, each with an id of its own, so that a double click does once what it asks for."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from console.errors import PageRefused
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "forms.sql")
MOST_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 500
_ID_FIELD: Final = "form_id"


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was sent. A field that isn't there is an empty text."""

    id: str
    fields: Mapping[str, tuple[str, ...]] = field(repr=False)

    def __getitem__(self, name: str) -> str:
        """The field, with line ends as `\\n`; the last where it came several times."""
        return (self.fields.get(name) or ("",))[-1]

    def words(self, name: str) -> str:
        """The field without blanks at its ends."""
        return self[name].strip()

    def all(self, name: str) -> tuple[str, ...]:
        """The field as often as it came, as of several boxes that were ticked."""
        return self.fields.get(name, ())


def new_form_id() -> str:
    """An id for a form on a page."""
    return secrets.token_urlsafe(18)


async def read_form(request: Request) -> Form:
    """The body as a form. Raises PageRefused: 413 over 64 KiB, 415 for another media type, 400 for what is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise PageRefused(415, "This page takes forms only: open it in a browser, and send the form again.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise PageRefused(413, "The form is longer than 64 KiB: make its texts shorter.")
    return parse_form(bytes(body))


def parse_form(body: bytes) -> Form:
    """A form from its bytes. Raises PageRefused."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True, errors="strict", encoding="utf-8", max_num_fields=_MOST_FIELDS,
        )  # fmt: skip
    except ValueError:
        raise PageRefused(
            400, "The form could not be read: open the page again, and fill it in again."
        ) from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\r\n", "\n").replace("\r", "\n"))
    if any("\0" in value for values in fields.values() for value in values):
        raise PageRefused(400, "The form holds a character that no text has (U+0000): take it out.")
    form_id = (fields.pop(_ID_FIELD, None) or [""])[-1]
    if not 16 <= len(form_id) <= 64 or not form_id.isascii():
        raise PageRefused(
            400, "The form was not one of this page: open the page again, and fill it in again."
        )
    return Form(form_id, {name: tuple(values) for name, values in fields.items()})


async def claim_form(connection: Connection, form_id: str, user_id: str) -> str | None:
    """Take the form for this transaction: None. Where it was sent before, the path that it led to, "" where that isn't known."""
    if await connection.fetchval(SQL["claim_form"], form_id, user_id) is not None:
        return None
    earlier = await connection.fetchval(SQL["fetch_location"], form_id, user_id)
    return str(earlier or "")


async def note_location(connection: Connection, form_id: str, location: str) -> None:
    """Where the form has led."""
    await connection.execute(SQL["note_location"], form_id, location)


async def delete_old_forms(connection: Connection) -> None:
    """Forget forms that were sent more than a day ago."""
    await connection.execute(SQL["delete_old"])

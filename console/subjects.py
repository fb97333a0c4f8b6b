"""Which campaign a path is about, and what that is as far as rights go."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from campaigns.people.permissions import Place
from database.connections import Connection
from database.queries import NamedQueries
from messages.identifiers import parse_message_id

SQL: Final = NamedQueries("console", "subjects.sql")
# From the path's parameters to a campaign's id, or None where there is no such thing.
Subject: TypeAlias = Callable[[Connection, Mapping[str, str]], Awaitable[str | None]]


async def of_campaign(_connection: Connection, parameters: Mapping[str, str]) -> str | None:
    """The campaign that the path names."""
    return parameters["campaign_id"]


async def of_batch(connection: Connection, parameters: Mapping[str, str]) -> str | None:
    """The campaign of the batch that the path names."""
    found: str | None = await connection.fetchval(SQL["campaign_of_batch"], parameters["batch_id"])
    return found


async def of_message(connection: Connection, parameters: Mapping[str, str]) -> str | None:
    """The campaign of the message that the path names."""
    key = parse_message_id(parameters["message_id"])
    if key is None:
        return None
    found: str | None = await connection.fetchval(SQL["campaign_of_message"], key.stem)
    return found


async def of_upload(connection: Connection, parameters: Mapping[str, str]) -> str | None:
    """The campaign of the upload that the path names."""
    found: str | None = await connection.fetchval(SQL["campaign_of_upload"], parameters["upload_id"])
    return found


async def of_export(connection: Connection, parameters: Mapping[str, str]) -> str | None:
    """The campaign of the message log that the path names."""
    found: str | None = await connection.fetchval(SQL["campaign_of_export"], parameters["export_id"])
    return found


async def fetch_place(connection: Connection, campaign_id: str) -> Place | None:
    """The campaign as it is now, or None where there is none of this id."""
    row = await connection.fetchrow(SQL["fetch_place"], campaign_id)
    return None if row is None else Place(**row)

"""The table `users`: people by their addresses, and what they may do at all. Changes are the caller's transaction's.

An address becomes a user when it is first given a right, a membership or, later, a login. Audit events tell a user by id alone.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from campaigns.errors import AddressUnknown, PeopleRefused, UserNotFound
from campaigns.people.addresses import Standing, parse_email, standing_of
from campaigns.people.agencies import Agency, find_domain
from config.identifiers import new_identifier
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("campaigns.people", "users.sql")
# What campaigns of the command line belong to where nobody else is named; the migration has made it.
SERVICE_USER_ID: Final = "user_c16fb742-cd06-57ec-b86f-9a837994aeee"
SERVICE_EMAIL: Final = "service@localhost"


@dataclass(frozen=True, slots=True)
class User:
    """A user as stored. `added_at` is aware UTC."""

    id: str
    email: str
    agency_id: str | None
    is_service: bool
    is_ops: bool
    is_pic: bool
    may_create: bool
    added_at: datetime


async def find_user(connection: Connection, email: str) -> User:
    """The user of that address. Raises PeopleRefused (no address), UserNotFound."""
    row = await connection.fetchrow(SQL["find_user"], parse_email(email))
    if row is None:
        raise UserNotFound(
            "nobody here has that address: people are added with their first right or membership"
        )
    return User(**row)


async def fetch_user(connection: Connection, user_id: str) -> User:
    """The user of that id, who is there."""
    row = await connection.fetchrow(SQL["fetch_user"], user_id)
    assert row is not None  # noqa: S101 - a foreign key's target
    return User(**row)


async def list_in_charge(connection: Connection, agency_id: str) -> list[User]:
    """An agency's persons in charge, and all who may create campaigns for it."""
    return [User(**row) for row in await connection.fetch(SQL["list_in_charge"], agency_id)]


async def standing_in(connection: Connection, user: User) -> Standing:
    """What the user's address may be by its domain; who was given the right to create or is in charge has been raised."""
    if user.may_create or user.is_pic:
        return Standing.OFFICER
    listed = await find_domain(connection, user.email)
    return standing_of(
        user.email, is_listed=listed is not None, is_member_only=listed is not None and listed.member_only
    )


async def ensure_user(connection: Connection, email: str, *, is_admitted: bool = False) -> User:
    """The user of that address, locked until the transaction ends; a new one where it has none.

    `is_admitted`: the settings let its domain in. Raises PeopleRefused: no address; AddressUnknown: one whose domain lets
    nobody in.
    """
    address = parse_email(email)
    row = await connection.fetchrow(SQL["lock_user"], address)
    if row is None:
        listed = await find_domain(connection, address)
        member_only = listed is not None and listed.member_only
        standing = standing_of(address, is_listed=listed is not None, is_member_only=member_only)
        if standing is Standing.STRANGER and not is_admitted:
            raise AddressUnknown(
                "that address is neither below gov.sg nor of an agency's domain: list its domain first by "
                "`sftp-gateway agency add NAME --domain DOMAIN --member-only`"
            )
        agency_id = None if listed is None else listed.agency_id
        await connection.execute(SQL["insert_user"], new_identifier("user"), address, agency_id)
        row = await connection.fetchrow(SQL["lock_user"], address)
    assert row is not None  # noqa: S101 - users are never deleted
    user = User(**row)
    if user.is_service:
        raise PeopleRefused("that address is a service user's, which is no person")
    return user


async def ensure_service_user(connection: Connection, agency: Agency) -> User:
    """The user that an agency's campaigns belong to which the command line makes without naming a creator."""
    slug = re.sub(r"[^a-z0-9]+", "-", agency.name.lower()).strip("-")[:40] or "agency"
    address = f"service@{slug}-{agency.id.removeprefix('agency_')[:8]}.localhost"
    await connection.execute(SQL["insert_service_user"], new_identifier("user"), address, agency.id)
    row = await connection.fetchrow(SQL["find_user"], address)
    assert row is not None  # noqa: S101 - it was just inserted, or was there
    return User(**row)


async def set_ops(connection: Connection, email: str, *, is_ops: bool, actor: Actor) -> User:
    """Make somebody one of ops, or no more. Raises PeopleRefused, UserNotFound."""
    user = await ensure_user(connection, email) if is_ops else await find_user(connection, email)
    return await _set(connection, replace(user, is_ops=is_ops), AuditEvent.USER_OPS_CHANGED, is_ops, actor)


async def set_pic(
    connection: Connection,
    agency: Agency,
    email: str,
    *,
    is_pic: bool,
    reference: str | None = None,
    actor: Actor,
) -> User:
    """Put somebody in charge of the agency, or back among its officers, without the right to create campaigns.

    Memberships stay. `reference`: of the CIO's word, no text of anybody's own. Raises PeopleRefused, UserNotFound.
    """
    user = await _officer_of(connection, agency, email, is_new=is_pic)
    changed = replace(user, is_pic=is_pic, may_create=user.may_create and is_pic, agency_id=agency.id)
    return await _set(connection, changed, AuditEvent.USER_PIC_CHANGED, is_pic, actor, reference)


async def set_creator(
    connection: Connection, agency: Agency, email: str, *, may_create: bool, actor: Actor
) -> User:
    """Let somebody create campaigns for the agency, or no more. Raises PeopleRefused, UserNotFound."""
    user = await _officer_of(connection, agency, email, is_new=may_create)
    changed = replace(user, may_create=may_create, agency_id=agency.id)
    return await _set(connection, changed, AuditEvent.USER_CREATOR_CHANGED, may_create, actor)


async def _officer_of(connection: Connection, agency: Agency, email: str, *, is_new: bool) -> User:
    user = await ensure_user(connection, email) if is_new else await find_user(connection, email)
    agency_id = user.agency_id
    if agency_id is None:
        # Known here since before its domain was listed.
        listed = await find_domain(connection, user.email)
        agency_id = None if listed is None else listed.agency_id
    if agency_id is not None and agency_id != agency.id:
        raise PeopleRefused(f"that address is another agency's than {agency.name}")
    return user


async def _set(
    connection: Connection,
    user: User,
    event: AuditEvent,
    given: bool,
    actor: Actor,
    reference: str | None = None,
) -> User:
    await connection.execute(
        SQL["set_rights"], user.id, user.is_ops, user.is_pic, user.may_create, user.agency_id
    )
    details: EventDetails = {"user_id": user.id, "agency_id": user.agency_id, "given": given}
    if reference is not None:
        details["reference"] = reference
    await record_event(connection, event, actor=actor, details=details)
    return user

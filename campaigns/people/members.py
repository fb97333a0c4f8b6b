"""The table `members`: who of the users is what in a campaign. Changes are the caller's transaction's, with audit events."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from audit.events import Actor, AuditEvent, record_event
from campaigns.campaigns import lock_campaign, lock_live_campaign
from campaigns.errors import NotOfficer, PeopleRefused
from campaigns.people.addresses import Standing
from campaigns.people.permissions import Membership, Person
from campaigns.people.users import User, ensure_user, find_user, standing_in
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("campaigns.people", "members.sql")


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a campaign. `added_at` is aware UTC."""

    user_id: str
    email: str
    role: Membership
    added_at: datetime


async def set_member(
    connection: Connection, campaign_id: str, email: str, role: Membership, *, actor: Actor
) -> User:
    """Make somebody a member, or a member something else.

    Raises CampaignNotFound; CampaignRefused (a deleted one); PeopleRefused: an address that may not be that, or the last owner
    would be lowered.
    """
    await lock_live_campaign(connection, campaign_id)
    user = await ensure_user(connection, email)
    if role is Membership.OWNER and await standing_in(connection, user) is not Standing.OFFICER:
        raise NotOfficer(
            "only addresses below gov.sg own campaigns, and those that were given the right to create them: add the address as "
            "a member"
        )
    if role is not Membership.OWNER:
        await _check_owner_stays(connection, campaign_id, user, "lowered")
    await connection.execute(SQL["set_member"], campaign_id, user.id, role.value)
    await record_event(
        connection,
        AuditEvent.MEMBER_SET,
        campaign_id=campaign_id,
        actor=actor,
        details={"user_id": user.id, "role": role.value},
    )
    return user


async def remove_member(connection: Connection, campaign_id: str, email: str, *, actor: Actor) -> User:
    """Let somebody be a member no more. Raises CampaignNotFound, UserNotFound, PeopleRefused (no member, or the last owner)."""
    await lock_campaign(connection, campaign_id)
    user = await find_user(connection, email)
    if user.id not in {member.user_id for member in await list_members(connection, campaign_id)}:
        raise PeopleRefused(f"that address is no member of campaign {campaign_id}")
    await _check_owner_stays(connection, campaign_id, user, "removed")
    await connection.execute(SQL["delete_member"], campaign_id, user.id)
    await record_event(
        connection,
        AuditEvent.MEMBER_REMOVED,
        campaign_id=campaign_id,
        actor=actor,
        details={"user_id": user.id},
    )
    return user


async def list_members(connection: Connection, campaign_id: str) -> list[Member]:
    """A campaign's members, in the order in which they became it."""
    return [
        Member(row["user_id"], row["email"], Membership(row["role"]), row["added_at"])
        for row in await connection.fetch(SQL["list_members"], campaign_id)
    ]


async def fetch_memberships(connection: Connection, user_id: str) -> Mapping[str, Membership]:
    """What the user is, by campaign; where somebody was added last first."""
    rows = await connection.fetch(SQL["fetch_memberships"], user_id)
    return {row["campaign_id"]: Membership(row["role"]) for row in rows}


async def fetch_person(connection: Connection, user: User) -> Person:
    """The user as far as rights go."""
    memberships = await fetch_memberships(connection, user.id)
    return Person(user.id, user.agency_id, user.is_ops, user.is_pic, user.may_create, memberships)


async def _check_owner_stays(connection: Connection, campaign_id: str, user: User, what: str) -> None:
    owners = {
        member.user_id
        for member in await list_members(connection, campaign_id)
        if member.role is Membership.OWNER
    }
    if owners == {user.id}:
        raise PeopleRefused(
            f"that is the last owner of campaign {campaign_id}, who can't be {what}: add another one first"
        )

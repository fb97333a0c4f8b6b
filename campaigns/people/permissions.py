"""Who may do what: one table of roles and actions (9-console.md §3). Pure.

A role is what somebody is towards a campaign: ops, a person in charge of its agency, its creator, one of its members. Without a
campaign it is what somebody is at all: in charge of some agency, owner of some campaign.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from types import MappingProxyType
from typing import Final


class Membership(StrEnum):
    """What a member of a campaign is."""

    OWNER = "owner"
    MEMBER = "member"
    RESTRICTED = "restricted"


class Role(StrEnum):
    """What somebody is."""

    OPS = auto()
    # In charge of the campaign's agency or, without a campaign, of any.
    PIC = auto()
    # May create campaigns; towards a campaign, has created it.
    CREATOR = auto()
    # Of the campaign or, without one, of any.
    OWNER = auto()
    MEMBER = auto()
    RESTRICTED = auto()


class Action(StrEnum):
    """What is asked for. The first group is about a campaign, the second about none."""

    SEE_CAMPAIGN = auto()
    SEE_DELETED_CAMPAIGN = auto()
    SEND = auto()
    # Members, addresses, keys, settings, deletion.
    MANAGE_CAMPAIGN = auto()
    # Everybody's messages, with the numbers.
    SEE_MESSAGES = auto()
    SEE_OWN_MESSAGES = auto()
    # Statuses, and numbers masked.
    SEE_MASKED_MESSAGES = auto()
    # What the campaign costs. Without a campaign: what those cost of which somebody may see it.
    SEE_BILLING = auto()

    CREATE_CAMPAIGN = auto()
    GRANT_CREATION = auto()
    SEE_AGENCY_BILLING = auto()
    SEE_ALL_BILLING = auto()
    # Agencies, domains, persons in charge, rates, NRIC, headers.
    ADMINISTER = auto()


_OPS, _PIC, _CREATOR, _OWNER, _MEMBER, _RESTRICTED = Role
ALLOWED: Final[Mapping[Action, frozenset[Role]]] = MappingProxyType(
    {
        Action.SEE_CAMPAIGN: frozenset(Role),
        Action.SEE_DELETED_CAMPAIGN: frozenset({_OPS, _PIC}),
        Action.SEND: frozenset({_OWNER, _MEMBER, _RESTRICTED}),
        Action.MANAGE_CAMPAIGN: frozenset({_OPS, _OWNER}),
        Action.SEE_MESSAGES: frozenset({_PIC, _OWNER, _MEMBER}),
        Action.SEE_OWN_MESSAGES: frozenset({_PIC, _OWNER, _MEMBER, _RESTRICTED}),
        Action.SEE_MASKED_MESSAGES: frozenset({_OPS, _PIC, _OWNER, _MEMBER}),
        Action.SEE_BILLING: frozenset({_OPS, _PIC, _CREATOR, _OWNER}),
        Action.CREATE_CAMPAIGN: frozenset({_OPS, _PIC, _CREATOR}),
        Action.GRANT_CREATION: frozenset({_OPS, _PIC}),
        Action.SEE_AGENCY_BILLING: frozenset({_OPS, _PIC, _CREATOR}),
        Action.SEE_ALL_BILLING: frozenset({_OPS}),
        Action.ADMINISTER: frozenset({_OPS}),
    }
)


@dataclass(frozen=True, slots=True)
class Person:
    """A user as far as rights go. `memberships` has a campaign's id for each that the user is a member of."""

    id: str
    agency_id: str | None
    is_ops: bool
    is_pic: bool
    may_create: bool
    memberships: Mapping[str, Membership]


@dataclass(frozen=True, slots=True)
class Place:
    """A campaign as far as rights go."""

    id: str
    agency_id: str
    creator_id: str
    is_deleted: bool = False


def roles_of(person: Person, place: Place | None = None) -> Iterator[Role]:
    """All that the person is towards the campaign or, without one, at all."""
    if person.is_ops:
        yield Role.OPS
    if person.is_pic and (place is None or place.agency_id == person.agency_id):
        yield Role.PIC
    if place is None:
        if person.may_create:
            yield Role.CREATOR
        if Membership.OWNER in person.memberships.values():
            yield Role.OWNER
        return
    if place.creator_id == person.id:
        yield Role.CREATOR
    match person.memberships.get(place.id):
        case Membership.OWNER:
            yield Role.OWNER
        case Membership.MEMBER:
            yield Role.MEMBER
        case Membership.RESTRICTED:
            yield Role.RESTRICTED
        case None:
            pass


def may(person: Person, action: Action, place: Place | None = None) -> bool:
    """Whether the person may do it, towards this campaign or at all. A deleted one is there for ops and its agency's PICs."""
    roles = set(roles_of(person, place))
    if place is not None and place.is_deleted and not roles & ALLOWED[Action.SEE_DELETED_CAMPAIGN]:
        return False
    return bool(roles & ALLOWED[action])

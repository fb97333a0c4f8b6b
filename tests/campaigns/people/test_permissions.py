"""The table of 9-console.md §3, walked whole: every action by every role."""

from itertools import product

import pytest

from campaigns.people.permissions import Action, Membership, Person, Place, Role, may

HERE = Place("c-1", agency_id="agency_a", creator_id="user_creator")
_NOTHING: dict[str, Membership] = {}


def person(role: Role, *, elsewhere: bool = False) -> Person:
    """Somebody who is just this towards HERE, or, `elsewhere`, towards another campaign of another agency."""
    campaign_id = "c-2" if elsewhere else HERE.id
    agency_id = "agency_b" if elsewhere else HERE.agency_id
    roles = {
        Role.OWNER: Membership.OWNER,
        Role.MEMBER: Membership.MEMBER,
        Role.RESTRICTED: Membership.RESTRICTED,
    }
    return Person(
        id="user_creator" if role is Role.CREATOR and not elsewhere else "user_other",
        agency_id=agency_id,
        is_ops=role is Role.OPS,
        is_pic=role is Role.PIC,
        may_create=role is Role.CREATOR,
        memberships={campaign_id: roles[role]} if role in roles else _NOTHING,
    )


# Each line as the page's table has it: ops, PIC, creator, owner, member, restricted.
TABLE = {
    Action.SEE_CAMPAIGN: "xxxxxx",
    Action.SEE_DELETED_CAMPAIGN: "xx----",
    Action.SEND: "---xxx",
    Action.MANAGE_CAMPAIGN: "x--x--",
    Action.SEE_MESSAGES: "-x-xx-",
    Action.SEE_OWN_MESSAGES: "-x-xxx",
    Action.SEE_MASKED_MESSAGES: "xx-xx-",
    Action.SEE_BILLING: "xxxx--",
}
TABLE_WITHOUT_CAMPAIGN = {
    Action.CREATE_CAMPAIGN: "xxx---",
    Action.GRANT_CREATION: "xx----",
    Action.SEE_AGENCY_BILLING: "xxx---",
    Action.SEE_ALL_BILLING: "x-----",
    Action.ADMINISTER: "x-----",
}


def test_the_two_tables_have_every_action() -> None:
    assert TABLE.keys() | TABLE_WITHOUT_CAMPAIGN.keys() == set(Action)


@pytest.mark.parametrize(("action", "role"), [*product(TABLE, Role)])
def test_towards_a_campaign(action: Action, role: Role) -> None:
    allowed = TABLE[action][list(Role).index(role)] == "x"
    assert may(person(role), action, HERE) is allowed
    # The same towards another campaign is worth nothing here, but for ops.
    assert may(person(role, elsewhere=True), action, HERE) is (allowed and role is Role.OPS)


@pytest.mark.parametrize(("action", "role"), [*product(TABLE_WITHOUT_CAMPAIGN, Role)])
def test_without_a_campaign(action: Action, role: Role) -> None:
    assert may(person(role), action) is (TABLE_WITHOUT_CAMPAIGN[action][list(Role).index(role)] == "x")


@pytest.mark.parametrize("role", Role)
def test_whoever_owns_a_campaign_may_see_costs_at_all(role: Role) -> None:
    for elsewhere in (False, True):
        shown = may(person(role, elsewhere=elsewhere), Action.SEE_BILLING)
        assert shown is (role in {Role.OPS, Role.PIC, Role.CREATOR, Role.OWNER})


@pytest.mark.parametrize("role", Role)
def test_a_deleted_campaign_is_there_for_ops_and_persons_in_charge_alone(role: Role) -> None:
    gone = Place(HERE.id, HERE.agency_id, HERE.creator_id, is_deleted=True)
    assert may(person(role), Action.SEE_CAMPAIGN, gone) is (role in {Role.OPS, Role.PIC})
    assert may(person(role), Action.SEND, gone) is False

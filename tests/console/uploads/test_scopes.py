"""Whose uploads somebody sees, compared with what the table of rights says of each campaign."""

import pytest

from campaigns.people.permissions import Action, Membership, Person, Place, may
from console.uploads.scopes import fetch_scope, sees_only_own
from database.connections import Connection

_INSERT = """
insert into agencies (id, name) values ('agency_1', 'One'), ('agency_2', 'Two');
insert into users (id, email, agency_id) values ('me', 'me@one.gov.sg', 'agency_1'), ('you', 'you@one.gov.sg', 'agency_1');
insert into campaigns (id, name, header, notify_email, agency_id, creator_id, status, deleted_at)
select concat_ws('-', agency, creator, status, role), 'c', 'c', 'a@b.c', agency, creator, status,
    case status when 'deleted' then now() end
from unnest('{agency_1,agency_2}'::text[]) agency, unnest('{me,you}'::text[]) creator, unnest('{active,deleted}'::text[]) status,
    unnest('{owner,member,restricted,none}'::text[]) role
"""


@pytest.mark.parametrize("is_pic", [True, False], ids=["in charge", "not in charge"])
async def test_a_person_sees_what_the_table_of_rights_says_of_each_campaign(
    connection: Connection, is_pic: bool
) -> None:
    await connection.execute(_INSERT)
    rows = await connection.fetch(
        "select id, agency_id, creator_id, status = 'deleted' as is_deleted from campaigns"
    )
    places = [Place(**row) for row in rows]
    roles = {place.id: place.id.rpartition("-")[2] for place in places}
    memberships = {campaign: Membership(role) for campaign, role in roles.items() if role != "none"}
    person = Person("me", "agency_1", False, is_pic, True, memberships)
    scope = await fetch_scope(connection, person)
    seen = {place for place in places if may(person, Action.SEE_CAMPAIGN, place)}
    own = {place for place in seen if sees_only_own(person, place)}
    assert scope.campaign_ids == tuple(sorted(place.id for place in seen - own))
    assert scope.own_ids == tuple(sorted(place.id for place in own))
    assert own
    assert len(seen) == (23 if is_pic else 14)

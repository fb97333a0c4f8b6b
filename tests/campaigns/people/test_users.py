"""Which agency a person can be put in charge of, or create campaigns for."""

import pytest

from audit.events import Actor
from campaigns.errors import PeopleRefused
from campaigns.people.agencies import add_agency
from campaigns.people.users import ensure_user, set_creator
from database.connections import Connection

OPS = Actor(name="admin")


async def test_who_was_known_before_the_domain_was_listed_is_of_the_agency_that_lists_it(
    connection: Connection,
) -> None:
    async with connection.transaction():
        parks = await add_agency(connection, "Parks", ["parks.gov.sg"], member_only=False, actor=OPS)
        ben = await ensure_user(connection, "ben@trees.gov.sg")
        assert ben.agency_id is None
        trees = await add_agency(connection, "Trees", ["trees.gov.sg"], member_only=False, actor=OPS)
        with pytest.raises(PeopleRefused, match="another agency's"):
            await set_creator(connection, parks, ben.email, may_create=True, actor=OPS)
        ben = await set_creator(connection, trees, ben.email, may_create=True, actor=OPS)
        assert (ben.agency_id, ben.may_create) == (trees.id, True)

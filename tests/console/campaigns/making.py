"""Campaigns that tests of the console's pages are about, and people with each role in them."""

from collections.abc import Mapping

from campaigns.campaigns import Channel
from campaigns.creation import NewTwilioAccount, Ownership, create_campaign
from campaigns.people.agencies import add_agency
from campaigns.people.members import set_member
from campaigns.people.permissions import Membership
from campaigns.people.users import User, set_creator, set_pic
from database.connections import Connection
from rules.characters.unsupported import UnsupportedRule
from rules.templates import Language, Template
from tests.console.served import OPS, make_user

BODIES: Mapping[Language, str] = {
    Language.ENGLISH: "Dear {{name}}, your {{topic}} is ready.",
    Language.CHINESE: "{{name}}您好，您的{{topic}}已准备好。",
}


async def make_campaign(
    connection: Connection,
    *,
    owner: str = "amy@clinic.gov.sg",
    name: str = "Reminders",
    bodies: Mapping[Language, str] = BODIES,
    channel: Channel = Channel.PUBLIC,
    twilio: NewTwilioAccount | None = None,
    campaign_id: str | None = None,
) -> str:
    """A campaign of this owner, who has created it, in the agency Clinic; its id."""
    async with connection.transaction():
        agency = await add_agency(connection, "Clinic", ["clinic.gov.sg"], member_only=False, actor=OPS)
        creator = await set_creator(connection, agency, owner, may_create=True, actor=OPS)
        created = await create_campaign(
            connection,
            name=name,
            template=Template("Clinic", bodies),
            notify_email=owner,
            campaign_id=campaign_id,
            channel=channel,
            twilio=twilio,
            ownership=Ownership(agency.id, agency.name, creator.id, owner),
            unsupported=UnsupportedRule(),
            actor=OPS,
        )
    return created.id


async def make_member(connection: Connection, campaign_id: str, email: str, role: Membership) -> User:
    """Somebody with this role in the campaign."""
    async with connection.transaction():
        return await set_member(connection, campaign_id, email, role, actor=OPS)


async def make_pic(connection: Connection, email: str = "pia@clinic.gov.sg") -> User:
    """A person in charge of the agency Clinic."""
    async with connection.transaction():
        agency = await add_agency(connection, "Clinic", ["clinic.gov.sg"], member_only=False, actor=OPS)
        await make_user(connection, email)
        return await set_pic(connection, agency, email, is_pic=True, actor=OPS)


async def make_creator(
    connection: Connection, email: str = "amy@clinic.gov.sg", agency_name: str = "Clinic"
) -> User:
    """Somebody who may create campaigns for the agency of that name."""
    async with connection.transaction():
        domain = email.rpartition("@")[2]
        agency = await add_agency(connection, agency_name, [domain], member_only=False, actor=OPS)
        return await set_creator(connection, agency, email, may_create=True, actor=OPS)

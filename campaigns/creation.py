"""Creates campaigns: every field is checked here, whoever asks (command, API, console), then all is stored at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from audit.events import Actor
from campaigns.campaigns import Channel, record_campaign
from campaigns.errors import CampaignRefused, NotOfficer, PeopleRefused
from campaigns.fields import TwilioCredentials, parse_campaign_id, parse_notify_address, parse_sources
from campaigns.people.addresses import Standing
from campaigns.people.agencies import DEFAULT_AGENCY_ID, fetch_agency, find_agency
from campaigns.people.members import set_member
from campaigns.people.permissions import Membership
from campaigns.people.users import SERVICE_USER_ID, ensure_service_user, ensure_user, standing_in
from campaigns.twilio_accounts import set_twilio_account
from config.identifiers import new_identifier
from config.sending_sections import SecretsSettings
from database.connections import Connection
from rules.characters.unsupported import UnsupportedRule
from rules.template_checks import check_template
from rules.templates import Template

FOREIGN_NUMBERS: Final = (
    "numbers abroad get messages of this campaign only if its messaging service has a bought number: most countries let no "
    "sender's name through"
)


@dataclass(frozen=True, slots=True)
class NewTwilioAccount:
    """The account that a new internal campaign sends by, and the settings that its secret is encrypted with."""

    credentials: TwilioCredentials
    secrets: SecretsSettings


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose a campaign is. `agency_name` is what stands on top of its messages by default; None: the campaign's own name.

    `owner`: the address of a person, who becomes the campaign's first owner; None for a service user.
    """

    agency_id: str
    agency_name: str | None
    creator_id: str
    owner: str | None


NOBODYS: Final = Ownership(DEFAULT_AGENCY_ID, None, SERVICE_USER_ID, None)


@dataclass(frozen=True, slots=True)
class CreatedCampaign:
    """What `create_campaign` stored. `warnings` are sentences about its template or channel, which may be used all the same."""

    id: str
    warnings: tuple[str, ...]


def approve_template(template: Template, rule: UnsupportedRule) -> tuple[str, ...]:
    """The warnings about a template that may be stored; `rule` says which characters the settings refuse.

    Raises CampaignRefused with a line for each refusal.
    """
    checked = check_template(
        template.header, {language.value: body for language, body in template.bodies.items()}, rule
    )
    if checked.refusals:
        raise CampaignRefused("\n".join(checked.refusals), checked.warnings)
    return tuple(checked.warnings)


async def create_campaign(
    connection: Connection,
    *,
    name: str,
    template: Template,
    notify_email: str,
    campaign_id: str | None = None,
    channel: Channel = Channel.PUBLIC,
    allowed_sources: Sequence[str] = (),
    is_otp: bool = False,
    twilio: NewTwilioAccount | None = None,
    ownership: Ownership = NOBODYS,
    unsupported: UnsupportedRule,
    actor: Actor,
) -> CreatedCampaign:
    """Check all fields and store the campaign, in the caller's transaction. Without an id of its own it gets a new one.

    `allowed_sources` are addresses and networks as they were typed; `unsupported` says which characters the settings refuse;
    `twilio` is for the internal channel alone, where messages wait without it.
    Raises CampaignRefused: a template that breaks a rule (a line for each), an id that is taken (a deleted campaign keeps its
    own) or malformed, no name, not one e-mail address, a source that is no network, an account for
    the public channel. Raises SecretsKeyError where the account's secret can't be stored.
    """
    if twilio is not None and channel is not Channel.INTERNAL:
        raise CampaignRefused(
            "an account of its own at Twilio is for the internal channel: add --channel internal"
        )
    warnings = approve_template(template, unsupported)
    sources = parse_sources(allowed_sources)
    name = name.strip()
    if not name:
        raise CampaignRefused("a campaign needs a name: give --name")
    address = parse_notify_address(notify_email)
    identifier = new_identifier("campaign") if campaign_id is None else parse_campaign_id(campaign_id)
    await record_campaign(
        connection,
        identifier,
        name=name,
        template=template,
        notify_email=address,
        channel=channel,
        allowed_sources=sources,
        is_otp=is_otp,
        agency_id=ownership.agency_id,
        creator_id=ownership.creator_id,
        actor=actor,
    )
    if ownership.owner is not None:
        await set_member(connection, identifier, ownership.owner, Membership.OWNER, actor=actor)
    if twilio is not None:
        await set_twilio_account(connection, twilio.secrets, identifier, twilio.credentials, actor=actor)
    return CreatedCampaign(identifier, (*warnings, *_channel_warnings(identifier, channel, twilio)))


async def find_ownership(
    connection: Connection, *, creator: str | None, agency: str | None, for_any_agency: bool = False
) -> Ownership:
    """Whose a campaign is that is made for this person, this agency, both or neither (9-console.md §7).

    A person who is new here becomes a user. `for_any_agency`: the person is one of ops, who make campaigns for others.
    Raises AgencyNotFound; PeopleRefused: no address, or another agency's; NotOfficer: one that may not create campaigns.
    """
    named = None if agency is None else await find_agency(connection, agency)
    if creator is None:
        if named is None:
            return NOBODYS
        service = await ensure_service_user(connection, named)
        return Ownership(named.id, named.name, service.id, None)
    user = await ensure_user(connection, creator)
    if await standing_in(connection, user) is not Standing.OFFICER:
        raise NotOfficer(
            "only addresses below gov.sg create campaigns, and those that were given the right by `sftp-gateway agency creator`"
        )
    if named is not None and not for_any_agency and user.agency_id not in {None, named.id}:
        raise PeopleRefused(f"the creator is another agency's than {named.name}: leave --agency out")
    if named is None and user.agency_id is not None:
        named = await fetch_agency(connection, user.agency_id)
    if named is None:
        return Ownership(DEFAULT_AGENCY_ID, None, user.id, user.email)
    return Ownership(named.id, named.name, user.id, user.email)


def _channel_warnings(campaign_id: str, channel: Channel, twilio: NewTwilioAccount | None) -> Iterator[str]:
    if channel is not Channel.INTERNAL:
        return
    if twilio is None:
        yield (
            f"the campaign has no account at Twilio yet, and its messages wait for `sftp-gateway campaign twilio {campaign_id} …`"
        )
    yield FOREIGN_NUMBERS

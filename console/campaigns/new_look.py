"""The last look at a campaign before it becomes one: all that it will be, and that it can't be changed afterwards."""

from typing import Final

from starlette.responses import Response

from campaigns.campaigns import Channel
from campaigns.creation import FOREIGN_NUMBERS, NewTwilioAccount, create_campaign, find_ownership
from campaigns.errors import (
    CampaignsError,
    MessagingServiceTaken,
    NotOfficer,
    SecretsKeyError,
    SecretUnreadable,
)
from campaigns.people.permissions import Action
from console.campaigns.accounts import NO_KEY, SERVICE_TAKEN
from console.campaigns.drafts import Draft, delete_draft, read_credentials
from console.campaigns.frame import CHANNELS, campaign_path
from console.campaigns.new_content import check_content, errors_of
from console.campaigns.phones import phone_of, sender_of
from console.campaigns.steps import (
    CHANNEL,
    CONTENT,
    LOOK,
    agency_name_of,
    header_of,
    hold_draft,
    may_choose,
    open_draft,
    sentence,
    sentences,
    steps_of,
)
from console.errors import GoTo
from console.paths import url
from console.routes import ConsoleRoute
from console.visits import Visit
from database.connections import Connection
from processing.rule_settings import unsupported_rule
from rules.templates import Template


async def show_look(visit: Visit) -> Response:
    """All that the campaign will be."""
    async with visit.connection() as connection:
        draft = await open_draft(visit, connection)
        return await _show(visit, connection, draft, {})


async def make_campaign(visit: Visit) -> Response:
    """Make the draft a campaign, whose first owner is the visitor."""
    form = await visit.form()
    try:
        async with visit.change(form) as connection:
            draft = await hold_draft(visit, connection)
            _require_all(draft)
            campaign_id = await _create(visit, connection, draft)
            await delete_draft(connection, draft.id, visit.user.id)
            return await visit.done(
                connection, campaign_path(campaign_id), "The campaign is created, and messages can be sent."
            )
    except CampaignsError as error:
        refusal = _in_words(error)
    async with visit.connection() as connection:
        draft = await open_draft(visit, connection)
        return await _show(visit, connection, draft, {"": refusal})


async def _create(visit: Visit, connection: Connection, draft: Draft) -> str:
    """The campaign's id. Raises CampaignsError."""
    ownership = await find_ownership(
        connection,
        creator=visit.user.email,
        agency=await agency_name_of(visit, connection, draft),
        for_any_agency=may_choose(visit),
    )
    twilio = None
    if draft.channel is Channel.INTERNAL:
        credentials = await read_credentials(connection, visit.settings.secrets, draft)
        if credentials is not None:
            twilio = NewTwilioAccount(credentials, visit.settings.secrets)
    created = await create_campaign(
        connection,
        name=draft.name,
        template=Template(await header_of(visit, connection, draft), draft.bodies),
        notify_email=visit.user.email,
        channel=draft.channel or Channel.PUBLIC,
        twilio=twilio,
        ownership=ownership,
        unsupported=unsupported_rule(visit.settings.messages),
        actor=visit.actor,
    )
    return created.id


def _in_words(error: CampaignsError) -> str:
    """A refusal in words of the page, where the rooms below speak to whoever runs the command line."""
    match error:
        case MessagingServiceTaken():
            return SERVICE_TAKEN
        case NotOfficer():
            return (
                "Only addresses below gov.sg create campaigns, and those that were given the right to: ask the person in charge "
                "of your agency."
            )
        case SecretsKeyError():
            return NO_KEY
        case SecretUnreadable():
            return "The secret can't be read any more, as keys were changed meanwhile: go back to the channel, and type it again."
        case _:
            return " ".join(sentences(str(error).splitlines()))


async def _show(visit: Visit, connection: Connection, draft: Draft, errors: dict[str, str]) -> Response:
    _require_all(draft)
    header = await header_of(visit, connection, draft)
    checked = check_content(visit, header, draft.bodies)
    if not errors:
        refusals = " ".join(errors_of(checked).values())
        errors = {"": refusals} if refusals else {}
    channel = draft.channel or Channel.PUBLIC
    sender = sender_of(visit.settings, channel, draft.account.sender_name if draft.account else None)
    warnings = sentences(checked.warnings)
    if draft.channel is Channel.INTERNAL:
        warnings.append(sentence(FOREIGN_NUMBERS))
        if draft.account is not None and not draft.account.is_tried:
            warnings.append("Twilio wasn't asked for the account: the first message shows whether it works.")
    return await visit.page(
        "campaigns/new_look.html",
        steps=steps_of(draft, LOOK),
        draft=draft,
        agency=await agency_name_of(visit, connection, draft),
        recipients=CHANNELS[channel],
        sender=sender,
        header=header,
        phones=[
            phone_of(
                visit.settings,
                header=header,
                body=body,
                language=language,
                sender=sender,
                channel=channel,
                price=visit.price,
            )
            for language, body in draft.bodies.items()
        ],
        parameters=Template(header, draft.bodies).parameters,
        warnings=warnings,
        errors=errors,
    )


def _require_all(draft: Draft) -> None:
    """Lead back to the first step that isn't done."""
    if not draft.has_channel:
        raise GoTo(url(CHANNEL, draft_id=draft.id))
    if not draft.bodies:
        raise GoTo(url(CONTENT, draft_id=draft.id))


ROUTES: Final = (
    ConsoleRoute(
        LOOK,
        "/campaigns/new/{draft_id}/look",
        {"GET": show_look, "POST": make_campaign},
        Action.CREATE_CAMPAIGN,
    ),
)

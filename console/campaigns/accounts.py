"""An internal campaign's account at Twilio, as it is typed in the steps of making one or in its settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import CampaignStatus, Channel
from campaigns.errors import CampaignsError, MessagingServiceTaken, SecretsKeyError
from campaigns.fields import TwilioCredentials, check_twilio_credentials
from campaigns.people.permissions import Action
from campaigns.twilio_accounts import fetch_twilio_account, set_twilio_account
from console.campaigns.frame import open_frame
from console.campaigns.steps import sentence
from console.forms import Form
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit
from sending.accounts import try_credentials

NO_KEY: Final = "Secrets can't be kept here at the moment: tell this service's operators that the console needs SECRETS__KEY."
SERVICE_TAKEN: Final = (
    "This messaging service is used here with another account at Twilio: compare the account SID and the messaging "
    "service's SID."
)
_FIELDS: Final = ("account", "key", "service", "sender")
_PAGE: Final = "campaign_account"


@dataclass(frozen=True, slots=True)
class TypedAccount:
    """What was typed, and what is to be said of it. `credentials` are there where nothing is wrong.

    `is_away`: Twilio couldn't be asked, so that it may be kept untried; `is_tried`: Twilio knows it.
    """

    values: Mapping[str, str]
    credentials: TwilioCredentials | None = field(default=None, repr=False)
    errors: Mapping[str, str] = field(default_factory=dict)
    is_away: bool = False
    is_tried: bool = False


def values_of(*, account_sid: str, key_sid: str, service_sid: str, sender_name: str) -> dict[str, str]:
    """What stands in the fields for an account. Its secret doesn't."""
    return dict(zip(_FIELDS, (account_sid, key_sid, service_sid, sender_name), strict=True))


async def read_account(visit: Visit, form: Form) -> TypedAccount:
    """The account that the form has, asked for at Twilio unless it shall be kept untried. It holds no connection meanwhile."""
    values = {name: form.words(name) for name in _FIELDS}
    secret = form.words("secret")
    wrong = check_twilio_credentials(**values, secret=secret)
    if wrong:
        return TypedAccount(values, errors={name: sentence(text) for name, text in wrong.items()})
    credentials = TwilioCredentials(
        values["account"], values["key"], secret, values["service"], values["sender"]
    )
    if form["untried"] == "yes":
        return TypedAccount(values, credentials)
    trouble = await try_credentials(credentials, visit.settings.sending)
    if trouble is None:
        return TypedAccount(values, credentials, is_tried=True)
    then = (
        "try again, or keep the account untried."
        if trouble.is_away
        else "compare the values with those at Twilio, and type the secret again."
    )
    told = f"{sentence(trouble.text)} Nothing was stored: {then}"
    return TypedAccount(values, errors={"": told}, is_away=trouble.is_away)


async def show_account(visit: Visit) -> Response:
    """The campaign's account, to be replaced by another. Its secret is never shown."""
    async with visit.connection() as connection:
        account = await fetch_twilio_account(connection, visit.campaign_id)
    values = {}
    if account is not None:
        values = values_of(
            account_sid=account.account_sid,
            key_sid=account.key_sid,
            service_sid=account.service_sid,
            sender_name=account.sender_name,
        )
    return await _show(visit, TypedAccount(values))


async def set_account(visit: Visit) -> Response:
    """Let the campaign's messages leave by this account from now on."""
    form = await visit.form()
    typed = await read_account(visit, form)
    if typed.credentials is None:
        return await _show(visit, typed)
    try:
        async with visit.change(form) as connection:
            await set_twilio_account(
                connection, visit.settings.secrets, visit.campaign_id, typed.credentials, actor=visit.actor
            )
            tried = "Twilio knows it" if typed.is_tried else "Twilio wasn't asked for it"
            return await visit.done(
                connection,
                url("campaign_settings", campaign_id=visit.campaign_id),
                f"The account is set, and messages leave by it from now on. {tried}. If Twilio had refused the one before, ask "
                "the operators of this service to let messages go on.",
            )
    except CampaignsError as error:
        return await _show(visit, TypedAccount(typed.values, errors={"": _in_words(error)}))


def _in_words(error: CampaignsError) -> str:
    match error:
        case SecretsKeyError():
            return NO_KEY
        case MessagingServiceTaken():
            return SERVICE_TAKEN
        case _:
            return sentence(str(error))


async def _show(visit: Visit, typed: TypedAccount) -> Response:
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "campaign_settings")
    campaign = frame.campaign
    return await visit.page(
        "campaigns/account.html",
        status=400 if typed.errors else 200,
        frame=frame,
        typed=typed,
        errors=typed.errors,
        has_one=bool(typed.values),
        is_possible=campaign.channel is Channel.INTERNAL and campaign.status is not CampaignStatus.DELETED,
    )


ROUTES: Final = (
    ConsoleRoute(
        _PAGE,
        "/campaigns/{campaign_id}/settings/account",
        {"GET": show_account, "POST": set_account},
        Action.MANAGE_CAMPAIGN,
        subject=of_campaign,
        is_fresh=True,
    ),
)

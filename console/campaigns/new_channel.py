"""The second step: whom the campaign is for. One for an agency's own staff leaves by its own account, which is tried at once."""

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import Channel
from campaigns.errors import SecretsKeyError
from campaigns.fields import TwilioCredentials, check_twilio_credentials
from campaigns.people.permissions import Action
from console.campaigns.drafts import Draft, store_draft, with_account
from console.campaigns.phones import public_sender
from console.campaigns.steps import CHANNEL, CONTENT, hold_draft, open_draft, sentence, steps_of
from console.paths import url
from console.routes import ConsoleRoute
from console.visits import Visit
from sending.accounts import try_credentials

ACCOUNT: Final = "campaign_new_account"
_FIELDS: Final = ("account", "key", "service", "sender")
NO_KEY: Final = (
    "Secrets can't be kept here at the moment, so that no internal campaign can be made: tell the operators of this service that "
    "the console needs SECRETS__KEY."
)


async def show_channel(visit: Visit) -> Response:
    """Ask whom it is for."""
    async with visit.connection() as connection:
        draft = await open_draft(visit, connection)
    return await _show_channel(visit, draft, {})


async def choose_channel(visit: Visit) -> Response:
    """Give the draft this channel. An internal one's account comes next."""
    form = await visit.form()
    if form["channel"] not in set(Channel):
        async with visit.connection() as connection:
            draft = await open_draft(visit, connection)
        return await _show_channel(visit, draft, {"channel": "Choose whom the messages go to."})
    channel = Channel(form["channel"])
    async with visit.change(form) as connection:
        draft = await hold_draft(visit, connection)
        # A secret that isn't needed isn't kept.
        account = draft.account if channel is Channel.INTERNAL else None
        await store_draft(connection, replace(draft, channel=channel, account=account))
        after = ACCOUNT if channel is Channel.INTERNAL else CONTENT
        return await visit.done(connection, url(after, draft_id=draft.id))


async def _show_channel(visit: Visit, draft: Draft, errors: dict[str, str]) -> Response:
    return await visit.page(
        "campaigns/new_channel.html",
        status=400 if errors else 200,
        steps=steps_of(draft, CHANNEL),
        draft=draft,
        sender=public_sender(visit.settings),
        errors=errors,
    )


async def show_account(visit: Visit) -> Response:
    """Ask for the account at Twilio. Its secret is never shown."""
    async with visit.connection() as connection:
        draft = await open_draft(visit, connection)
    values = {}
    if draft.account is not None:
        account = draft.account
        values = dict(
            zip(
                _FIELDS,
                (account.account_sid, account.key_sid, account.service_sid, account.sender_name),
                strict=True,
            )
        )
    return await _show_account(visit, draft, values, {})


async def set_account(visit: Visit) -> Response:
    """Try the account and keep it in the draft, its secret encrypted. Where Twilio is away it may be kept untried."""
    form = await visit.form()
    values = {name: form.words(name) for name in _FIELDS}
    async with visit.connection() as connection:
        draft = await open_draft(visit, connection)
    secret = form.words("secret")
    wrong = check_twilio_credentials(**values, secret=secret)
    if wrong:
        return await _show_account(
            visit, draft, values, {name: sentence(text) for name, text in wrong.items()}
        )
    credentials = TwilioCredentials(
        values["account"], values["key"], secret, values["service"], values["sender"]
    )
    is_untried = form["untried"] == "yes"
    # No connection is held meanwhile: Twilio has ten seconds to answer.
    trouble = None if is_untried else await try_credentials(credentials, visit.settings.sending)
    if trouble is not None:
        told = f"{sentence(trouble.text)} Nothing was stored: "
        told += (
            "try again, or keep the account untried."
            if trouble.is_away
            else "compare the values with those at Twilio, and type the secret again."
        )
        return await _show_account(visit, draft, values, {"": told}, is_away=trouble.is_away)
    try:
        async with visit.change(form) as connection:
            draft = replace(await hold_draft(visit, connection), channel=Channel.INTERNAL)
            draft = await with_account(
                connection, visit.settings.secrets, draft, credentials, is_tried=not is_untried
            )
            await store_draft(connection, draft)
            told = "Twilio knows the account." if not is_untried else "The account is kept, untried."
            return await visit.done(connection, url(CONTENT, draft_id=draft.id), told)
    except SecretsKeyError:
        return await _show_account(visit, draft, values, {"": NO_KEY})


async def _show_account(
    visit: Visit, draft: Draft, values: dict[str, str], errors: dict[str, str], *, is_away: bool = False
) -> Response:
    return await visit.page(
        "campaigns/new_account.html",
        status=400 if errors else 200,
        steps=steps_of(draft, CHANNEL),
        draft=draft,
        values=values,
        errors=errors,
        is_away=is_away,
    )


ROUTES: Final = (
    ConsoleRoute(
        CHANNEL,
        "/campaigns/new/{draft_id}/channel",
        {"GET": show_channel, "POST": choose_channel},
        Action.CREATE_CAMPAIGN,
    ),
    ConsoleRoute(
        ACCOUNT,
        "/campaigns/new/{draft_id}/account",
        {"GET": show_account, "POST": set_account},
        Action.CREATE_CAMPAIGN,
        is_fresh=True,
    ),
)

"""The second step: whom the campaign is for. One for an agency's own staff leaves by its own account, which is tried at once."""

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import Channel
from campaigns.errors import SecretsKeyError
from campaigns.people.permissions import Action
from console.campaigns.accounts import NO_KEY, TypedAccount, read_account, values_of
from console.campaigns.drafts import Draft, store_draft, with_account
from console.campaigns.phones import public_sender
from console.campaigns.steps import CHANNEL, CONTENT, hold_draft, open_draft, steps_of
from console.paths import url
from console.routes import ConsoleRoute
from console.visits import Visit

ACCOUNT: Final = "campaign_new_account"


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
        values = values_of(
            account_sid=draft.account.account_sid,
            key_sid=draft.account.key_sid,
            service_sid=draft.account.service_sid,
            sender_name=draft.account.sender_name,
        )
    return await _show_account(visit, draft, TypedAccount(values))


async def set_account(visit: Visit) -> Response:
    """Try the account and keep it in the draft, its secret encrypted. Where Twilio is away it may be kept untried."""
    form = await visit.form()
    async with visit.connection() as connection:
        draft = await open_draft(visit, connection)
    typed = await read_account(visit, form)
    if typed.credentials is None:
        return await _show_account(visit, draft, typed)
    try:
        async with visit.change(form) as connection:
            draft = replace(await hold_draft(visit, connection), channel=Channel.INTERNAL)
            draft = await with_account(
                connection, visit.settings.secrets, draft, typed.credentials, is_tried=typed.is_tried
            )
            await store_draft(connection, draft)
            told = "Twilio knows the account." if typed.is_tried else "The account is kept, untried."
            return await visit.done(connection, url(CONTENT, draft_id=draft.id), told)
    except SecretsKeyError:
        return await _show_account(visit, draft, TypedAccount(typed.values, errors={"": NO_KEY}))


async def _show_account(visit: Visit, draft: Draft, typed: TypedAccount) -> Response:
    return await visit.page(
        "campaigns/new_account.html",
        status=400 if typed.errors else 200,
        steps=steps_of(draft, CHANNEL),
        draft=draft,
        typed=typed,
        errors=typed.errors,
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

"""One message: its number and values, how it looks on the phone, and then it is sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import Campaign, CampaignStatus, fetch_known_campaign
from campaigns.people.permissions import Action
from campaigns.twilio_accounts import fetch_twilio_account
from console.campaigns.frame import CampaignFrame, campaign_path, open_frame
from console.campaigns.phones import LANGUAGES, sender_of
from console.errors import PageRefused
from console.forms import Form
from console.paths import has_page, url
from console.routes import ConsoleRoute
from console.sending.countries import COUNTRIES, HOME_CODE
from console.sending.texts import FilledPhone, Texts
from console.subjects import of_campaign
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries
from messages.identifiers import message_id
from messages.singles import (
    SingleRow,
    announce_singles,
    create_single_of_user,
    new_single_id,
)
from rules.billing.prices import is_local
from rules.messages import BODY_RECOMMENDED
from rules.single.checks import Subject, refuse_recipient
from rules.templates import Language

SQL: Final = NamedQueries("console", "sending/sending.sql")
_RECENTLY: Final = timedelta(hours=1)
# Files with more messages than this are not looked through for the number.
_MOST_OF_FILE: Final = 500
# A value's field; so that no parameter's name can be that of another field.
_VALUE: Final = "value-"


class _SentSince(Exception):  # noqa: N818 - no error
    """The campaign has written to the number, of which the page that was sent had not warned."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the form asks for."""

    recipient: str = field(repr=False)
    language: Language
    values: Mapping[str, str] = field(repr=False)

    def given(self) -> dict[str, str]:
        """The values that were filled in."""
        return {name: value for name, value in self.values.items() if value}


async def texts_of(visit: Visit, connection: Connection, campaign: Campaign) -> Texts:
    """The campaign's texts, as recipients see them."""
    account = await fetch_twilio_account(connection, campaign.id)
    sender = sender_of(visit.settings, campaign.channel, account.sender_name if account else None)
    return Texts(campaign, visit.settings, sender, visit.price)


async def show_single(visit: Visit) -> Response:
    """The form, empty but for the country code."""
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "send_single")
        texts = await texts_of(visit, connection, frame.campaign)
    template = frame.campaign.template
    asked = _Asked(HOME_CODE, next(iter(template.bodies)), dict.fromkeys(template.parameters, ""))
    return await _page(visit, frame, texts, asked)


async def take_single(visit: Visit) -> Response:
    """Show what it would look like; or send it."""
    form = await visit.form()
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "send_single")
        texts = await texts_of(visit, connection, frame.campaign)
        asked = _read(form, frame.campaign)
        recent = await _find_recent(connection, visit.campaign_id, asked.recipient)
    if form["then"] != "send":
        phone = texts.fill(asked.language, asked.given(), asked.recipient)
        errors = _errors(visit, texts, asked, only_given=True)
        return await _page(
            visit, frame, texts, asked, phone=phone, errors=errors, recent=recent, is_preview=True
        )
    errors = _errors(visit, texts, asked)
    if errors:
        phone = texts.fill(asked.language, asked.given(), asked.recipient)
        return await _page(visit, frame, texts, asked, phone=phone, errors=errors, recent=recent, status=422)
    try:
        async with visit.change(form) as connection:
            recent = await _find_recent(connection, visit.campaign_id, asked.recipient)
            if recent is not None and form["warned_of"] != asked.recipient:
                raise _SentSince
            response = await _send(visit, connection, texts, asked)
    except _SentSince:
        # Since the preview, as from another tab: now the page says so, and it can be sent from there all the same.
        phone = texts.fill(asked.language, asked.given(), asked.recipient)
        return await _page(
            visit, frame, texts, asked, phone=phone, recent=recent, is_refused=True, status=409
        )
    async with visit.connection() as connection:
        await announce_singles(connection)
    return response


async def _send(visit: Visit, connection: Connection, texts: Texts, asked: _Asked) -> Response:
    campaign = await fetch_known_campaign(connection, visit.campaign_id)
    if campaign.status is not CampaignStatus.ACTIVE:
        raise PageRefused(409, "The campaign is suspended, so nothing was sent: ask ops why.")
    phone = texts.fill(asked.language, asked.values)
    at: datetime = await connection.fetchval(SQL["fetch_moment"])
    frame = {
        "before": texts.frame.before(),
        "after": {asked.language.value: texts.frame.after(asked.language)},
    }
    batch_id = new_single_id(at)
    single = SingleRow(
        batch_id=batch_id,
        campaign_id=campaign.id,
        frame=json.dumps(frame),
        recipient=asked.recipient,
        language=asked.language.value,
        values=json.dumps(asked.values),
        segments=phone.counted.segments,
        encoding=phone.counted.encoding,
        keyed=None,
        creator_id=visit.user.id,
    )
    await create_single_of_user(connection, single, created_at=at, actor=visit.actor)
    path = campaign_path(campaign.id)
    if has_page("message"):
        path = url("message", message_id=message_id(batch_id, 1))
    return await visit.done(
        connection, path, "The message was handed over. Its status is shown here as it changes."
    )


def _read(form: Form, campaign: Campaign) -> _Asked:
    template = campaign.template
    available = {language.value: language for language in template.bodies}
    language = available.get(form["language"], next(iter(template.bodies)))
    # Blanks in a number are what people write; everything else that is no digit is told.
    recipient = "".join(form["recipient"].split())
    values = {name: form.words(f"{_VALUE}{name}") for name in template.parameters}
    return _Asked(recipient, language, values)


def _errors(visit: Visit, texts: Texts, asked: _Asked, *, only_given: bool = False) -> dict[str, str]:
    """What is wrong, by the field that it is about. `only_given`: nothing is said of fields that are still empty."""
    errors: dict[str, str] = {}
    if not (only_given and asked.recipient in ("", HOME_CODE)):
        refusal = refuse_recipient(asked.recipient, visit.settings.environment)
        if refusal is not None:
            errors["recipient"] = _sentence(refusal.text)
    for refusal in texts.refuse(asked.language, asked.values):
        if refusal.subject is Subject.VALUE and not (only_given and not asked.values.get(refusal.name)):
            errors.setdefault(f"{_VALUE}{refusal.name}", _sentence(refusal.text))
        elif refusal.subject is Subject.LENGTH:
            errors["preview"] = _sentence(refusal.text)
    return errors


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


async def _find_recent(connection: Connection, campaign_id: str, recipient: str) -> datetime | None:
    """When this campaign has last written to this number, within the last hour."""
    if not recipient.isdigit():
        return None
    found: datetime | None = await connection.fetchval(
        SQL["find_recent"], campaign_id, recipient, _RECENTLY, _MOST_OF_FILE
    )
    return found


async def _page(
    visit: Visit,
    frame: CampaignFrame,
    texts: Texts,
    asked: _Asked,
    *,
    phone: FilledPhone | None = None,
    errors: Mapping[str, str] | None = None,
    recent: datetime | None = None,
    is_preview: bool = False,
    is_refused: bool = False,
    status: int = 200,
) -> Response:
    cost = None
    if phone is not None:
        segments = phone.counted.segments
        local = segments if is_local(asked.recipient) else 0
        cost = texts.cost(local, segments - local)
    return await visit.page(
        "sending/single.html",
        status=status,
        frame=frame,
        asked=asked,
        languages=[(language.value, LANGUAGES[language][0]) for language in frame.campaign.template.bodies],
        countries=COUNTRIES,
        phone=phone,
        cost=cost,
        errors=errors or {},
        minutes=None if recent is None else int((datetime.now(UTC) - recent).total_seconds() // 60),
        is_preview=is_preview,
        is_refused=is_refused,
        can_send=frame.campaign.status is CampaignStatus.ACTIVE,
        recommended=BODY_RECOMMENDED,
        value_field=_VALUE,
    )


ROUTES: Final = (
    ConsoleRoute(
        "send_single",
        "/campaigns/{campaign_id}/send",
        {"GET": show_single, "POST": take_single},
        Action.SEND,
        subject=of_campaign,
    ),
)

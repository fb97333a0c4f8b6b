"""One message: its text as it was sent, each attempt, what a failure means, and another try. Its status is followed live."""

from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from audit.events import AuditEvent, record_event
from campaigns.people.permissions import Action
from console.campaigns.frame import CampaignFrame, open_frame
from console.campaigns.phones import LANGUAGES
from console.errors import PageRefused
from console.messages.batches import BatchRights
from console.messages.listing import make_rows
from console.messages.message_facts import MessageFacts, MessageView
from console.messages.sight import SEES_MESSAGES, Sight, check_of
from console.paths import url
from console.routes import ConsoleRoute
from console.sending.texts import cost_in_words
from console.subjects import of_message
from console.visits import Visit
from database.connections import Connection
from messages.archived.ranges import find_archive
from messages.changes import retry_message
from messages.documents import MessageDocuments, attempts_of
from messages.errors import ChangeRefused, MessageNotFound, MessagesArchived
from messages.identifiers import parse_message_id
from messages.retrieval import Message, fetch_batch_of, fetch_message
from processing.rule_settings import make_rules
from rules.billing.prices import cost_of
from rules.templates import Language


class _RetriedSince(Exception):  # noqa: N818 - a fact about a message
    """It has more attempts than the page has shown."""


async def show_message(visit: Visit) -> Response:
    """The message."""
    return await _show(visit)


async def show_number(visit: Visit) -> Response:
    """The message with its number, for whoever sees numbers masked. It is shown on this one answer, and each time is audited."""
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        message = await _fetch_seen(visit, connection, sight)
    await visit.form()
    async with visit.connection() as connection:
        if not sight.sees_contents(message.batch):
            async with connection.transaction():
                await record_event(
                    connection,
                    AuditEvent.MESSAGE_UNMASKED,
                    campaign_id=visit.campaign_id,
                    actor=visit.actor,
                    details={"batch_id": message.batch.id, "message_id": message.id},
                )
    return await _show(visit, is_unmasked=True)


async def _show(visit: Visit, *, is_unmasked: bool = False, refusal: str = "") -> Response:
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        message = await _fetch_seen(visit, connection, sight)
        frame = await open_frame(visit, connection, "campaign_messages")
        maker = await make_rows(visit, connection, frame.campaign, sight)
    shows = sight.sees_contents(message.batch)
    row = maker.row(message)
    return await visit.page(
        "messages/message.html",
        status=409 if refusal else 200,
        frame=frame,
        message=message,
        row=row,
        facts=_facts_maker(visit, frame)(message),
        creator=message.creator or frame.campaign.creator,
        number=message.recipient if shows or is_unmasked else row.recipient,
        is_unmasked=is_unmasked,
        shows=shows,
        text=_full_text(visit, frame, message) if shows else None,
        parameters=[(name, message.values.get(name, "")) for name in maker.parameters] if shows else (),
        language=LANGUAGES[Language(message.language)],
        rights=BatchRights.of_visit(visit),
        refusal=refusal,
    )


async def follow_message(visit: Visit) -> Response:
    """What becomes of the message."""
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        message = await _fetch_seen(visit, connection, sight)
        frame = await open_frame(visit, connection, "campaign_messages")
    return visit.services.hub.open(
        MessageView(message, visit.may(Action.SEND), _facts_maker(visit, frame)),
        user_id=visit.user.id,
        campaign_id=visit.campaign_id,
        check=check_of(visit, sight),
    )


def _facts_maker(visit: Visit, frame: CampaignFrame) -> Callable[[Message], MessageFacts]:
    """What makes the facts of a message of this campaign for the visitor."""
    may_send, channel, environment = (
        visit.may(Action.SEND),
        frame.campaign.channel,
        visit.settings.environment,
    )

    def make(message: Message) -> MessageFacts:
        cost = cost_of([(message.recipient, message.segments)])
        words = cost_in_words(environment, channel, cost, visit.price)
        return MessageFacts(message, may_send, words)

    return make


def _full_text(visit: Visit, frame: CampaignFrame, message: Message) -> str:
    """The text as it is sent."""
    campaign, settings = frame.campaign, visit.settings
    around = make_rules(campaign.template, settings.environment, settings.messages).frame()
    documents = MessageDocuments(
        campaign.id, campaign.template, campaign.created_at, campaign.creator, around.document()
    )
    return documents.full_message(message)


async def retry(visit: Visit) -> Response:
    """Begin a new attempt of the message."""
    async with visit.connection() as connection:
        message = await _fetch_seen(visit, connection, Sight.of_visit(visit))
    form = await visit.form()
    try:
        async with visit.change(form) as connection:
            current = await fetch_message(connection, message.id)
            if current is None or form["attempts"] not in ("", str(len(attempts_of(current)))):
                # Rolled back; whoever clicks again has seen what became of the other try.
                raise _RetriedSince
            await retry_message(
                connection,
                message.id,
                max_retries=visit.settings.sending.max_retries,
                actor=visit.actor,
                campaign_id=visit.campaign_id,
            )
            return await visit.done(
                connection, url("message", message_id=message.id), "The message will be sent again."
            )
    except MessageNotFound:
        raise PageRefused(404) from None
    except _RetriedSince:
        return await _show(
            visit, refusal="It was sent again since this page was made: look at its attempts first."
        )
    except ChangeRefused as error:
        return await _show(visit, refusal=f"This message {error.reason}.")


async def _fetch_seen(visit: Visit, connection: Connection, sight: Sight) -> Message:
    """The message of the page's path. Raises PageRefused (404): it isn't there for the visitor."""
    message = await fetch_message(connection, visit.parameter("message_id"))
    if message is None:
        await _refuse_archived(visit, connection, sight)
        raise PageRefused(404)
    sight.demand(message.batch)
    return message


async def _refuse_archived(visit: Visit, connection: Connection, sight: Sight) -> None:
    """Raise MessagesArchived where the visitor would see the message, were it not archived."""
    key = parse_message_id(visit.parameter("message_id"))
    batch = None if key is None else await fetch_batch_of(connection, key)
    if batch is not None and (name := await find_archive(connection, batch.number)) is not None:
        sight.demand(batch)
        raise MessagesArchived(name)


ROUTES: Final = (
    ConsoleRoute(
        "message", "/messages/{message_id}", {"GET": show_message}, SEES_MESSAGES, subject=of_message
    ),
    ConsoleRoute(
        "message_live",
        "/messages/{message_id}/live",
        {"GET": follow_message},
        SEES_MESSAGES,
        subject=of_message,
        is_stream=True,
    ),
    ConsoleRoute(
        "message_number",
        "/messages/{message_id}/number",
        {"POST": show_number},
        SEES_MESSAGES,
        subject=of_message,
    ),
    ConsoleRoute(
        "message_retry", "/messages/{message_id}/retry", {"POST": retry}, Action.SEND, subject=of_message
    ),
)

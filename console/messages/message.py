"""One message: its text as it was sent, each attempt, what a failure means, and another try."""

from typing import Final

from starlette.responses import Response

from audit.events import AuditEvent, record_event
from campaigns.people.permissions import Action
from console.campaigns.frame import CampaignFrame, open_frame
from console.campaigns.phones import LANGUAGES
from console.errors import PageRefused
from console.messages.batch_changes import charges
from console.messages.batches import BatchRights
from console.messages.listing import make_rows
from console.messages.rows import STATUS_KINDS
from console.messages.sight import SEES_MESSAGES, Sight
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_message
from console.visits import Visit
from database.connections import Connection
from messages.changes import retry_message
from messages.documents import MessageDocuments, attempts_of
from messages.errors import ChangeRefused, MessageNotFound
from messages.meanings import ERROR_MEANINGS, STATUS_MEANINGS, arrival
from messages.retrieval import Message, fetch_message
from messages.statuses import ErrorCode, MessageStatus
from processing.rule_settings import make_rules
from rules.billing.prices import cost_of, shown_cost
from rules.templates import Language


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
    error = (
        (message.error or ErrorCode.SERVER_UNKNOWN_ERROR) if message.status is MessageStatus.FAILURE else None
    )
    language = LANGUAGES[Language(message.language)]
    return await visit.page(
        "messages/message.html",
        status=409 if refusal else 200,
        frame=frame,
        message=message,
        row=row,
        creator=message.creator or frame.campaign.creator,
        number=message.recipient if shows or is_unmasked else row.recipient,
        is_unmasked=is_unmasked,
        shows=shows,
        text=_full_text(visit, frame, message) if shows else None,
        parameters=[(name, message.values.get(name, "")) for name in maker.parameters] if shows else (),
        language=language,
        status_kinds=STATUS_KINDS,
        means=STATUS_MEANINGS[message.status],
        error=error,
        meaning=error and ERROR_MEANINGS[error],
        arrival=arrival(message),
        attempts=attempts_of(message),
        rights=BatchRights.of_visit(visit),
        may_retry=visit.may(Action.SEND) and error is not None and error is not ErrorCode.STOPPED,
        cost=_cost(message) if charges(visit, frame) else None,
        refusal=refusal,
    )


def _full_text(visit: Visit, frame: CampaignFrame, message: Message) -> str:
    """The text as it is sent."""
    campaign, settings = frame.campaign, visit.settings
    around = make_rules(campaign.template, settings.environment, settings.messages).frame()
    documents = MessageDocuments(
        campaign.id, campaign.template, campaign.created_at, campaign.creator, around.document()
    )
    return documents.full_message(message)


def _cost(message: Message) -> str:
    return shown_cost(cost_of([(message.recipient, message.segments)]).mills)


async def retry(visit: Visit) -> Response:
    """Begin a new attempt of the message."""
    async with visit.connection() as connection:
        message = await _fetch_seen(visit, connection, Sight.of_visit(visit))
    form = await visit.form()
    try:
        async with visit.change(form) as connection:
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
    except ChangeRefused as error:
        return await _show(visit, refusal=f"This message {error.reason}.")


async def _fetch_seen(visit: Visit, connection: Connection, sight: Sight) -> Message:
    """The message of the page's path. Raises PageRefused (404): it isn't there for the visitor."""
    message = await fetch_message(connection, visit.parameter("message_id"))
    if message is None:
        raise PageRefused(404)
    sight.demand(message.batch)
    return message


ROUTES: Final = (
    ConsoleRoute(
        "message", "/messages/{message_id}", {"GET": show_message}, SEES_MESSAGES, subject=of_message
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

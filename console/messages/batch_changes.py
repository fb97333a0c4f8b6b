"""What is asked of a batch: to retry what has failed, and, by ops, to release it or to stop it. Each asks before it is done."""

from typing import Final

from starlette.responses import Response

from campaigns.people.permissions import Action
from console.campaigns.frame import open_frame
from console.errors import PageRefused
from console.forms import Form
from console.messages.batch import fetch_batch_facts, fetch_seen_batch
from console.messages.sight import Sight
from console.paths import url
from console.rendering import shown_count
from console.routes import ConsoleRoute, Page
from console.sending.texts import cost_in_words
from console.subjects import of_batch
from console.visits import Visit
from database.connections import Connection
from messages.archived.ranges import refuse_archived
from messages.changes import count_retries, release_batch, retry_batch, stop_batch
from messages.errors import BatchNotFound, ChangeRefused
from rules.billing.prices import Cost


async def ask_retry(visit: Visit) -> Response:
    """How many messages would go again, and what that may cost."""
    return await _ask(visit, "retry")


async def ask_stop(visit: Visit) -> Response:
    """What a stop ends."""
    return await _ask(visit, "stop")


async def ask_release(visit: Visit) -> Response:
    """What a release lets go."""
    return await _ask(visit, "release")


async def _ask(visit: Visit, change: str, refusal: str = "") -> Response:
    sight = Sight.of_visit(visit)
    limit = visit.settings.sending.max_retries
    async with visit.connection() as connection:
        batch = await fetch_seen_batch(visit, connection, sight)
        frame = await open_frame(visit, connection, "campaign_batches")
        facts = await fetch_batch_facts(connection, frame, batch)
        ahead = None
        if change == "retry":
            await refuse_archived(connection, batch.number)
            ahead = await count_retries(connection, batch.number, max_retries=limit)
    cost = None
    if ahead is not None:
        segments = Cost(ahead.local_segments, ahead.segments - ahead.local_segments)
        cost = cost_in_words(visit.settings.environment, frame.campaign.channel, segments, visit.price)
    return await visit.page(
        f"messages/{change}.html",
        status=409 if refusal else 200,
        frame=frame,
        facts=facts,
        ahead=ahead,
        cost=cost,
        limit=limit,
        refusal=refusal,
    )


class _GrownSince(Exception):  # noqa: N818 - a fact about a batch
    """A retry would send more messages, or more that may have arrived, than its page has said."""


async def retry(visit: Visit) -> Response:
    """Begin a new attempt of each message that has failed."""
    batch_id = await _demand(visit)
    form = await visit.form()
    try:
        return await _retry(visit, batch_id, form)
    except _GrownSince:
        sentence = "More of it has failed since this page was made: look at the numbers again."
        return await _ask(visit, "retry", sentence)


async def _retry(visit: Visit, batch_id: str, form: Form) -> Response:
    """Raises _GrownSince: then nothing is done, and the form can be sent again."""
    refusal = ""
    async with visit.change(form) as connection:
        await _check_shown(visit, connection, form["shown"])
        try:
            retried = await retry_batch(
                connection,
                batch_id,
                max_retries=visit.settings.sending.max_retries,
                actor=visit.actor,
                campaign_id=visit.campaign_id,
            )
            sentence = (
                f"{_messages(retried)} will be sent again."
                if retried
                else "Nothing is to be sent again: no message has failed, or all that have were retried too often."
            )
            return await visit.done(connection, url("batch", batch_id=batch_id), sentence)
        except BatchNotFound:
            raise PageRefused(404) from None
        except ChangeRefused as error:
            # Not rolled back: that it was refused may change the batch's status (8-api.md §2.6).
            refusal = f"This batch {error.reason}."
    return await _ask(visit, "retry", refusal)


async def _check_shown(visit: Visit, connection: Connection, shown: str) -> None:
    """Raises _GrownSince. `shown`: how many messages the page said, and how many of them may have arrived; "" by a program."""
    numbers = [
        int(number) for number in shown.split() if number.isascii() and number.isdigit() and len(number) < 10
    ]
    if len(numbers) != 2:
        return
    batch = await fetch_seen_batch(visit, connection, Sight.of_visit(visit))
    limit = visit.settings.sending.max_retries
    ahead = await count_retries(connection, batch.number, max_retries=limit)
    if ahead.messages > numbers[0] or ahead.may_have_arrived > numbers[1]:
        raise _GrownSince


async def stop(visit: Visit) -> Response:
    """End the batch for good."""
    batch_id = await _demand(visit)
    form = await visit.form()
    try:
        async with visit.change(form) as connection:
            stopped = await stop_batch(connection, batch_id, actor=visit.actor, campaign_id=visit.campaign_id)
            sentence = f"The batch is stopped: {_messages(stopped)} will never leave."
            return await visit.done(connection, url("batch", batch_id=batch_id), sentence)
    except BatchNotFound:
        raise PageRefused(404) from None
    except ChangeRefused as error:
        return await _ask(visit, "stop", f"All messages of this batch {error.reason}.")


async def release(visit: Visit) -> Response:
    """Let the batch go."""
    batch_id = await _demand(visit)
    form = await visit.form()
    try:
        async with visit.change(form) as connection:
            await release_batch(connection, batch_id, actor=visit.actor, campaign_id=visit.campaign_id)
            return await visit.done(
                connection, url("batch", batch_id=batch_id), "The batch is released, and goes on."
            )
    except BatchNotFound:
        raise PageRefused(404) from None
    except ChangeRefused as error:
        return await _ask(visit, "release", f"This batch {error.reason}.")


async def _demand(visit: Visit) -> str:
    """The id of the page's batch. Raises PageRefused (404): it isn't there for the visitor."""
    async with visit.connection() as connection:
        return (await fetch_seen_batch(visit, connection, Sight.of_visit(visit))).id


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{shown_count(count)} messages"


def _route(name: str, ask: Page, do: Page, needs: Action) -> ConsoleRoute:
    path = f"/batches/{{batch_id}}/{name}"
    return ConsoleRoute(f"batch_{name}", path, {"GET": ask, "POST": do}, needs, subject=of_batch)


ROUTES: Final = (
    _route("retry", ask_retry, retry, Action.SEND),
    _route("stop", ask_stop, stop, Action.ADMINISTER),
    _route("release", ask_release, release, Action.ADMINISTER),
)

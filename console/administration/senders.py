"""`/ops/senders`: let nothing leave by a sender, or by all, and let it leave again."""

from typing import Final

from starlette.responses import Response

from campaigns.people.permissions import Action
from console.paths import url
from console.routes import ConsoleRoute
from console.visits import Visit
from sending.errors import RestoreNotConfirmed, SenderNotFound
from sending.pauses import pause_senders, resume_senders
from sending.queues import fetch_queues

_RESTORED: Final = (
    "The database was restored: what has left since would be sent a second time. Do first what section 8 of the runbook says; "
    "this pause is lifted at the command line alone"
)
_GONE: Final = "That sender isn't there any more"


async def show_senders(visit: Visit) -> Response:
    """All senders, each with what can be done."""
    return await _shown(visit)


async def change_sender(visit: Visit) -> Response:
    """Pause or resume the sender that the form names, or all."""
    form = await visit.form()
    name = form["sender"] or None
    what = "All senders are" if name is None else f"The sender {name} is"
    try:
        async with visit.change(form) as connection:
            if form["do"] == "pause":
                await pause_senders(connection, name, actor=visit.actor)
                sentence = f"{what} paused: nothing more leaves within a second or two, and files are taken all the same."
            else:
                await resume_senders(connection, name, actor=visit.actor)
                sentence = f"{what} not paused any more."
            return await visit.done(connection, url("ops_senders"), sentence)
    except RestoreNotConfirmed:
        return await _shown(visit, _RESTORED)
    except SenderNotFound:
        return await _shown(visit, _GONE)


async def _shown(visit: Visit, error: str | None = None) -> Response:
    async with visit.connection() as connection:
        queues = await fetch_queues(connection)
    return await visit.page(
        "administration/senders.html", status=422 if error else 200, queues=queues, errors={"": error} if error else {}
    )  # fmt: skip


ROUTES: Final = (
    ConsoleRoute("ops_senders", "/ops/senders", {"GET": show_senders, "POST": change_sender}, Action.ADMINISTER),
)  # fmt: skip

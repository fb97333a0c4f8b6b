"""`/ops/banner`, and the table `console_banner`: one sentence of ops that every page shows."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from audit.details import EventDetails
from audit.events import AuditEvent, record_event
from campaigns.people.permissions import Action
from console.paths import url
from console.routes import ConsoleRoute
from console.visits import Visit
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "administration/banner.sql")
MOST_CHARACTERS: Final = 300
_MISSING: Final = "Write the sentence, or use the button that takes the notice away"
_TOO_LONG: Final = f"Make the sentence shorter: it has {MOST_CHARACTERS} characters at most"
_UNPRINTABLE: Final = "The sentence is one line of printable characters"


async def show_banner(visit: Visit) -> Response:
    """What is shown now."""
    return await _shown(visit)


async def change_banner(visit: Visit) -> Response:
    """Show another sentence, or none. The trail says that it changed, not what it said."""
    form = await visit.form()
    sentence = " ".join(form["sentence"].split()) if form["do"] == "show" else None
    if sentence is not None and (wrong := _wrong(sentence)):
        return await _shown(visit, typed=sentence, errors={"sentence": wrong})
    async with visit.change(form) as connection:
        if sentence is None:
            await connection.execute(SQL["clear_banner"])
        else:
            await connection.execute(SQL["set_banner"], sentence, visit.user.id)
        details: EventDetails = {"shown": sentence is not None}
        await record_event(connection, AuditEvent.BANNER_CHANGED, actor=visit.actor, details=details)
        told = "Every page shows the notice now." if sentence else "No page shows a notice any more."
        return await visit.done(connection, url("ops_banner"), told)


def _wrong(sentence: str) -> str | None:
    if not sentence:
        return _MISSING
    if len(sentence) > MOST_CHARACTERS:
        return _TOO_LONG
    return None if sentence.isprintable() else _UNPRINTABLE


async def _shown(
    visit: Visit, *, typed: str | None = None, errors: Mapping[str, str] | None = None
) -> Response:
    async with visit.connection() as connection:
        banner = await connection.fetchrow(SQL["fetch_banner"])
    return await visit.page(
        "administration/banner.html", status=422 if errors else 200, shown=banner, typed=typed, errors=errors or {},
        most=MOST_CHARACTERS,
    )  # fmt: skip


ROUTES: Final = (
    ConsoleRoute("ops_banner", "/ops/banner", {"GET": show_banner, "POST": change_banner}, Action.ADMINISTER),
)

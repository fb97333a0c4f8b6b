"""The step-up: a fresh code, before what can't be undone or lets others in. The same codes, limits and tries as of the login."""

from typing import Final

from starlette.responses import RedirectResponse, Response

from audit.events import AuditEvent, record_event
from console import metrics
from console.login.asking import ask, asked_of, forget, judge, sentence_for
from console.login.codes import Judgement, use_code
from console.login.sessions import add_flash, renew_code
from console.paths import own_path, url
from console.routes import Access, ConsoleRoute
from console.visits import Visit

_NO_CODE: Final = "Type the code of 6 letters and digits from the e-mail."


async def show_confirm(visit: Visit) -> Response:
    """Say why a code is asked for. Nothing is sent until somebody asks for it."""
    return await visit.page("login/confirm.html", then=own_path(visit.query.get("next")), error=None)


async def ask_for_code(visit: Visit) -> Response:
    """Send a code to the visitor."""
    form = await visit.form()
    then = own_path(form["next"])
    answer = await ask(visit, visit.user.email, url("confirm-code", next=then))
    if isinstance(answer, Response):
        return answer
    return await visit.page("login/confirm.html", status=429, then=then, error=answer)


async def show_code(visit: Visit) -> Response:
    """Ask for the code."""
    then = own_path(visit.query.get("next"))
    if asked_of(visit) is None:
        return RedirectResponse(url("confirm", next=then), 303)
    return await visit.page("login/confirm_code.html", then=then, errors={})


async def confirm(visit: Visit) -> Response:
    """The code counts as given now, where it is right and the visitor's own."""
    form = await visit.form()
    then = own_path(form["next"])
    if not form.words("code"):
        return await visit.page("login/confirm_code.html", status=400, then=then, errors={"code": _NO_CODE})
    judged = await judge(visit, form["code"], AuditEvent.CONSOLE_STEP_UP_REFUSED)
    metrics.STEP_UPS.labels(judged.judgement.value).inc()
    asked = asked_of(visit)
    if judged.judgement is Judgement.RIGHT and judged.email == visit.user.email and asked is not None:
        async with visit.connection() as connection, connection.transaction():
            is_first = await use_code(connection, asked.browser)
            if is_first:
                await renew_code(connection, visit.session.id)
                await add_flash(connection, visit.session.id, "Thank you: go on with what you wanted to do.")
                await record_event(connection, AuditEvent.CONSOLE_STEP_UP_ACCEPTED, actor=visit.actor)
        if is_first:
            answer = RedirectResponse(then or url("home"), 303)
            forget(answer)
            return answer
    return await visit.page(
        "login/confirm_code.html", status=400, then=then, errors={"code": sentence_for(judged)}
    )


ROUTES: Final = (
    ConsoleRoute("confirm", "/account/confirm", {"GET": show_confirm, "POST": ask_for_code}, Access.USERS),
    ConsoleRoute("confirm-code", "/account/confirm/code", {"GET": show_code, "POST": confirm}, Access.USERS),
)

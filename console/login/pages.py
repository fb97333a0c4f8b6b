"""The pages of the login: address, then code."""

from typing import Final

from starlette.responses import RedirectResponse, Response

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from campaigns.errors import PeopleRefused
from campaigns.people.addresses import parse_email
from campaigns.people.users import ensure_user
from console import metrics
from console.login.admission import is_admitted
from console.login.asking import ask, asked_of, browser_of, forget, judge, sentence_for
from console.login.codes import Judgement, Try, use_code
from console.login.sessions import COOKIE, Ended, begin_session, end_session
from console.paths import own_path, url
from console.routes import Access, ConsoleRoute
from console.visits import Visit

_NO_ADDRESS: Final = "Give your whole e-mail address, such as name@agency.gov.sg."
_NO_CODE: Final = "Type the code of 6 letters and digits from the e-mail."


async def show_login(visit: Visit) -> Response:
    """Ask for the address."""
    then = own_path(visit.query.get("next"))
    if visit.visitor is not None:
        return RedirectResponse(then or url("home"), 303)
    return await _show_login(visit, then, has_ended=COOKIE in visit.request.cookies)


async def ask_for_code(visit: Visit) -> Response:
    """Send a code to the address, if it may log in; what is shown is the same if it may not."""
    form = await visit.form()
    then = own_path(form["next"])
    try:
        email = parse_email(form["email"])
    except PeopleRefused:
        return await _show_login(visit, then, status=400, email=form["email"][:254], error=_NO_ADDRESS)
    answer = await ask(visit, email, url("login-code", next=then))
    if isinstance(answer, Response):
        return answer
    metrics.LOGINS.labels("limited").inc()
    asked = asked_of(visit)
    if asked is not None and asked.email == email:
        # The code that was sent before may be in the hands of whoever asks.
        return await _show_code(visit, then, answer, status=429)
    return await _show_login(visit, then, status=429, email=email, error=answer)


async def _show_login(
    visit: Visit,
    then: str | None,
    *,
    status: int = 200,
    email: str = "",
    error: str | None = None,
    has_ended: bool = False,
) -> Response:
    """The field for the address, with what is wrong; `has_ended`: somebody was logged in here, and isn't any more."""
    return await visit.page(
        "login/login.html",
        status=status,
        then=then,
        email=email,
        errors={"email": error} if error else {},
        has_ended=has_ended,
    )


async def show_code(visit: Visit) -> Response:
    """Ask for the code."""
    then = own_path(visit.query.get("next"))
    if visit.visitor is not None:
        return RedirectResponse(then or url("home"), 303)
    asked = asked_of(visit)
    if asked is None:
        return RedirectResponse(url("login", next=then), 303)
    return await visit.page("login/code.html", then=then, email=asked.email, errors={})


async def log_in(visit: Visit) -> Response:
    """Begin a session, where the code is right. It is always a new one."""
    form = await visit.form()
    then = own_path(form["next"])
    if not form.words("code"):
        return await _show_code(visit, then, _NO_CODE)
    judged = await judge(visit, form["code"], AuditEvent.CONSOLE_LOGIN_REFUSED)
    metrics.LOGINS.labels(judged.judgement.value).inc()
    value = await _begin(visit, judged) if judged.judgement is Judgement.RIGHT else None
    if value is None:
        return await _show_code(visit, then, sentence_for(judged))
    answer = RedirectResponse(then or url("home"), 303)
    forget(answer)
    answer.set_cookie(COOKIE, value, path="/", secure=True, httponly=True, samesite="lax")
    return answer


async def _show_code(visit: Visit, then: str | None, sentence: str, *, status: int = 400) -> Response:
    """The field for the code, with what is wrong."""
    asked = asked_of(visit)
    return await visit.page(
        "login/code.html",
        status=status,
        then=then,
        email=None if asked is None else asked.email,
        errors={"code": sentence},
    )


async def _begin(visit: Visit, judged: Try) -> str | None:
    """The new session's cookie; None where the code was used meanwhile, or the address may not log in any more."""
    asked = asked_of(visit)
    assert asked is not None  # noqa: S101 - its code was right
    assert judged.email is not None  # noqa: S101 - it was right
    settings = visit.settings.console
    async with visit.connection() as connection, connection.transaction():
        if not await use_code(connection, asked.browser):
            return None
        if not await is_admitted(connection, judged.email, settings):
            return None
        user = await ensure_user(connection, judged.email, is_admitted=True)
        if visit.visitor is not None:
            await end_session(
                connection,
                visit.session.id,
                visit.user.id,
                actor=visit.actor,
                reason=Ended.LOGIN,
            )
        value = await begin_session(
            connection,
            user.id,
            source_address=visit.address,
            browser=browser_of(visit),
            settings=settings,
        )
        actor = Actor(name=user.id, source_address=visit.address)
        details: EventDetails = {"address": judged.address_hash}
        await record_event(connection, AuditEvent.CONSOLE_LOGIN_ACCEPTED, actor=actor, details=details)
    return value


ROUTES: Final = (
    ConsoleRoute("login", "/login", {"GET": show_login, "POST": ask_for_code}, Access.ANYBODY),
    ConsoleRoute("login-code", "/login/code", {"GET": show_code, "POST": log_in}, Access.ANYBODY),
)

"""Asking for a code and typing it, as the login and the step-up both do; the cookie that binds a code to its browser."""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final

from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse, Response

from audit.details import EventDetails
from audit.events import AuditEvent, record_event
from campaigns.errors import PeopleRefused
from campaigns.people.addresses import parse_email
from console.login.admission import is_admitted
from console.login.browsers import describe_browser
from console.login.codes import (
    MOST_FROM_SOURCE,
    MOST_IN_DAY,
    MOST_IN_HOUR,
    PAUSE,
    Codes,
    Judgement,
    Limit,
    NewCode,
    Try,
)
from console.login.mail import CodeMail, send_code
from console.visits import Visit

COOKIE: Final = "__Host-login"
_MOST_COOKIE: Final = 600
_LIMITS: Final = {
    Limit.PAUSE: f"A code was asked for a moment ago, and it is still good: wait {PAUSE} seconds before you ask for another one.",
    Limit.ADDRESS_HOUR: f"{MOST_IN_HOUR} codes were asked for that address within an hour: use the last one, or wait an hour.",
    Limit.ADDRESS_DAY: f"{MOST_IN_DAY} codes were asked for that address within a day: use the last one, or try again tomorrow.",
    Limit.SOURCE: f"{MOST_FROM_SOURCE} codes were asked for from your network within an hour: use the last one, or wait an hour.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a browser knows of the code that it asked for: what that is bound to, and the address as it was typed."""

    browser: str = field(repr=False)
    email: str = field(repr=False)

    @property
    def cookie(self) -> str:
        """As the browser keeps it."""
        email = base64.urlsafe_b64encode(self.email.encode()).decode().rstrip("=")
        return f"{self.browser}.{email}"


def asked_of(visit: Visit) -> Asked | None:
    """What the browser says that it asked for. Its address is only shown: the code's own is in the table."""
    value = visit.request.cookies.get(COOKIE, "")
    browser, _, encoded = value.partition(".")
    if not browser or len(value) > _MOST_COOKIE:
        return None
    try:
        email = base64.b64decode(f"{encoded}{'=' * (-len(encoded) % 4)}", b"-_", validate=True).decode()
        return Asked(browser, parse_email(email))
    except (binascii.Error, ValueError, PeopleRefused):
        return None


async def ask(visit: Visit, email: str, path: str) -> Response | str:
    """Ask for a code for a parsed address: the answer that leads to `path`, or why there is none now.

    The answer is the same for every address, and is given before the e-mail goes out.
    """
    codes = Codes(visit.settings.console)
    asked = asked_of(visit)
    async with visit.connection() as connection, connection.transaction():
        admitted = await is_admitted(connection, email, visit.settings.console)
        made = await codes.ask(
            connection,
            email,
            is_admitted=admitted,
            source=visit.request.scope["state"]["address"],
            browser=None if asked is None else asked.browser,
        )
        if isinstance(made, Limit):
            return _LIMITS[made]
        details: EventDetails = {"address": codes.address_hash(email), "admitted": admitted}
        await record_event(connection, AuditEvent.CONSOLE_CODE_ASKED, actor=visit.actor, details=details)
    answer = RedirectResponse(path, 303, background=_mail(visit, email, made) if admitted else None)
    answer.set_cookie(
        COOKIE, Asked(made.browser, email).cookie, path="/", secure=True, httponly=True, samesite="lax"
    )
    return answer


def _mail(visit: Visit, email: str, made: NewCode) -> BackgroundTask:
    mail = CodeMail(
        email,
        made.code,
        made.asked_at,
        visit.address,
        browser_of(visit),
        visit.settings.console.code_life,
    )
    return BackgroundTask(send_code, visit.services.mailer, visit.settings, mail)


async def judge(visit: Visit, text: str, refused: AuditEvent) -> Try:
    """What was typed. A wrong try is recorded as `refused`."""
    asked = asked_of(visit)
    codes = Codes(visit.settings.console)
    async with visit.connection() as connection, connection.transaction():
        judged = await codes.judge(connection, None if asked is None else asked.browser, text)
        if judged.is_counted and judged.judgement is not Judgement.RIGHT:
            details: EventDetails = {"address": judged.address_hash, "reason": judged.judgement.value}
            await record_event(connection, refused, actor=visit.actor, details=details)
    return judged


def sentence_for(judged: Try) -> str:
    """What is told of a try that was not right. It says nothing about the address."""
    match judged.judgement:
        case Judgement.WRONG:
            left = "1 try is" if judged.tries_left == 1 else f"{judged.tries_left} tries are"
            return f"That is not the code of the latest e-mail: look again. {left} left."
        case Judgement.TRIED_OUT:
            return "There were four wrong tries, and the code is void: ask for a new one."
        case Judgement.EXPIRED | Judgement.RIGHT:
            return "The code is too old, or was used already: ask for a new one."
        case Judgement.UNKNOWN:
            return "A code is good only in the browser in which it was asked for, and none was in this one: ask for one here."


def browser_of(visit: Visit) -> str:
    """The browser in words of ours."""
    return describe_browser(visit.request.headers.get("user-agent", ""))


def forget(answer: Response) -> None:
    """Let the browser forget the code."""
    answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")

"""Somebody who logs in: asks, reads the e-mail, types the code."""

import re
from email.message import EmailMessage

from gateway.embedded.mail_server import Mailbox
from tests.console.served import Browser, Shown

EMAIL = "amy@clinic.gov.sg"


def code_in(message: EmailMessage) -> str:
    """The code that the e-mail's subject begins with."""
    found = re.match(r"[2-7A-Z]{6}(?= )", str(message["subject"]))
    assert found, message["subject"]
    return found[0]


async def ask(browser: Browser, email: str = EMAIL, path: str = "/login") -> Shown:
    """Ask for a code; gives the page that follows."""
    return await browser.send(await browser.get(path), "/login", email=email)


async def asked_code(browser: Browser, mailbox: Mailbox, email: str = EMAIL, *, count: int = 1) -> str:
    """Ask for a code, the `count`-th that this mailbox gets, and read it."""
    shown = await ask(browser, email)
    assert (shown.status, shown.title) == (200, "Type the code"), shown.text
    return code_in((await mailbox.arrival(count))[-1])


async def type_code(browser: Browser, code: str, *, follow: bool = True) -> Shown:
    """Type a code into the page that asks for it."""
    return await browser.send(await browser.get("/login/code"), "/login/code", follow=follow, code=code)

"""The e-mail with a code: plain text without a link, since scanners open links. It goes out after the answer."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from config.identifiers import new_identifier
from config.logs import get_logger
from config.settings import Settings
from console import metrics
from console.rendering import shown_time
from notifications.errors import MailRefused, MailUnavailable
from notifications.mailer import Mailer, make_plain_message

logger = get_logger("console")

# Seconds before each further try of one e-mail. Whoever waits longer asks for another code.
_PAUSES: Final = (2.0, 5.0)


@dataclass(frozen=True, slots=True)
class CodeMail:
    """What is told to `recipient`. `asked_at` is aware UTC; `life`: seconds for which the code is good."""

    recipient: str = field(repr=False)
    code: str = field(repr=False)
    asked_at: datetime
    source_address: str | None
    browser: str
    life: float


async def send_code(mailer: Mailer, settings: Settings, mail: CodeMail) -> None:
    """Hand the e-mail over, in three tries. One that fails is logged, without the address."""
    message = make_plain_message(
        settings.smtp,
        recipient=mail.recipient,
        subject=f"{mail.code} is your code for the SMS gateway",
        body=compose_body(mail, settings.console.url),
        message_id=new_identifier("code"),
        at=mail.asked_at,
    )
    for pause in (*_PAUSES, None):
        try:
            await mailer.send(message, mail.recipient)
        except MailRefused as error:
            metrics.CODES.labels("refused").inc()
            logger.warning("code_refused", reason=str(error))
            return
        except MailUnavailable as error:
            logger.warning("code_unsent", reason=str(error), is_last=pause is None)
            if pause is None:
                metrics.CODES.labels("failed").inc()
                return
            await asyncio.sleep(pause)
        else:
            metrics.CODES.labels("sent").inc()
            return


def compose_body(mail: CodeMail, url: str | None) -> str:
    """The text. The console's address stands there as a name alone: whoever asked for the code has its page open."""
    minutes = max(1, round(mail.life / 60))
    life = f"{minutes} minute{'' if minutes == 1 else 's'}"
    host = urlsplit(url or "").netloc
    facts = [
        f"Asked for: {shown_time(mail.asked_at)}",
        f"From address: {mail.source_address or 'unknown'}",
        f"Browser: {mail.browser}",
        *([f"Console: {host}"] if host else []),
    ]
    return (
        f"Your code: {mail.code}\n\n"
        f"Type it on the page on which you asked for it. It is good for {life}, once, and in that browser only.\n\n"
        f"{chr(10).join(facts)}\n\n"
        "Tell this code to nobody: no officer and no operator asks you for it. If you didn't ask for it yourself, you need do "
        "nothing: it lets nobody in who doesn't have it.\n"
    )

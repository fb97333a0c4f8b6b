"""Hands e-mails to the mail server. aiosmtplib speaks SMTP; its errors end here."""

import email.policy
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any, Final, Protocol, assert_never

import aiosmtplib

from config.network import is_loopback
from config.sections import SMTPSettings
from notifications.compose import compose_accepted, compose_failed, compose_rejected, compose_subject
from notifications.errors import MailRefused, MailUnavailable
from notifications.notifications import (
    Accepted,
    Failed,
    Notification,
    Rejected,
    notification_id,
)


class _Policy(email.policy.EmailPolicy):
    """Encodes subjects itself: the library makes encoded words that are longer than the 75 characters of RFC 2047."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        """See EmailPolicy."""
        if name != "Subject" or not _needs_words(str(value)):
            return super().fold_binary(name, value)
        return f"{name}: {_in_words(str(value), self.linesep)}{self.linesep}".encode("ascii")


def _needs_words(subject: str) -> bool:
    """Whether it must be encoded: it isn't ASCII, or looks like an encoded word, which mail readers would decode."""
    return not subject.isascii() or "=?" in subject


def _in_words(subject: str, linesep: str) -> str:
    return Header(subject, "utf-8", header_name="Subject", maxlinelen=76).encode(linesep=linesep)


# SMTP allows lines of 998 octets (RFC 5322, 2.1.1); with that limit a body of one line isn't wrapped.
_POLICY: Final = _Policy(linesep="\r\n", max_line_length=998)
# For a mail server that takes 7 bits only (RFC 6152): what isn't ASCII is encoded, and the reader sees the same line.
_SEVEN_BITS: Final = _POLICY.clone(cte_type="7bit")
_IMPLICIT_TLS_PORT: Final = 465
# Seconds. The library asks the system for this machine's name, and that the DNS, for each e-mail.
_NAME_KEPT: Final = 600.0
# A login or TLS is missing or wrong (RFC 4954, RFC 3207). Until ops mend that, no e-mail at all would pass.
_NOT_THE_EMAILS_FAULT: Final = frozenset({530, 534, 535, 538})


class Mailer(Protocol):
    """What hands e-mails to a mail server."""

    async def send(self, message: EmailMessage, recipient: str) -> None:
        """Hand `message` over. Raises MailUnavailable or MailRefused."""


class LinkSigner(Protocol):
    """Turns a report's key into the link that the agency opens."""

    async def sign_link(self, key: str) -> str:
        """The link. May raise what its store raises."""


async def make_message(notification: Notification, settings: SMTPSettings, links: LinkSigner) -> EmailMessage:
    """The e-mail of one outcome: one line of plain text. It has the same Message-ID if it is made again after a crash."""
    status, body = await _status_and_body(notification, links)
    message = make_plain_message(
        settings,
        recipient=notification.notify_email,
        subject=compose_subject(status, notification.file_name, notification.campaign_name),
        body=body,
        message_id=notification_id(notification.upload_id, notification.number),
        at=notification.created_at,
    )
    message["X-Upload-Id"] = notification.upload_id
    message["X-Campaign-Id"] = notification.campaign_id
    return message


def make_plain_message(
    settings: SMTPSettings, *, recipient: str, subject: str, body: str, message_id: str, at: datetime
) -> EmailMessage:
    """An e-mail of plain text that answers nobody. `message_id` is what stands before the `@`."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = settings.sender
    message["To"] = recipient
    # The library would decode what looks encoded, with the line ends in it, so that a file's name could add headers.
    message["Subject"] = _in_words(subject, "") if _needs_words(subject) else subject
    message["Date"] = format_datetime(at)
    domain = settings.message_id_domain or parseaddr(settings.sender)[1].rpartition("@")[2]
    message["Message-ID"] = f"<{message_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body)
    return message


async def _status_and_body(notification: Notification, links: LinkSigner) -> tuple[str, str]:
    match notification.outcome:
        case Accepted(batch_id):
            return "accepted", compose_accepted(batch_id)
        case Rejected() as rejected:
            link = await links.sign_link(rejected.report_key) if rejected.report_key else None
            body = compose_rejected(
                report_url=link,
                num_rows=rejected.num_rows,
                num_errors=rejected.num_errors,
                has_avoidable=rejected.has_avoidable,
                has_unicode=rejected.has_unicode,
                error_reason=rejected.error_reason,
            )
            return "rejected", body
        case Failed(support_id):
            return "failed", compose_failed(notification.file_name, notification.campaign_id, support_id)
        case _ as never:
            assert_never(never)


def make_client(settings: SMTPSettings) -> aiosmtplib.SMTP:
    """A client for one conversation with the mail server, not yet connected, as secure as the settings demand."""
    near = is_loopback(settings.host)
    implicit = settings.security == "tls" or (
        settings.security == "auto" and settings.port == _IMPLICIT_TLS_PORT
    )
    start_tls: bool | None
    match settings.security:
        case "none" | "tls":
            start_tls = False
        case "starttls":
            start_tls = True
        case "auto":
            # Beyond loopback STARTTLS is demanded; on loopback None takes it where it is offered.
            start_tls = False if implicit else (None if near else True)
    return aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        username=settings.username,
        password=settings.password.get_secret_value() if settings.password else None,
        use_tls=implicit,
        start_tls=start_tls,
        validate_certs=not (near and settings.security == "auto"),
        timeout=settings.timeout,
    )


class SMTPMailer:
    """Any SMTP server; one conversation per e-mail."""

    def __init__(self, settings: SMTPSettings) -> None:
        self._settings = settings
        self._own_name: str | None = None
        self._name_until = 0.0

    async def send(self, message: EmailMessage, recipient: str) -> None:
        """See Mailer."""
        known = self._own_name if time.monotonic() < self._name_until else None
        async with _conversation(self._settings, known) as client:
            if known is None:
                self._own_name, self._name_until = client.local_hostname, time.monotonic() + _NAME_KEPT
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
            takes_eight_bits = client.supports_extension("8BITMIME")
            # Given as bytes, since the library's own generator would fold a long Message-ID.
            content = message.as_bytes() if takes_eight_bits else message.as_bytes(policy=_SEVEN_BITS)
            try:
                await client.sendmail(
                    parseaddr(self._settings.sender)[1],
                    [recipient],
                    content,
                    mail_options=["BODY=8BITMIME"] if takes_eight_bits else None,
                )
            except aiosmtplib.SMTPRecipientsRefused as error:
                _refuse(error.recipients[0].code, "recipient")
            except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
                _refuse(error.code, "message")
            except aiosmtplib.SMTPNotSupported:
                raise MailRefused("the mail server can't take this address (SMTPUTF8)") from None


def _refuse(code: int, what: str) -> None:
    text = f"the mail server refuses the {what} (SMTP {code})"
    if 500 <= code < 600 and code not in _NOT_THE_EMAILS_FAULT:
        raise MailRefused(text) from None
    raise MailUnavailable(text) from None


@asynccontextmanager
async def _conversation(settings: SMTPSettings, own_name: str | None) -> AsyncIterator[aiosmtplib.SMTP]:
    """A client that is connected, secured and logged in. It introduces itself by `own_name`, or looks this machine's name up.

    All trouble but a refusal of the e-mail itself is MailUnavailable, since ops can mend it and the e-mail be sent later.
    """
    client = make_client(settings)
    try:
        await client.connect(local_hostname=own_name)
        yield client
        # The e-mail is handed over; how the conversation ends changes nothing.
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit()
    except aiosmtplib.SMTPResponseException as error:
        raise MailUnavailable(f"the mail server refuses (SMTP {error.code})") from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise MailUnavailable(f"the mail server can't be reached ({type(error).__name__})") from None
    finally:
        client.close()

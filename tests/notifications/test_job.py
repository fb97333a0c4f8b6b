"""One e-mail per outcome, through a real mail server, with the notification in a real database."""

import asyncio
import email.policy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from config.settings import Settings
from database.connections import Pool
from database.job_queue import RunningJob, TryAgain, run_jobs
from gateway.embedded.mail_server import Mailbox, MailboxMode
from notifications.job import NotificationJob, retry_delay, sweep_notifications
from notifications.mailer import SMTPMailer
from notifications.notifications import (
    Accepted,
    Failed,
    Outcome,
    Rejected,
    fetch_notification,
    record_notification,
)

CAMPAIGN = "campaign_mail"
UPLOAD = "upload_00000000-0000-4000-8000-000000000001"


class PlainLinks:
    """Links that need no store."""

    async def sign_link(self, key: str) -> str:
        return f"https://files.example/{key}"


@pytest.fixture
def job(pool: Pool, settings: Settings) -> NotificationJob:
    return NotificationJob(pool, SMTPMailer(settings.smtp), PlainLinks(), settings.smtp)


@pytest.fixture
async def tell(pool: Pool) -> Callable[[Outcome], Awaitable[str]]:
    """Write an outcome of one upload and its notification; gives the notification's id."""

    async def tell(outcome: Outcome) -> str:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "insert into campaigns (id, name, header, notify_email) values ($1, 'Clinic', 'Clinic', 'ops@agency.example')",
                CAMPAIGN,
            )
            await connection.execute(
                "insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at, finished_at,"
                " outcome) values ($1, $2, 'a.csv', 'rejected', 1, 'r', now(), now(), 1)",
                UPLOAD,
                CAMPAIGN,
            )
            await record_notification(connection, UPLOAD, 1, outcome)
        return f"{UPLOAD}.1"

    return tell


def body_of(message: EmailMessage) -> str:
    content = message.get_content()
    assert isinstance(content, str)
    return content


@pytest.mark.parametrize(
    ("outcome", "body", "subject"),
    [
        pytest.param(
            Accepted("batch_1"),
            '{"isValid":true,"batchId":"batch_1"}',
            "SFTP upload accepted: a.csv (Clinic)",
            id="accepted",
        ),
        pytest.param(
            Rejected("k.csv", 1, 2, has_avoidable=False, has_unicode=True, error_reason="“topic” 名"),
            '{"isValid":false,"reportURL":"https://files.example/k.csv","numRows":1,"numErrors":2,'
            '"fileHasAvoidableExpensiveCharacter":false,"fileHasUnicode":true,"errorReason":"“topic” 名"}',
            "SFTP upload rejected: a.csv (Clinic)",
            id="rejected",
        ),
        pytest.param(
            Failed("S-1"),
            f"Your SFTP file upload for a.csv for {CAMPAIGN} failed. "
            "Please contact us with the following support ID:S-1.",
            "SFTP upload failed: a.csv (Clinic)",
            id="failed",
        ),
    ],
)
async def test_an_outcome_is_one_plain_one_line_e_mail(
    outcome: Outcome,
    body: str,
    subject: str,
    job: NotificationJob,
    tell: Callable[[Outcome], Awaitable[str]],
    mailbox: Mailbox,
    pool: Pool,
) -> None:
    subject_id = await tell(outcome)
    await job(RunningJob(subject_id, 0))
    await job(RunningJob(subject_id, 0))  # a job that comes again finds it done
    (message,) = mailbox.messages()
    assert body_of(message).rstrip("\r\n") == body
    assert message.get_content_type() == "text/plain"
    assert message["Subject"] == subject
    assert message["To"] == "ops@agency.example"
    assert message["Message-ID"].startswith(f"<{subject_id}@")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Upload-Id"] == UPLOAD
    assert message["X-Campaign-Id"] == CAMPAIGN
    assert await pool.fetchval("select notified_at is not null from uploads where id = $1", UPLOAD)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("诊所 " * 25 + "é.csv", id="chinese"),
        pytest.param("a =?utf-8?q?b?= 名 “c”  d.csv", id="encoded-looking"),
        pytest.param("x =?utf-8?q?a=0D=0ABcc:_thief@evil.example?=.csv", id="header-injection"),
        pytest.param("名 =?utf-8?q?a=0D=0ABcc:_thief@evil.example?=.csv", id="chinese-injection"),
        pytest.param("😀" * 60 + ".csv", id="beyond-a-line"),
    ],
)
async def test_a_subject_that_needs_encoding_arrives_to_the_letter_in_words_that_mail_programs_take(
    name: str,
    job: NotificationJob,
    tell: Callable[[Outcome], Awaitable[str]],
    mailbox: Mailbox,
    pool: Pool,
) -> None:
    subject_id = await tell(Accepted("batch_1"))
    await pool.execute("update uploads set file_name = $2 where id = $1", UPLOAD, name)
    await job(RunningJob(subject_id, 0))
    (message,) = mailbox.messages()
    assert message["Subject"] == f"SFTP upload accepted: {name} (Clinic)"
    assert message["Bcc"] is None
    (path,) = mailbox.folder.glob("*.eml")
    head = path.read_bytes().partition(b"\r\n\r\n")[0]
    # RFC 2047, 2: 75 characters in an encoded word, 76 in a line that has one.
    words = [line for line in head.split(b"\r\n") if b"=?utf-8?" in line]
    assert 0 < max(map(len, words)) <= 76


async def test_a_plain_ascii_body_is_not_wrapped_in_transit(
    job: NotificationJob, tell: Callable[[Outcome], Awaitable[str]], mailbox: Mailbox
) -> None:
    key = "validation-reports/" + "x" * 500
    await job(RunningJob(await tell(Rejected(key, 1, 1, False, False, None)), 0))
    (path,) = mailbox.folder.glob("*.eml")
    raw = path.read_bytes()
    assert b'"reportURL":"https://files.example/' + key.encode() + b'","numRows":1' in raw


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(MailboxMode.REFUSING_FOR_NOW, id="4xx"),
        pytest.param(MailboxMode.HANGING, id="hanging"),
        pytest.param(MailboxMode.AWAY, id="away"),
    ],
)
async def test_a_mail_server_in_trouble_costs_only_time(
    mode: MailboxMode,
    settings: Settings,
    pool: Pool,
    tell: Callable[[Outcome], Awaitable[str]],
    mailbox: Mailbox,
) -> None:
    smtp = settings.smtp.model_copy(update={"timeout": 0.5})
    job = NotificationJob(pool, SMTPMailer(smtp), PlainLinks(), smtp)
    subject_id = await tell(Accepted("batch_1"))
    mailbox.become(mode)
    with pytest.raises(TryAgain) as again:
        await job(RunningJob(subject_id, 0))
    assert again.value.delay == timedelta(seconds=5)
    assert "agency" not in again.value.reason
    mailbox.become(MailboxMode.ACCEPTING)
    await job(RunningJob(subject_id, 1))
    assert len(mailbox.messages()) == 1


async def test_a_permanent_refusal_is_recorded_on_the_upload(
    job: NotificationJob, tell: Callable[[Outcome], Awaitable[str]], mailbox: Mailbox, pool: Pool
) -> None:
    subject_id = await tell(Accepted("batch_1"))
    mailbox.become(MailboxMode.REFUSING_FOR_GOOD)
    await job(RunningJob(subject_id, 0))
    row = await pool.fetchrow(
        "select notified_at, notification_refused_at, notification_error from uploads where id = $1", UPLOAD
    )
    assert row is not None
    assert row["notified_at"] is None
    assert row["notification_refused_at"] is not None
    assert row["notification_error"] == "the mail server refuses the recipient (SMTP 550)"
    mailbox.become(MailboxMode.ACCEPTING)
    await job(RunningJob(subject_id, 1))
    assert mailbox.messages() == []


async def test_an_e_mail_sent_again_after_a_crash_has_the_same_message_id(
    settings: Settings, pool: Pool, tell: Callable[[Outcome], Awaitable[str]], mailbox: Mailbox
) -> None:
    smtp = settings.smtp.model_copy(update={"timeout": 2})
    job = NotificationJob(pool, SMTPMailer(smtp), PlainLinks(), smtp)
    subject_id = await tell(Accepted("batch_1"))
    mailbox.become(MailboxMode.CUTTING)  # the server has it, and we never hear so
    with pytest.raises(TryAgain):
        await job(RunningJob(subject_id, 0))
    mailbox.become(MailboxMode.ACCEPTING)
    await job(RunningJob(subject_id, 1))
    first, second = mailbox.messages()
    assert first["Message-ID"] == second["Message-ID"]


async def test_an_e_mail_is_given_up_after_two_days(
    job: NotificationJob, tell: Callable[[Outcome], Awaitable[str]], mailbox: Mailbox, pool: Pool
) -> None:
    subject_id = await tell(Accepted("batch_1"))
    await pool.execute("update notifications set created_at = now() - interval '49 hours'")
    mailbox.become(MailboxMode.AWAY)
    await job(RunningJob(subject_id, 99))
    assert await pool.fetchval("select notification_error from uploads") == (
        "given up: the mail server can't be reached (SMTPConnectError)"
    )


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 5), (1, 15), (2, 45), (3, 90), (4, 180), (8, 1800), (500, 1800)]
)
def test_the_pauses_are_those_of_the_contract(attempts: int, seconds: float) -> None:
    assert retry_delay(attempts) == timedelta(seconds=seconds)


@asynccontextmanager
async def running(job: NotificationJob, settings: Settings) -> AsyncIterator[None]:
    """The queue, running this job until the end of the block."""
    stop = asyncio.Event()
    connected = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            run_jobs(settings.database, job.kind(2, 15), job, stop=stop, connected=connected.set)
        )
        await asyncio.wait_for(connected.wait(), 10)
        yield
        stop.set()


async def test_a_notification_without_a_job_is_swept_up(
    job: NotificationJob,
    tell: Callable[[Outcome], Awaitable[str]],
    mailbox: Mailbox,
    pool: Pool,
    settings: Settings,
) -> None:
    await tell(Accepted("batch_1"))
    await pool.execute("delete from pgqueuer")
    async with pool.acquire() as connection:
        assert await sweep_notifications(connection, timedelta(seconds=-1)) == 1
        assert await sweep_notifications(connection, timedelta(seconds=-1)) == 0
    async with running(job, settings):
        await mailbox.arrival(1)


async def test_a_notification_is_sent_by_its_job(
    job: NotificationJob,
    tell: Callable[[Outcome], Awaitable[str]],
    mailbox: Mailbox,
    pool: Pool,
    settings: Settings,
) -> None:
    async with running(job, settings):
        before = datetime.now(UTC)
        subject_id = await tell(Accepted("batch_1"))
        await mailbox.arrival(1)
        assert datetime.now(UTC) - before < timedelta(seconds=30)
    async with pool.acquire() as connection:
        notification = await fetch_notification(connection, subject_id)
    assert notification is not None
    assert notification.is_done


async def test_a_wrong_password_is_for_ops_to_mend_and_loses_nothing(
    settings: Settings, pool: Pool, tell: Callable[[Outcome], Awaitable[str]]
) -> None:
    smtp = settings.smtp.model_copy(update={"username": "u", "security": "starttls"})
    job = NotificationJob(pool, SMTPMailer(smtp), PlainLinks(), smtp)
    with pytest.raises(TryAgain) as again:
        await job(RunningJob(await tell(Accepted("batch_1")), 0))
    assert isinstance(again.value.reason, str)


class DemandingLogin:
    """A mail server that takes e-mails only after a login."""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, _envelope: Envelope, _address: str, _options: list[str]
    ) -> str:
        return "530 5.7.0 Authentication required"


async def test_a_login_that_the_mail_server_demands_and_nobody_set_loses_nothing(
    settings: Settings, pool: Pool, tell: Callable[[Outcome], Awaitable[str]]
) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(DemandingLogin()), "127.0.0.1", 0)
    async with server:
        smtp = settings.smtp.model_copy(update={"port": server.sockets[0].getsockname()[1]})
        job = NotificationJob(pool, SMTPMailer(smtp), PlainLinks(), smtp)
        with pytest.raises(TryAgain, match="SMTP 530"):
            await job(RunningJob(await tell(Accepted("batch_1")), 0))
    assert await pool.fetchval("select notification_refused_at from uploads") is None


class SevenBits:
    """A mail server that takes 7 bits only, and keeps what it was sent."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if "8BITMIME" not in line and "SMTPUTF8" not in line]

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.original_content, bytes)
        self.contents.append(envelope.original_content)
        return "250 OK"


async def test_a_mail_server_for_7_bits_gets_no_others_and_the_same_line_comes_out(
    settings: Settings, pool: Pool, tell: Callable[[Outcome], Awaitable[str]]
) -> None:
    handler = SevenBits()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), "127.0.0.1", 0)
    async with server:
        smtp = settings.smtp.model_copy(update={"port": server.sockets[0].getsockname()[1]})
        job = NotificationJob(pool, SMTPMailer(smtp), PlainLinks(), smtp)
        outcome = Rejected(
            None, 0, 1, has_avoidable=False, has_unicode=False, error_reason="the column 名 is missing"
        )
        await job(RunningJob(await tell(outcome), 0))
    (content,) = handler.contents
    assert content.isascii()
    message = message_from_bytes(content, _class=EmailMessage, policy=email.policy.default)
    assert '"errorReason":"the column 名 is missing"}' in body_of(message)
    assert max(map(len, content.split(b"\r\n"))) < 998


async def test_the_name_of_this_machine_is_looked_up_once_for_the_next_e_mails(
    job: NotificationJob,
    tell: Callable[[Outcome], Awaitable[str]],
    mailbox: Mailbox,
    pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up: list[str] = []

    def look_up() -> str:
        looked_up.append("node.example")
        return "node.example"

    monkeypatch.setattr("socket.getfqdn", look_up)
    subject_id = await tell(Accepted("batch_1"))
    await job(RunningJob(subject_id, 0))
    await pool.execute("update notifications set done_at = null")
    await job(RunningJob(subject_id, 0))
    assert len(mailbox.messages()) == 2
    assert looked_up == ["node.example"]

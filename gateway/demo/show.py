"""The demo as one sees it: what runs, what is sent and how, what comes of it, how to log in, and what to type next."""

import io
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Final, TypeVar

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from audit.events import Actor
from config.settings import Settings, load_settings, variable_of
from gateway.demo.agency import ERROR_COLUMN, Agency, fetch_report
from gateway.demo.caller import Call, Caller
from gateway.demo.devstack import end_as_ctrl_c, own_folder, say_if_root
from gateway.demo.node_process import LOG_NAME, running_node, without_settings, write_config
from gateway.demo.officer import Officer, code_in
from gateway.demo.provision import find_client, make_agency_key, provision
from gateway.demo.samples import (
    BAD,
    BAD_NAME,
    BODIES,
    CAMPAIGN_NAME,
    GOOD,
    GOOD_NAME,
    NOTIFY_ADDRESS,
    OFFICER,
    SINGLE,
)
from gateway.embedded.server_process import answers, free_port
from gateway.embedded.stack import DATABASE, embedded_stack, sending_variables
from gateway.errors import CallMisused, EmbeddedError
from gateway.output import note
from gateway.processes.child_handle import python_environment

T = TypeVar("T")
_MESSAGES: Final = (
    "select row_number, recipient, language, segments, encoding from messages join batches using (batch_no) "
    "where id = '{}' order by row_number"
)
_STATUSES: Final = (
    "select row_number, recipient, message_id, status, coalesce(error_code, '') from message_status where batch_id = '{}' "
    "order by row_number"
)
_LAST: Final = ("success", "failure")
_USUAL_PORT: Final = 2222
# Seconds within which an outcome must have been mailed. It takes less than one.
_OUTCOME_TIMEOUT: Final = 60.0
# Seconds after which the mailbox is looked at, though nothing was heard of it.
_MAILBOX_LOOK: Final = 3600.0
# Seconds within which all messages must have their last status. The simulator takes one.
_SENDING_TIMEOUT: Final = 60.0


def run_demo(*, exit_after: bool, port: int | None, folder: Path | None, actor: Actor) -> None:
    """Show everything as `actor`; then serve until Ctrl-C, unless `exit_after`. Raises EmbeddedError or CallMisused."""
    find_client()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Where the terminal can't show Chinese, escapes are shown rather than an error.
        sys.stdout.reconfigure(errors="backslashreplace")
    end_as_ctrl_c()
    with ExitStack() as stack:
        show = Show(stack.enter_context(own_folder(folder, "demo")), actor)
        show.start(stack, _choose_port(port))
        show.send_good()
        show.send_bad()
        show.send_single()
        show.list_uploads()
        show.open_console(by_itself=exit_after)
        show.tell_next(serving=not exit_after)
        if not exit_after:
            try:
                show.watch_mailbox()
            except KeyboardInterrupt:
                note("stopping…")


def _choose_port(wanted: int | None) -> int:
    if wanted is None:
        return free_port() if answers(_USUAL_PORT) else _USUAL_PORT
    if wanted and answers(wanted):
        raise CallMisused(
            f"port {wanted} is taken by another program: leave --port out, and a free one is found"
        )
    return wanted or free_port()


class Show:
    """One demo in one folder."""

    def __init__(self, folder: Path, actor: Actor) -> None:
        self._folder = folder
        self._actor = actor
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
        self._mails = 0
        self._program = _program()

    def start(self, stack: ExitStack, port: int) -> None:
        """Start everything and say what is running."""
        self._print(Rule("[bold]SFTP gateway for SMS: the demo", align="left"))
        say_if_root()
        services = self._wait(
            "PostgreSQL, S3 and a mailbox start", lambda: stack.enter_context(embedded_stack(self._folder))
        )
        ops_port, api_port, console_port = free_port(), free_port(), free_port()
        variables = {
            **services.settings(),
            **sending_variables(),
            variable_of("sftp.host"): "127.0.0.1",
            variable_of("sftp.port"): str(port),
            variable_of("api.processes"): "1",
            variable_of("api.port"): str(api_port),
            variable_of("console.processes"): "1",
            variable_of("console.port"): str(console_port),
            variable_of("console.secret"): secrets.token_urlsafe(32),
            variable_of("ops.port"): str(ops_port),
        }
        config = write_config(self._folder, variables)
        with without_settings():
            settings = load_settings(config)
        public_key = make_agency_key(self._folder)
        made = self._wait("a campaign is made", lambda: provision(settings, public_key, self._actor))
        self._wait("the gateway starts", lambda: stack.enter_context(running_node(config, ops_port)))
        self._services, self._config = services, config
        self._agency = Agency(self._folder, made.campaign_id, port)
        self._agency.know_host(made.host_keys)
        self._caller = Caller(made.campaign_id, api_port, made.api_key)
        self._officer = Officer(OFFICER, console_port)
        self._tell_running(settings, ops_port)

    def send_good(self) -> None:
        """Upload the good file with the real client; show its e-mail, its messages, and how these go out."""
        self._heading("1", "A good file: one batch, one message a row")
        self._send(GOOD_NAME, GOOD)
        accepted = self._next_mail()
        batch_id = json.loads(accepted.get_content())["batchId"]
        messages = self._query(_MESSAGES.format(batch_id))
        self._table(
            "Messages handed to the sending core",
            ["row", "recipient", "language", "segments", "encoding"],
            messages,
        )
        self._heading("2", "Its messages go out, by the simulator: seven numbers fail, each with its error")
        followed = self._wait("the messages go out", lambda: self._follow(batch_id))
        shown = [[row[0], row[1], " → ".join(statuses), row[4]] for row, statuses in followed]
        self._table("What became of them", ["row", "recipient", "statuses seen", "error"], shown)
        self._console.print()
        self._call("batch", "show", batch_id)
        unavailable = next(row[2] for row, _ in followed if row[4] == "recipient_unavailable")
        self._call("message", "show", unavailable)

    def send_bad(self) -> None:
        """Upload the bad file with the real client; show its e-mail, and the report."""
        self._heading("3", "A bad file: nothing is sent, every fault is told")
        self._send(BAD_NAME, BAD)
        rejected = self._next_mail()
        report = fetch_report(json.loads(rejected.get_content())["reportURL"])
        shown = [
            [str(number), row["recipient"], row["language"], row[ERROR_COLUMN]]
            for number, row in enumerate(report, start=2)
            if row[ERROR_COLUMN]
        ]
        self._table(
            "Bad rows of the report behind reportURL", ["row", "recipient", "language", ERROR_COLUMN], shown
        )

    def send_single(self) -> None:
        """Send one message by the HTTP API with the real key; show the answer, and what became of it."""
        self._heading("4", "One message by the HTTP API, without a file")
        message_id = json.loads(self._make(self._caller.send(SINGLE)))["id"]
        retrieve = self._caller.retrieve(message_id)
        self._wait("the message goes out", lambda: self._until_sent(retrieve))
        self._make(retrieve)

    def _make(self, call: Call) -> str:
        """Show a call, and what it really answers; both whole, as they are to be copied and read."""
        self._command(call.line)
        answer = call.make()
        self._console.print(Text(f"{answer}\n"), soft_wrap=True)
        return answer

    def _until_sent(self, retrieve: Call) -> None:
        end = time.monotonic() + _SENDING_TIMEOUT
        while json.loads(retrieve.make())["latestStatus"] not in _LAST:
            if time.monotonic() > end:
                raise EmbeddedError(f"the message did not go out: see the log, {self._folder / LOG_NAME}")
            # The campaign may make ten calls a second.
            time.sleep(0.2)

    def _follow(self, batch_id: str) -> list[tuple[list[str], list[str]]]:
        """Watch the batch's messages until each has its last status; each one's row then, and the statuses that were seen.

        Raises EmbeddedError where that takes too long.
        """
        seen: dict[str, list[str]] = {}
        end = time.monotonic() + _SENDING_TIMEOUT
        while True:
            rows = self._query(_STATUSES.format(batch_id))
            for number, _, _, status, _ in rows:
                statuses = seen.setdefault(number, [])
                if statuses[-1:] != [status]:
                    statuses.append(status)
            if all(row[3] in _LAST for row in rows):
                return [(row, seen[row[0]]) for row in rows]
            if time.monotonic() > end:
                raise EmbeddedError(f"the messages did not go out: see the log, {self._folder / LOG_NAME}")
            time.sleep(0.05)

    def _query(self, statement: str) -> list[list[str]]:
        return [line.split("|") for line in self._services.postgres.run_sql(statement, DATABASE).splitlines()]

    def list_uploads(self) -> None:
        """Show what operators see: the output of the real command."""
        self._heading("5", "What ops see")
        self._call("upload", "list")

    def open_console(self, *, by_itself: bool) -> None:
        """Say how to log in to the console; or let the officer do it, and say what is seen there. Raises EmbeddedError."""
        self._heading("6", "The console: the same by pages, live")
        if not by_itself:
            self._print(Text.assemble("Open in a browser:  ", (self._officer.address, "bold cyan")))
            self._print(Text.assemble("Log in as:          ", (OFFICER, "bold cyan")))
            self._print(
                Text("The code is mailed to the mailbox of this demo, and printed here as soon as it comes.")
            )
            return
        self._officer.log_in(self._read_code)
        uploads = self._officer.page("/uploads")
        missing = [name for name in (GOOD_NAME, BAD_NAME) if name not in uploads]
        if missing:
            raise EmbeddedError(f"the console's list of uploads lacks {' and '.join(missing)}")
        self._print(
            Text(
                f"{OFFICER} asked for a code at {self._officer.address}, typed it, and sees both uploads there: "
                f"{GOOD_NAME} and {BAD_NAME}."
            )
        )

    def _read_code(self) -> str:
        self._mails += 1
        mail = self._services.mailbox.wait_for(self._mails, _OUTCOME_TIMEOUT)[-1]
        code = code_in(str(mail["Subject"]))
        if code is None:
            raise EmbeddedError(f"another e-mail came than the one with the code: {mail['Subject']}")
        return code

    def watch_mailbox(self) -> None:
        """Print each login code that is mailed, for ever."""
        while True:
            mails = self._services.mailbox.messages()
            for mail in mails[self._mails :]:
                if code := code_in(str(mail["Subject"])):
                    self._print(Text.assemble(f"\nlogin code for {mail['To']}: ", (code, "bold green")))
            self._mails = len(mails)
            with suppress(TimeoutError):
                self._services.mailbox.wait_for(self._mails + 1, _MAILBOX_LOOK)

    def _call(self, *words: str) -> None:
        """Show a command, and what it really prints."""
        self._command(f"{self._program} {shlex.join(words)} --config {shlex.quote(str(self._config))}")
        with without_settings():
            environment = python_environment(os.environ)
        self._console.file.flush()
        command = [sys.executable, "-P", "-m", "gateway", *words, "--config", str(self._config)]
        subprocess.run(command, env=environment, timeout=60, check=False)

    def tell_next(self, *, serving: bool) -> None:
        """Say what to type next, while the gateway serves."""
        if not serving:
            self._print(
                Text(
                    "\nThat was the demo. Without --exit it goes on serving, for you to try.",
                    style="bold green",
                )
            )
            return
        self._heading("7", "Now you, in another terminal")
        config = shlex.quote(str(self._config))
        steps = [
            (
                "send a file of your own",
                f"cd {shlex.quote(str(self._folder))} && {shlex.join(self._agency.sftp_command)}",
            ),
            ("send a message of your own", self._caller.send(SINGLE).line),
            ("its e-mail", f"cat {shlex.quote(str(self._folder / 'mail'))}/*.eml"),
            ("one upload's story", f"{self._program} upload show UPLOAD_ID --config {config}"),
            ("send again what failed", f"{self._program} batch retry BATCH_ID --config {config}"),
            (
                "suspend the campaign",
                f"{self._program} campaign suspend {self._agency.campaign_id} --config {config}",
            ),
            ("see what ops see in the console", f"{self._program} user ops {OFFICER} --config {config}"),
            ("everything else", f"{self._program} --help"),
        ]
        for what, line in steps:
            self._print(Text(f"\n{what}:", style="bold"))
            self._command(line)
        self._print(Text("\nServing until Ctrl-C.", style="bold green"))

    def _tell_running(self, settings: Settings, ops_port: int) -> None:
        grid = Table.grid(padding=(0, 2))
        mail = self._folder / "mail"
        for name, what in (
            ("SFTP", f"127.0.0.1:{self._agency.port}, host keys Ed25519, ECDSA, RSA"),
            ("HTTP API", self._caller.base),
            ("Console", f"{self._officer.address} for {OFFICER}"),
            ("PostgreSQL", f"127.0.0.1:{self._services.postgres.port}, database {DATABASE}"),
            ("S3", f"{settings.s3.endpoint_url}, bucket {settings.s3.bucket}"),
            ("Mailbox", f"{settings.smtp.host}:{settings.smtp.port}, e-mails kept in {mail}"),
            ("Ops", f"http://127.0.0.1:{ops_port}/readyz and /metrics"),
            ("Logs", str(self._folder / LOG_NAME)),
            ("Campaign", f"{CAMPAIGN_NAME}: {self._agency.campaign_id}"),
            ("Template", "\n".join(f"{language}: {body}" for language, body in BODIES.items())),
            ("Notified", NOTIFY_ADDRESS),
        ):
            grid.add_row(Text(name, style="bold"), Text(what))
        self._print(grid)

    def _send(self, name: str, content: str) -> None:
        self._print(Panel(Text(content.rstrip()), title=name, title_align="left", border_style="dim"))
        self._command(f"cd {shlex.quote(str(self._folder))}")
        self._command(self._agency.upload_line(name))
        self._agency.upload(name, content)

    def _next_mail(self) -> EmailMessage:
        self._mails += 1
        mails = self._wait(
            "the outcome is awaited", lambda: self._services.mailbox.wait_for(self._mails, _OUTCOME_TIMEOUT)
        )
        mail = mails[-1]
        self._print(Rule("the e-mail", align="left", style="green"))
        for name in ("From", "To", "Subject"):
            self._print(Text.assemble((f"{name}: ", "bold"), str(mail[name])))
        # The e-mail is shown whole, however long, as the link in it is to be opened.
        self._console.print(Text(f"\n{mail.get_content().rstrip()}"), soft_wrap=True)
        self._print(Rule(style="green"))
        return mail

    def _table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
            padding=(0, 3, 0, 0),
        )
        for column in columns:
            table.add_column(column, header_style="dim", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._print(table)

    def _heading(self, number: str, text: str) -> None:
        self._print("")
        self._print(Rule(f"[bold]{number}  {text}", align="left"))

    def _command(self, line: str) -> None:
        # The line is printed whole, however narrow the terminal, as it is to be copied.
        self._console.print(Text.assemble(("$ ", "dim"), (line, "cyan")), soft_wrap=True)

    def _print(self, what: object) -> None:
        self._console.print(what)

    def _wait(self, what: str, step: Callable[[], T]) -> T:
        with self._console.status(f"{what}…"):
            return step()


def _program() -> str:
    """How this very executable is called from the user's shell."""
    if shutil.which("sftp-gateway"):
        return "sftp-gateway"
    beside = Path(sys.executable).with_name("sftp-gateway")
    return shlex.quote(str(beside)) if beside.exists() else f"{shlex.quote(sys.executable)} -m gateway"

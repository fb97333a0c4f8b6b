"""The executable `sftp-gateway`: the options of every call, all commands, and one clear line for whatever goes wrong."""

import contextlib
import functools
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
import typer.main

from gateway.cli import (
    batch,
    campaign,
    check,
    job,
    message,
    segments,
    sending,
    services,
    upload,
    validate,
)
from gateway.cli.api import apikey, nric
from gateway.cli.billing import commands as billing
from gateway.cli.bucket import archive, reconcile
from gateway.cli.credentials import hostkey, key, twilio_secrets
from gateway.cli.invocation import Invocation, invocation_of
from gateway.cli.people import agency, member, user
from gateway.errors import CallMisused, ExitStatus, exit_status_of
from gateway.output import fail, print_line

PROGRAM: Final = "sftp-gateway"
# What shells expect after Ctrl-C.
_INTERRUPTED: Final = 130
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*(/\d+)?$")
# Options that may stand once for several values, each with the look of a further value. No other word looks like that.
_REPEATABLE: Final = {
    "--add": _ADDRESS,
    "--remove": _ADDRESS,
    "--from": _ADDRESS,
    "--status": re.compile(r"(created|enqueued|sending|sent|sent_to_telco|success|failure)$"),
    "--template": re.compile(r"(english|chinese|malay|tamil)=", re.IGNORECASE),
}
_EXAMPLES: Final = """
[bold]A first look[/]: sftp-gateway demo

[bold]A new agency[/]:

sftp-gateway campaign create --name "Clinic reminders" --notify ops@clinic.gov.sg --template "english=Dear {{name}}"

sftp-gateway key add CAMPAIGN agency.pub

[bold]What happened to a file[/]: sftp-gateway upload list --campaign CAMPAIGN

[bold]What became of its messages[/]: sftp-gateway batch show BATCH

Exit status: 0 done, 1 refused by a rule, 2 usage or configuration, 3 a service could not be reached.
"""


def build_app() -> typer.Typer:
    """The command line, all commands registered."""
    app = typer.Typer(
        name=PROGRAM,
        help="Takes an agency's CSV over SFTP and turns it into one batch of SMS, or one report.",
        epilog=_EXAMPLES,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_read_options)
    for module in (
        services,
        campaign,
        agency,
        user,
        member,
        key,
        apikey,
        nric,
        hostkey,
        twilio_secrets,
        upload,
        batch,
        message,
        sending,
        billing,
        job,
        validate,
        segments,
        check,
        reconcile,
        archive,
    ):
        module.register(app)
    return app


# Built once: what a call said is kept in its invocation, and a process that makes many calls would build this each time.
_command = functools.cache(lambda: typer.main.get_command(build_app()))


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print_line(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


def _read_options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings file (TOML). Else the one that SFTP_GATEWAY_CONFIG names; variables SFTP_GATEWAY_… win over it.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    invocation = invocation_of(context)
    invocation.config = config
    invocation.debug = debug


def run_command_line(arguments: Sequence[str]) -> int:
    """Carry out one call; returns its exit status. Errors are told on standard error, a line each."""
    invocation = Invocation()
    ordered = _options_first(arguments)
    invocation.debug = "--debug" in ordered[:3]
    try:
        if not ordered:
            ordered = ["--help"]
        if any("\udc80" <= char <= "\udcff" for word in ordered for char in word):
            raise CallMisused("an argument is not UTF-8 text")
        status = _command().main(ordered, prog_name=PROGRAM, standalone_mode=False, obj=invocation)
    except Exception as error:  # noqa: BLE001 - the one place where everything ends
        return _tell(error, debug=invocation.debug)
    return status if isinstance(status, int) else ExitStatus.DONE


def _tell(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    while isinstance(error, ExceptionGroup):
        # Where several tasks failed together, the first failure says enough; --debug shows all.
        error = error.exceptions[0]
    if isinstance(error, typer.Abort):
        fail("stopped: nothing was done")
        return ExitStatus.REFUSED
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else PROGRAM
        fail(f"{error.format_message().rstrip('.')} (see `{path} --help`)")
        return ExitStatus.CONFIGURATION
    status = exit_status_of(error)
    if status is None:
        # This is a fault of ours, and its text may hold anything, so it is shown with --debug only.
        fail(f"internal error ({type(error).__name__}): add --debug to see where, and report it")
        return ExitStatus.REFUSED
    fail(str(error))
    return status


def _options_first(arguments: Sequence[str]) -> list[str]:
    """Move `--config` and `--debug` to the front from wherever they stand before `--`: people put them last."""
    ahead: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--config":
            ahead += [word, *([following] if (following := next(words, None)) is not None else [])]
        elif word == "--debug":
            ahead.insert(0, word)
        elif word.startswith("--config="):
            ahead.append(word)
        else:
            rest.append(word)
    return ahead + _each_by_itself(rest)


def _each_by_itself(words: Sequence[str]) -> list[str]:
    """Write `--from A B` as `--from A --from B`, and `--template` alike, as typer takes one value after an option."""
    found: list[str] = []
    option: str | None = None
    is_value = False
    for place, word in enumerate(words):
        if word == "--":
            return [*found, *words[place:]]
        if option and not is_value and _REPEATABLE[option].match(word):
            found.append(option)
        elif not is_value:
            option = word if word in _REPEATABLE else None
        found.append(word)
        is_value = word == option and not is_value
    return found


def main() -> None:
    """The entry point of the executable."""
    try:
        try:
            status = run_command_line(sys.argv[1:])
        finally:
            # Another Ctrl-C would meet Python at its own end, which tells it with a traceback. So the system ends it at once,
            # also while a thread hangs.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:
        status = _INTERRUPTED
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    sys.exit(status)

"""`sftp-gateway check`: every dependency tried for real, a line each, before an agency finds out."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.arguments import JSON
from gateway.cli.invocation import invocation_of, run
from gateway.errors import CallMisused, ExitStatus
from gateway.ops.dependencies import Dependency
from gateway.output import print_json, print_line, printable
from gateway.processes.parts import PARTS

if TYPE_CHECKING:
    from config.settings import Settings
    from gateway.ops.probes import Answer

# Seconds for each probe.
_PATIENCE: Final = 20.0


def register(parent: typer.Typer) -> None:
    """Add this command to `parent`."""
    parent.command(
        name="check",
        epilog="Example: sftp-gateway check --config gateway.toml. "
        "Exit status: 0 all is well, 2 something is set up wrongly, 3 a service could not be reached.",
    )(check)


def check(
    context: typer.Context,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar=f"[{'|'.join(part.name for part in PARTS)}]",
            help="Only what this part needs, and no more than it may: as its user, with its credentials.",
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Try everything this gateway needs: settings, database, bucket, mail server, host keys, spool."""
    from gateway.ops.exposure import find_exposures
    from gateway.ops.probes import Answer, probe_everything

    parts = [one for one in PARTS if part in (None, one.name)]
    if not parts:
        raise CallMisused(f"there is no part {part}: name one of {', '.join(one.name for one in PARTS)}")
    settings = invocation_of(context).settings
    exposures = [Answer("configuration", ExitStatus.CONFIGURATION, text) for text in find_exposures(settings)]
    well = Answer("configuration", ExitStatus.DONE, f"read; environment {settings.environment.value}")
    dependencies = {dependency for one in parts for dependency in one.dependencies}
    puts_only = all(one.puts_only for one in parts)
    probed = run(probe_everything(settings, dependencies, _PATIENCE, puts_only=puts_only))
    answers = [
        *(exposures or [well]),
        *probed,
        *_ask_about_archives(settings, part),
        *_examine_database(settings, dependencies),
        *_look_at_host_keys(settings, dependencies),
        *_ask_about_sending(settings, part),
        *_ask_about_console(settings, part),
        *_ask_about_billing(settings, part),
    ]
    if as_json:
        print_json(
            {
                "ok": all(answer.is_well for answer in answers),
                "checks": [
                    {
                        "name": answer.name,
                        "ok": answer.is_well,
                        "warning": answer.is_warning,
                        "detail": answer.detail,
                    }
                    for answer in answers
                ],
            }
        )
    else:
        _print_lines(answers)
    if status := _worst(answers):
        raise typer.Exit(status)


def _ask_about_archives(settings: "Settings", part: str | None) -> "list[Answer]":
    """What only a worker needs, where it archives by itself."""
    from gateway.ops.probes import ask, probe_archives

    retention = settings.retention
    archives = retention.archive_after_months is not None or retention.archive_audit_after_months is not None
    if part in (None, "worker") and archives:
        return [run(ask("archives", lambda: probe_archives(settings.s3), _PATIENCE))]
    return []


def _examine_database(settings: "Settings", dependencies: "set[Dependency]") -> "list[Answer]":
    from gateway.ops.database_probes import examine_database

    return run(examine_database(settings.database)) if Dependency.DATABASE in dependencies else []


def _look_at_host_keys(settings: "Settings", dependencies: "set[Dependency]") -> "list[Answer]":
    """A warning for each key that is too weak. A gateway that was moved here brings its own, and clients know it."""
    from gateway.ops.probes import Answer
    from keys.errors import HostKeyError
    from keys.host_keys import load_host_keys

    if Dependency.HOST_KEYS not in dependencies:
        return []
    try:
        weak = [key for key in load_host_keys(settings.sftp.host_key_dir) if key.is_weak]
    except HostKeyError:
        # The probe has said so.
        return []
    return [
        Answer(
            "hostkeys",
            ExitStatus.DONE,
            f"{key.path} is a weak RSA key: replace it by `sftp-gateway hostkey rotate`, which tells clients the new one first",
            is_warning=True,
        )
        for key in weak
    ]


def _ask_about_sending(settings: "Settings", part: str | None) -> "list[Answer]":
    """What only a sender needs, asked for it alone or where this node has one; the callbacks' address is common to all nodes."""
    from gateway.ops.probes import ask
    from gateway.ops.sending_probes import probe_callbacks, probe_channels

    answers = []
    if part in (None, "sender") and settings.sending.twilio.callback_base_url is not None:
        answers.append(run(ask("callbacks", lambda: probe_callbacks(settings), _PATIENCE)))
    if part == "sender" or (part is None and settings.sending.processes > 0):
        answers += run(probe_channels(settings))
    return answers


def _ask_about_console(settings: "Settings", part: str | None) -> "list[Answer]":
    """What only a console needs, asked for it alone or where this node has one."""
    from gateway.ops.probes import ask, probe_console

    if part == "console" or (part is None and settings.console.processes > 0):
        return [run(ask("console", lambda: probe_console(settings.console), _PATIENCE))]
    return []


def _ask_about_billing(settings: "Settings", part: str | None) -> "list[Answer]":
    """A warning where messages are charged that nobody gets."""
    from config.environment import Environment
    from config.settings import variable_of
    from gateway.ops.probes import Answer

    simulated = settings.sending.public.provider == "simulator"
    if (
        part not in (None, "sender", "worker")
        or not simulated
        or settings.environment is not Environment.PRODUCTION
    ):
        return []
    text = (
        f"this is production, and {variable_of('sending.public.provider')} is simulator: its messages reach nobody, "
        "and are charged like any other"
    )
    return [Answer("billing", ExitStatus.DONE, text, is_warning=True)]


def _print_lines(answers: "list[Answer]") -> None:
    import sys

    is_terminal = sys.stdout.isatty()
    width = max(len(answer.name) for answer in answers)
    for answer in answers:
        print_line(f"{_mark(answer, is_terminal)}  {answer.name:<{width}}  {printable(answer.detail)}")


def _mark(answer: "Answer", is_terminal: bool) -> str:
    word, colour = ("ok", "32") if answer.is_well else ("FAILED", "1;31")
    if answer.is_well and answer.is_warning:
        word, colour = "warn", "33"
    padding = " " * (len("FAILED") - len(word))
    return f"\x1b[{colour}m{word}\x1b[0m{padding}" if is_terminal else word + padding


def _worst(answers: "list[Answer]") -> ExitStatus:
    """A wrong setting first: waiting doesn't mend it."""
    statuses = {answer.status for answer in answers}
    for status in (ExitStatus.CONFIGURATION, ExitStatus.UNREACHABLE):
        if status in statuses:
            return status
    return ExitStatus.DONE

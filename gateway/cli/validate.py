"""`sftp-gateway validate`: a verdict without servers, by the same rules, told as the e-mail would tell it."""

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from gateway.cli.arguments import parse_bodies
from gateway.cli.invocation import invocation_of, run
from gateway.errors import CallMisused
from gateway.output import warn

if TYPE_CHECKING:
    from config.environment import Environment
    from config.sections import MessageSettings
    from processing.columns.results import Finding
    from rules.templates import Template


def register(parent: typer.Typer) -> None:
    """Add this command to `parent`."""
    parent.command(
        epilog="Examples: sftp-gateway validate clinic.csv --template 'english=Dear {{name}}' --findings · "
        "sftp-gateway validate clinic.csv --campaign CAMPAIGN --report report.csv"
    )(validate)


def validate(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The CSV; - reads standard input.", show_default=False)
    ],
    campaign: Annotated[
        str | None, typer.Option("--campaign", metavar="ID", help="Judge it by this campaign's template.")
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(
            "--template",
            metavar="LANG=TEXT",
            help="Judge it by this template, once per language; LANG=@FILE reads a file. Needs no servers and no settings.",
        ),
    ] = None,
    environment: Annotated[
        str,
        typer.Option(
            "--environment", metavar="test|production|loadtest", help="Whose rules: in test, 20 rows at most."
        ),
    ] = "production",
    report: Annotated[
        str | None,
        typer.Option("--report", metavar="OUT", help="Write the report here, if the file is rejected."),
    ] = None,
    findings: Annotated[
        bool, typer.Option("--findings", help="Then print a JSON line for each fault.")
    ] = False,
) -> None:
    """Give the gateway's verdict on a file: the e-mail's JSON on one line. Exit status 0 valid, 1 not."""
    from config.environment import Environment

    invocation = invocation_of(context)
    if (campaign is None) == (not template):
        raise CallMisused("give either --campaign ID or --template LANG=TEXT")
    if environment not in set(Environment):
        raise CallMisused(f"the environment is test, production or loadtest, not {environment!r:.40}")
    # Without a campaign nothing but the arguments counts, unless a settings file is named.
    with_settings = campaign is not None or invocation.config is not None
    settings = invocation.settings.messages if with_settings else None
    known = (
        _fetch_template(context, campaign)
        if campaign is not None
        else _parse_template(context, template or [])
    )
    valid = _judge_file(
        file,
        known,
        Environment(environment),
        settings,
        report=report,
        with_findings=findings,
    )
    if not valid:
        raise typer.Exit(1)


def _fetch_template(context: typer.Context, campaign_id: str) -> "Template":
    from campaigns.campaigns import fetch_known_campaign

    async def fetch() -> "Template":
        async with invocation_of(context).open_database() as connection:
            return (await fetch_known_campaign(connection, campaign_id)).template

    return run(fetch())


def _parse_template(context: typer.Context, words: list[str]) -> "Template":
    from campaigns.creation import approve_template
    from campaigns.errors import CampaignRefused
    from config.sections import MessageSettings
    from processing.rule_settings import unsupported_rule
    from rules.templates import Template

    invocation = invocation_of(context)
    template = Template("Offline", parse_bodies(words))
    settings = invocation.settings.messages if invocation.config else MessageSettings()
    refused: CampaignRefused | None = None
    try:
        warnings = approve_template(template, unsupported_rule(settings))
    except CampaignRefused as error:
        warnings, refused = error.warnings, error
    for warning in warnings:
        warn(warning)
    if refused is not None:
        # Exit status 1 says that the file is not valid; here the call isn't.
        raise CallMisused(str(refused))
    return template


def _judge_file(
    name: str,
    template: "Template",
    environment: "Environment",
    settings: "MessageSettings | None",
    *,
    report: str | None,
    with_findings: bool,
) -> bool:
    """Print the verdict on the file `name` (`-`: standard input), its findings too if wanted; write the report.

    Returns whether the file is valid. Raises CallMisused: unreadable or unwritable files.
    """
    from config.sections import MessageSettings
    from notifications.compose import compose_accepted, compose_rejected
    from processing.rule_settings import make_rules
    from processing.verdicts.judge import judge
    from processing.verdicts.terms import Verdict

    rules = make_rules(template, environment, settings or MessageSettings())
    with _open_source(name) as source, _temporary() as report_file, _temporary() as found:

        def note_finding(finding: "Finding") -> None:
            found.write(_finding_line(finding))

        if refusal := _refuse_name(name):
            verdict = Verdict(valid=False, num_errors=1, error_reason=refusal.text)
            note_finding(refusal)
        else:
            verdict = judge(
                source,
                rules,
                messages=None,
                report=report_file if report is not None else None,
                findings=note_finding if with_findings else None,
            )
        if verdict.valid:
            _print(compose_accepted(None))
            return True
        if report is not None and verdict.report_written:
            _write_report(report, report_file)
        _print(
            compose_rejected(
                report_url=report if verdict.report_written else None,
                num_rows=verdict.num_rows,
                num_errors=verdict.num_errors,
                has_avoidable=verdict.has_avoidable,
                has_unicode=verdict.has_unicode,
                error_reason=verdict.error_reason,
            )
        )
        if with_findings:
            found.seek(0)
            for line in found:
                _print(line.decode().rstrip("\n"))
        return False


def _refuse_name(name: str) -> "Finding | None":
    """What the SFTP front would say of the name. Standard input and devices have none."""
    from processing.columns.results import Finding
    from rules.codes import FindingCode
    from rules.texts import file_reason

    if name.lower().endswith(".csv") or not Path(name).is_file():
        return None
    return Finding(None, None, FindingCode.FILE_NOT_CSV, file_reason(FindingCode.FILE_NOT_CSV))


def _finding_line(finding: "Finding") -> bytes:
    line = {"row": finding.row, "column": finding.column, "code": finding.code.value, "text": finding.text}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _print(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    # Only where the terminal can't show a character; the escape is JSON's too.
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


@contextlib.contextmanager
def _open_source(name: str) -> Iterator[BinaryIO]:
    """The file, or a copy of standard input: a verdict reads some bytes twice."""
    if name == "-":
        with _temporary() as copied:
            shutil.copyfileobj(sys.stdin.buffer, copied)
            copied.seek(0)
            yield copied
        return
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(Path(name).open("rb"))
            file.read(0)
        except OSError as error:
            raise CallMisused(f"{name!r} can't be read: {error.strerror}") from None
        if not file.seekable():
            raise CallMisused(f"{name!r} can't be read twice: give - and feed it to standard input")
        yield file


def _temporary() -> BinaryIO:
    """A file without a name, gone with this process: it holds personal data."""
    return tempfile.TemporaryFile(prefix="sftp-gateway-")


def _write_report(name: str, source: BinaryIO) -> None:
    source.seek(0)
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(source, file)
    except OSError as error:
        raise CallMisused(f"the report {name!r} can't be written: {error.strerror}") from None

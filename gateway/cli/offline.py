"""`sftp-gateway validate` and `segments`: the gateway's rules without its servers."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.invocation import invocation_of
from gateway.cli.segment_calculator import (
    count_line,
    count_text,
    read_stdin_lines,
    read_stdin_text,
)
from gateway.errors import CallMisused

if TYPE_CHECKING:
    from rules.templates import Template


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.command(
        epilog="Examples: sftp-gateway validate clinic.csv --template 'english=Dear {{name}}' --findings · "
        "sftp-gateway validate clinic.csv --campaign CAMPAIGN --report report.csv"
    )(validate)
    parent.command(
        epilog="Examples: sftp-gateway segments 'Dear Ms Tan' · sftp-gateway segments - < message.txt · "
        "sftp-gateway segments --jsonl - < messages.jsonl"
    )(segments)


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
            "--environment", metavar="test|production", help="Whose rules: in test, 20 rows at most."
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
    from gateway.cli.offline_verdict import judge_file

    invocation = invocation_of(context)
    if (campaign is None) == (not template):
        raise CallMisused("give either --campaign ID or --template LANG=TEXT")
    if environment not in set(Environment):
        raise CallMisused(f"the environment is test or production, not {environment!r:.40}")
    # Without a campaign nothing but the arguments counts, unless a settings file is named.
    with_settings = campaign is not None or invocation.config is not None
    settings = invocation.settings.messages if with_settings else None
    known = (
        _fetch_template(context, campaign)
        if campaign is not None
        else _parse_template(context, template or [])
    )
    valid = judge_file(
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
    from gateway.cli.invocation import run

    async def fetch() -> "Template":
        async with invocation_of(context).open_database() as connection:
            return (await fetch_known_campaign(connection, campaign_id)).template

    return run(fetch())


def _parse_template(context: typer.Context, words: list[str]) -> "Template":
    from campaigns.creation import approve_template
    from campaigns.errors import CampaignRefused
    from config.sections import MessageSettings
    from gateway.cli.output import warn
    from gateway.cli.template_options import parse_bodies
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


def segments(
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="The whole message; - reads standard input.", show_default=False),
    ] = "-",
    jsonl: Annotated[
        bool,
        typer.Option("--jsonl", help="Standard input has a JSON string per line; print an object for each."),
    ] = False,
) -> None:
    """Count the segments that exactly this text takes, and name its unsupported characters."""
    import sys

    if jsonl and text != "-":
        raise CallMisused("with --jsonl the texts come from standard input: give no TEXT, or -")
    if jsonl:
        answers = (count_line(line, number) for number, line in enumerate(read_stdin_lines(), start=1))
    else:
        answers = (count_text(one) for one in [read_stdin_text() if text == "-" else text])
    for answer in answers:
        sys.stdout.write(answer + "\n")
    sys.stdout.flush()

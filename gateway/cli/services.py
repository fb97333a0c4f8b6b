"""`run` and a command for each part: a node and its parts. `demo`, `devstack`: a first look. `migrate`: the schema. `openapi`."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.arguments import JSON
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallMisused
from gateway.output import note, print_json, print_line
from gateway.processes.parts import PARTS, Part

Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        metavar="DIR",
        help="A new folder to keep everything in; else a temporary one, removed at the end.",
    ),
]


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`: `run`, one for each row of the table of parts, and the others."""
    parent.command(name="run", epilog="Example: sftp-gateway run --config gateway.toml")(run_all)
    for part in PARTS:
        parent.command(name=part.command, help=part.help, epilog=part.example)(_command_of(part))
    parent.command(name="migrate", epilog="Example: sftp-gateway migrate")(migrate_schema)
    parent.command(epilog="Example: sftp-gateway openapi > openapi.json")(openapi)
    parent.command(epilog="Example: sftp-gateway demo --exit")(demo)
    parent.command(epilog="Example: sftp-gateway devstack > settings.sh & . ./settings.sh")(devstack)


def run_all(context: typer.Context) -> None:
    """All parts that are switched on, and the ops endpoint, in one process tree. SIGHUP reloads, SIGTERM drains and stops."""
    _serve(context, PARTS)


def _command_of(part: Part) -> Callable[[typer.Context], None]:
    def run_part(context: typer.Context) -> None:
        _serve(context, [part])

    return run_part


def _serve(context: typer.Context, parts: Sequence[Part]) -> None:
    from gateway.processes.node import run_node

    invocation = invocation_of(context)
    status = run_node(invocation.config, invocation.settings, parts)
    if status:
        raise typer.Exit(status)


def migrate_schema(
    context: typer.Context,
    as_json: JSON = False,
    grants: Annotated[
        bool,
        typer.Option(
            "--grants", help="Only print the SQL that gives the role of each part its rights on the tables."
        ),
    ] = False,
) -> None:
    """Bring the database's schema up to date. Safe to run twice, or from several nodes at once."""
    if grants:
        from database.grants import grant_statements

        statements = list(grant_statements())
        if as_json:
            print_json({"grants": statements})
        for statement in () if as_json else statements:
            print_line(statement)
        return
    from database.schema import migrate

    applied = run(migrate(invocation_of(context).settings.database, tell=note))
    if as_json:
        print_json({"applied": applied})
        return
    for step in applied:
        print_line(f"applied {step}")
    if not applied:
        note("the schema is up to date")


def openapi() -> None:
    """Print the OpenAPI 3.1 document of the HTTP API, as `/api/v2/openapi.json` has it."""
    from api.openapi.document import openapi_document

    print_json(openapi_document())


def demo(
    exit_after: Annotated[
        bool, typer.Option("--exit", help="Stop after the show, rather than serve until Ctrl-C.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help="Port of the SFTP front; else 2222 or, if taken, a free one."
        ),
    ] = None,
    folder: Folder = None,
) -> None:
    """See it work: everything embedded, a good and a bad file sent with the real sftp client, and what came of them."""
    with _embedded_servers():
        from gateway.demo.show import run_demo

    run_demo(exit_after=exit_after, port=port, folder=folder, actor=current_actor())


def devstack(folder: Folder = None) -> None:
    """Embedded PostgreSQL, S3 and mailbox until Ctrl-C; prints the settings that lead there as shell variables."""
    with _embedded_servers():
        from gateway.demo.devstack import run_devstack

    run_devstack(folder)


@contextlib.contextmanager
def _embedded_servers() -> Iterator[None]:
    """Say what is missing where only what production needs is installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise CallMisused(
            f"the embedded servers are not installed here ({error.name} is missing): use `make demo` or `make devstack`"
        ) from None

"""`sftp-gateway nric add`: what the test environment takes for an NRIC."""

from typing import Annotated

import typer

from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.output import note

app = typer.Typer(
    help="Identifiers that stand for NRICs in the test environment.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback()
def nric() -> None:
    """Identifiers that stand for NRICs in the test environment."""


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="nric")


@app.command(epilog="Example: sftp-gateway nric add patient-1 6591234567")
def add(
    context: typer.Context,
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="3 to 32 letters, digits and hyphens; a real NRIC is refused.",
            show_default=False,
        ),
    ],
    number: Annotated[
        str,
        typer.Argument(
            metavar="NUMBER", help="Its number: digits with the country code.", show_default=False
        ),
    ],
) -> None:
    """Let an identifier stand for a number, in single sends by NRIC of all campaigns that may send so (`campaign nric`)."""
    from campaigns.nric_identifiers import add_nric_identifier

    invocation = invocation_of(context)

    async def store() -> None:
        environment = invocation.settings.environment
        async with invocation.open_database() as connection, connection.transaction():
            await add_nric_identifier(
                connection, identifier, number, environment=environment, actor=current_actor()
            )

    run(store())
    note(f"{identifier} stands for that number from now on")

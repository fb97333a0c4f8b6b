"""`sftp-gateway billing …`: all its commands under one name."""

import typer

from gateway.cli.billing import changes, months, price, recount

app = typer.Typer(
    help="Billing: what agencies are charged, months and their reports, corrections, prices, and whether the totals are right.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    for module in (months, changes, price, recount):
        module.register(app)
    parent.add_typer(app, name="billing")

"""`sftp-gateway billing …`: all its commands under one name."""

import typer

app = typer.Typer(
    help="Billing: whether the totals are right.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="billing")

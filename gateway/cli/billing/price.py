"""`sftp-gateway billing price …`: what a segment costs, by the day from which it does."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import JSON
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallMisused
from gateway.output import for_people, note, print_json, print_table, utc

if TYPE_CHECKING:
    from billing.prices import ListedPrice

app = typer.Typer(
    help="Prices of a segment: list them, add one.",
    epilog="Example: sftp-gateway billing price list",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="price")


@app.command(epilog="Example: sftp-gateway billing price add --local 0.046 --foreign 0.23 --from 2027-02-01")
def add(
    context: typer.Context,
    local: Annotated[
        str,
        typer.Option(
            "--local",
            metavar="SGD",
            help="Dollars a segment to numbers that begin with 65, before GST.",
            show_default=False,
        ),
    ],
    foreign: Annotated[
        str,
        typer.Option("--foreign", metavar="SGD", help="Dollars a segment to all others.", show_default=False),
    ],
    valid_from: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="DATE",
            help="For what is sent from this day of Singapore's on: not in a month that was posted.",
            show_default=False,
        ),
    ],
) -> None:
    """Add a price, which holds until a later one begins."""
    from billing.prices import add_price
    from rules.billing.prices import Price, shown_price

    invocation = invocation_of(context)
    price = Price(_parse_price(local), _parse_price(foreign))
    try:
        day = date.fromisoformat(valid_from.strip())
    except ValueError:
        raise CallMisused(f"--from {valid_from!r:.40} is no day: write it like 2027-02-01") from None

    async def store() -> None:
        async with invocation.open_database() as connection:
            await add_price(connection, day, price, actor=current_actor())

    run(store())
    note(
        f"From {day} on a segment costs SGD {shown_price(price.local_mills)} locally, "
        f"SGD {shown_price(price.foreign_mills)} to foreign numbers"
    )


@app.command("list", epilog="Example: sftp-gateway billing price list")
def list_all(context: typer.Context, as_json: JSON = False) -> None:
    """List all prices, in the order of their days."""
    from billing.prices import list_prices
    from rules.billing.prices import shown_price

    invocation = invocation_of(context)

    async def fetch() -> "list[ListedPrice]":
        async with invocation.open_database() as connection:
            return await list_prices(connection)

    prices = run(fetch())
    if as_json:
        print_json(
            [
                {
                    "validFrom": str(one.valid_from),
                    "local": shown_price(one.price.local_mills),
                    "foreign": shown_price(one.price.foreign_mills),
                    "addedAt": utc(one.added_at),
                }
                for one in prices
            ]
        )
        return
    print_table(
        ("from", "local", "foreign", "added"),
        [
            (
                str(one.valid_from),
                f"SGD {shown_price(one.price.local_mills)}",
                f"SGD {shown_price(one.price.foreign_mills)}",
                for_people(one.added_at),
            )
            for one in prices
        ],
        empty="There are no prices.",
    )


def _parse_price(text: str) -> int:
    from rules.billing.prices import parse_price

    mills = parse_price(text.strip())
    if mills is None:
        raise CallMisused(
            f"{text!r:.40} is no price: write dollars with at most three decimals, such as 0.046"
        )
    return mills

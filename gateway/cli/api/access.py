"""`sftp-gateway campaign addresses`, `rate` and `nric`: from where a campaign may call the API, how often, and naming whom."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import JSON, CampaignId
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallMisused
from gateway.output import note, print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.addresses import Address


def register(campaigns: typer.Typer) -> None:
    """Add these commands to those of `campaign`."""
    campaigns.command(
        epilog="Examples: sftp-gateway campaign addresses CAMPAIGN --add 192.0.2.7 --add 2001:db8::7 · "
        "sftp-gateway campaign addresses CAMPAIGN --add 192.0.2.8 --remove 192.0.2.7"
    )(addresses)
    campaigns.command(
        epilog="Examples: sftp-gateway campaign rate CAMPAIGN 15 · sftp-gateway campaign rate CAMPAIGN default"
    )(rate)
    campaigns.command(epilog="Example: sftp-gateway campaign nric CAMPAIGN on")(nric)


def addresses(
    context: typer.Context,
    campaign: CampaignId,
    add: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="A", help="Allow this single address too; repeatable."),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="A", help="Allow it no more, at once; repeatable."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Change from which addresses a campaign may call the HTTP API, and print them all. `campaign allow` is for SFTP."""
    from campaigns.api_access import change_api_addresses, parse_api_addresses
    from campaigns.campaigns import fetch_known_campaign

    invocation = invocation_of(context)
    added, removed = parse_api_addresses(add or []), parse_api_addresses(remove or [])

    async def change() -> "Sequence[Address]":
        async with invocation.open_database() as connection, connection.transaction():
            if not added and not removed:
                return (await fetch_known_campaign(connection, campaign)).api_addresses
            return await change_api_addresses(
                connection, campaign, added=added, removed=removed, actor=current_actor()
            )

    allowed = [str(address) for address in run(change())]
    if as_json:
        print_json({"campaignId": campaign, "apiAddresses": allowed})
        return
    for address in allowed:
        print_line(address)
    if not allowed:
        note(f"{campaign} may call the API from nowhere: see `sftp-gateway campaign addresses --help`")


def rate(
    context: typer.Context,
    campaign: CampaignId,
    calls: Annotated[
        str,
        typer.Argument(
            metavar="N", help="Calls a second, 1 to 1000; default: as api.rate says.", show_default=False
        ),
    ],
) -> None:
    """Set how often a campaign may call the HTTP API, over all its keys and all nodes."""
    from campaigns.api_access import set_api_rate

    invocation = invocation_of(context)
    if calls != "default" and not (calls.isascii() and calls.isdigit() and len(calls) < 10):
        raise CallMisused(f"a rate is a whole number of calls a second, or default, not {calls[:30]!r}")
    wanted = None if calls == "default" else int(calls)

    async def change() -> None:
        async with invocation.open_database() as connection, connection.transaction():
            await set_api_rate(connection, campaign, wanted, actor=current_actor())

    run(change())
    note(
        f"{campaign} may call the API as often as api.rate says, {invocation.settings.api.rate} times a second here"
        if wanted is None
        else f"{campaign} may call the API {wanted} times a second from now on"
    )


def nric(
    context: typer.Context,
    campaign: CampaignId,
    switch: Annotated[str, typer.Argument(metavar="on|off", show_default=False)],
) -> None:
    """Let a campaign's single sends name their recipient by NRIC, or not."""
    from campaigns.api_access import set_nric

    invocation = invocation_of(context)
    if switch not in {"on", "off"}:
        raise CallMisused(f"write on or off, not {switch[:30]!r}")
    allowed = switch == "on"

    async def change() -> bool:
        async with invocation.open_database() as connection, connection.transaction():
            return await set_nric(connection, campaign, allowed=allowed, actor=current_actor())

    changed = run(change())
    may = "may" if allowed else "may not"
    note(f"{campaign} {may} send by NRIC" + (" from now on" if changed else ": that was so already"))

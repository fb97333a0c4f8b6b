"""`sftp-gateway billing check`: whether the totals that agencies are charged by are what the attempts come to."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import JSON
from gateway.cli.invocation import invocation_of, run
from gateway.errors import ExitStatus
from gateway.output import note, print_json, print_line, utc

if TYPE_CHECKING:
    from billing.recount import Difference


def register(parent: typer.Typer) -> None:
    """Add this command to `parent`."""
    parent.command(
        epilog="Examples: sftp-gateway billing check · sftp-gateway billing check --campaign CAMPAIGN"
    )(check)


def check(
    context: typer.Context,
    campaign: Annotated[
        str | None, typer.Option("--campaign", metavar="CAMPAIGN", help="Only this campaign's totals.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Recount usage from the attempts: a line for each daily total that differs, and exit status 1 where one does.

    Nothing waits for it, but it reads all attempts: without --campaign it may take long.
    """
    from billing.recount import list_campaigns, recount_campaign
    from campaigns.campaigns import fetch_known_campaign

    now = datetime.now(UTC)
    invocation = invocation_of(context)

    async def recount() -> "tuple[int, list[Difference]]":
        found = []
        async with invocation.open_database() as connection:
            if campaign is not None:
                await fetch_known_campaign(connection, campaign)
            chosen = await list_campaigns(connection) if campaign is None else [campaign]
            for one in chosen:
                differences = await recount_campaign(connection, one, now=now)
                found += differences
                for difference in () if as_json else differences:
                    print_line(_line(difference))
        return len(chosen), found

    campaigns, found = run(recount())
    if as_json:
        print_json(
            {
                "checkedAt": utc(now),
                "campaigns": campaigns,
                "differences": [_document(difference) for difference in found],
            }
        )
    if found:
        raise typer.Exit(ExitStatus.REFUSED)
    if not as_json:
        note(f"campaigns recounted: {campaigns:,}; their totals are what their attempts come to")


def _line(difference: "Difference") -> str:
    """Such as `campaign_… 2026-10-31 local success GSM-7: counted 12 attempts, 14 segments; found 11 attempts, 13 segments`."""
    own = " (our own expiry)" if difference.own_expiry else ""
    return (
        f"{difference.campaign_id} {difference.day} {difference.destination} {difference.outcome}{own} {difference.encoding}: "
        f"counted {difference.counted_attempts} attempts, {difference.counted_segments} segments; "
        f"found {difference.found_attempts} attempts, {difference.found_segments} segments"
    )


def _document(difference: "Difference") -> dict[str, object]:
    return {
        "campaignId": difference.campaign_id,
        "day": str(difference.day),
        "destination": difference.destination,
        "outcome": difference.outcome,
        "ownExpiry": difference.own_expiry,
        "encoding": difference.encoding,
        "counted": {"attempts": difference.counted_attempts, "segments": difference.counted_segments},
        "found": {"attempts": difference.found_attempts, "segments": difference.found_segments},
    }

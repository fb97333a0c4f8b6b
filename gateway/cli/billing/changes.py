"""`sftp-gateway billing close|correct`: months are posted, and corrected until they are final."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import Yes, confirm
from gateway.cli.billing.arguments import MonthOption, parse_month, terms_from
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallMisused
from gateway.output import counted, for_people, note

if TYPE_CHECKING:
    from billing.closing import PostedMonth
    from billing.corrections import CorrectedReport


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.command(epilog="Example: sftp-gateway billing close --month 2026-10")(close)
    parent.command(
        epilog="Example: sftp-gateway billing correct --month 2026-10 --campaign CAMPAIGN --segments -120 "
        "--reason 'sent twice by a fault of ours, ticket 4711'"
    )(correct)


def close(
    context: typer.Context,
    month: MonthOption,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="T",
            help="As if it were this time, such as 2026-11-05 or 2026-11-05T09:00+08:00, Singapore's unless it says otherwise.",
        ),
    ] = None,
) -> None:
    """Post a month, and those before it: their reports are written, and nothing of them changes any more. Safe twice."""
    from billing.closing import close_month
    from billing.months import fetch_posted_at

    invocation = invocation_of(context)
    wanted = parse_month(month)
    now = _parse_time(as_of) if as_of else datetime.now(UTC)

    async def post() -> "tuple[list[PostedMonth], datetime | None]":
        async with invocation.open_database() as connection:
            posted = await close_month(
                connection, terms_from(invocation.settings), wanted, now=now, actor=current_actor()
            )
            return posted, await fetch_posted_at(connection, wanted)

    posted, posted_at = run(post())
    for one in posted:
        note(f"{one.month} is posted: {counted(one.reports, 'report')}")
    if not posted:
        note(
            f"{wanted} was posted already, {for_people(posted_at)}"
            if posted_at
            else f"{wanted} was closed already, with a later month"
        )


def correct(
    context: typer.Context,
    month: MonthOption,
    campaign: Annotated[
        str, typer.Option("--campaign", metavar="C", help="The campaignId.", show_default=False)
    ],
    segments: Annotated[
        int,
        typer.Option(
            "--segments", metavar="N", help="So many segments more; fewer with a minus.", show_default=False
        ),
    ],
    reason: Annotated[
        str,
        typer.Option(
            "--reason", metavar="R", help="Why, for the agency: it stands on the report.", show_default=False
        ),
    ],
    foreign: Annotated[
        bool, typer.Option("--foreign", help="Segments to foreign numbers; else to local ones.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Correct a month that was posted, until it can't be disputed any more: its report gets a new version."""
    from billing.corrections import correct_month
    from rules.billing.prices import shown_cost

    invocation = invocation_of(context)
    wanted = parse_month(month)
    # A script isn't asked: another correction takes it back.
    if not yes and sys.stdin.isatty():
        confirm(
            f"This changes what {campaign} is charged in {wanted} by {segments:+,} {'foreign' if foreign else 'local'} segments.",
            "Correct it?",
            refusal="a correction",
        )

    async def change() -> "CorrectedReport":
        async with invocation.open_database() as connection:
            return await correct_month(
                connection,
                wanted,
                campaign,
                segments,
                foreign=foreign,
                reason=reason,
                now=datetime.now(UTC),
                actor=current_actor(),
            )

    corrected = run(change())
    change_of_cost = f"{shown_cost(abs(corrected.mills))} {'less' if corrected.mills < 0 else 'more'}"
    note(
        f"{wanted} has version {corrected.version}, {change_of_cost}; it can be disputed until {corrected.dispute_by}"
    )


def _parse_time(text: str) -> datetime:
    from rules.billing.periods import SINGAPORE

    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        at = None
    # Beyond those years some times have no day in Singapore, or none thirty days later.
    if at is None or not 2000 <= at.year < 2200:
        raise CallMisused(f"--as-of {text!r:.40} is no time: write 2026-11-05 or 2026-11-05T09:00+08:00")
    return (at if at.tzinfo else at.replace(tzinfo=SINGAPORE)).astimezone(UTC)

"""`sftp-gateway billing show|report|close|correct`: months, what they come to, and their reports."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import JSON, Yes, confirm, new_private_file
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.errors import CallMisused, CallRefused
from gateway.output import counted, for_people, note, print_json, print_table, utc

if TYPE_CHECKING:
    from billing.closing import PostedMonth
    from billing.corrections import CorrectedReport
    from billing.lines import Sums
    from billing.posted import MonthSums, PostedReport
    from campaigns.people.agencies import Agency
    from config.settings import Settings
    from rules.billing.outcomes import Terms
    from rules.billing.periods import Month, Period

AgencyOption = Annotated[
    str, typer.Option("--agency", metavar="A", help="The agency's name.", show_default=False)
]
MonthOption = Annotated[
    str, typer.Option("--month", metavar="M", help="The month, such as 2026-10.", show_default=False)
]


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.command(epilog="Example: sftp-gateway billing show --agency 'Ministry of Examples' --period 2026")(
        show
    )
    parent.command(
        epilog="Examples: sftp-gateway billing report --agency 'Ministry of Examples' --month 2026-10 --out october.xlsx · "
        "sftp-gateway billing report --agency 'Ministry of Examples' --period 2026 --out year.csv"
    )(report)
    parent.command(epilog="Example: sftp-gateway billing close --month 2026-10")(close)
    parent.command(
        epilog="Example: sftp-gateway billing correct --month 2026-10 --campaign CAMPAIGN --segments -120 "
        "--reason 'sent twice by a fault of ours, ticket 4711'"
    )(correct)


def show(
    context: typer.Context,
    agency: AgencyOption,
    period: Annotated[
        str | None,
        typer.Option(
            "--period", metavar="P", help="The billing period, such as 2026: February 2026 to January 2027."
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Show what each month of a billing period comes to, by default of the running one: posted, or so far."""
    from billing.posted import fetch_month_sums
    from campaigns.people.agencies import find_agency
    from rules.billing.periods import Month, period_of

    invocation = invocation_of(context)
    settings, now = invocation.settings, datetime.now(UTC)
    chosen = _parse_period(period, settings) if period else period_of(Month.of(now), settings.billing.starts)

    async def fetch() -> "tuple[Agency, list[MonthSums]]":
        async with (
            invocation.open_database() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            found = await find_agency(connection, agency)
            sums = await fetch_month_sums(connection, _terms(settings), chosen, now=now, agency_id=found.id)
            return found, list(sums.values())

    found, months = run(fetch())
    if as_json:
        print_json(_document(found, chosen, months, now))
        return
    terms = _terms(settings)
    rows = [
        (
            str(one.month),
            *_figures(one.sums),
            f"version {one.version or '-'}" if one.is_posted else f"so far, {for_people(now)}",
            None if one.dispute_by is None else str(one.dispute_by),
        )
        for one in months
    ]
    print_table(
        ("month", "segments", "local", "foreign", "cost before GST", "report", "dispute by"),
        [*rows, ("total", *_figures(_total(months)), None, None)],
        empty="The period has not begun.",
    )
    if not terms.is_production:
        note("This is no production environment: nothing is charged here.")


def _total(months: "list[MonthSums]") -> "Sums":
    from billing.lines import Sums

    return sum((one.sums for one in months), Sums())


def _figures(sums: "Sums") -> tuple[str, str, str, str]:
    return f"{sums.segments:,}", f"{sums.local_segments:,}", f"{sums.foreign_segments:,}", _cost(sums)


def _document(
    agency: "Agency", period: "Period", months: "list[MonthSums]", now: datetime
) -> dict[str, object]:
    """The JSON of an agency's period."""
    return {
        "agencyId": agency.id,
        "agency": agency.name,
        "customerId": agency.customer_id,
        "subBu": agency.sub_bu,
        "contact": agency.billing_contact,
        "period": period.name,
        "firstMonth": str(period.first),
        "lastMonth": str(period.last),
        "invoicedIn": str(period.invoiced_in),
        **_sums_document(_total(months)),
        "countedAt": utc(now),
        "months": [
            {
                "month": str(one.month),
                "isPosted": one.is_posted,
                "version": one.version,
                "postedAt": utc(one.posted_at),
                "disputeBy": one.dispute_by and str(one.dispute_by),
                "countedAt": None if one.is_posted else utc(now),
                **_sums_document(one.sums),
            }
            for one in months
        ],
    }


def _sums_document(sums: "Sums") -> dict[str, object]:
    from rules.billing.prices import shown_amount

    return {
        "messages": sums.messages,
        "localMessages": sums.local_messages,
        "foreignMessages": sums.foreign_messages,
        "segments": sums.segments,
        "localSegments": sums.local_segments,
        "foreignSegments": sums.foreign_segments,
        "cost": shown_amount(sums.mills).replace(",", ""),
        "costMills": sums.mills,
        "localCostMills": sums.local_mills,
        "foreignCostMills": sums.foreign_mills,
    }


def _cost(sums: "Sums") -> str:
    from rules.billing.prices import shown_cost

    return shown_cost(sums.mills)


def report(
    context: typer.Context,
    agency: AgencyOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="Write it to this new file (mode 0600).", show_default=False
        ),
    ],
    month: Annotated[
        str | None, typer.Option("--month", metavar="M", help="The report of this month, such as 2026-10.")
    ] = None,
    period: Annotated[
        str | None,
        typer.Option("--period", metavar="P", help="The annual report of this period, such as 2026."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="xlsx|csv", help="What to write; else as the file's name ends, else xlsx."
        ),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(
            "--version", metavar="N", min=1, help="This version of a month's report, not the latest."
        ),
    ] = None,
) -> None:
    """Write an agency's report of a month that was posted, or of a whole period."""
    from billing.posted import fetch_annual_report, fetch_report
    from billing.report_files import FORMS, write_report
    from campaigns.people.agencies import find_agency

    ending = out.suffix.lower().removeprefix(".")
    chosen = form or (ending if ending in FORMS else FORMS[0])
    if chosen not in FORMS:
        raise CallMisused(f"a report's format is xlsx or csv, not {chosen!r:.40}")
    if (month is None) == (period is None):
        raise CallMisused("give either --month, such as 2026-10, or --period, such as 2026")
    if version is not None and month is None:
        raise CallMisused("only a month's report has versions: give --month with --version")
    invocation = invocation_of(context)
    wanted = _parse_period(period, invocation.settings) if period else _parse_month(month or "")

    async def fetch() -> "PostedReport":
        from rules.billing.periods import Month

        async with (
            invocation.open_database() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            found = await find_agency(connection, agency)
            posted = (
                await fetch_report(connection, found.id, wanted, version)
                if isinstance(wanted, Month)
                else await fetch_annual_report(connection, found.id, wanted)
            )
        if posted is None:
            which = f"no version {version} of a report" if version else "no report"
            when = wanted if isinstance(wanted, Month) else wanted.last
            raise CallRefused(
                f"{found.name} has {which} for {month or period}: {when} is posted from {utc(when.posted_from)} on, "
                "and who sent nothing has none"
            )
        return posted

    posted = run(fetch())
    with new_private_file(out) as target:
        write_report(posted, target, chosen)
    note(
        f"The report is in {out}: {counted(posted.sums.segments, 'segment')}, {_cost(posted.sums)} before GST."
    )


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
    wanted = _parse_month(month)
    now = _parse_time(as_of) if as_of else datetime.now(UTC)

    async def post() -> "tuple[list[PostedMonth], datetime | None]":
        async with invocation.open_database() as connection:
            posted = await close_month(
                connection, _terms(invocation.settings), wanted, now=now, actor=current_actor()
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
    wanted = _parse_month(month)
    if not yes:
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
    note(
        f"{wanted} has version {corrected.version}, {shown_cost(corrected.mills)} {'less' if corrected.mills < 0 else 'more'}; "
        f"it can be disputed until {corrected.dispute_by}"
    )


def _terms(settings: "Settings") -> "Terms":
    from billing.terms import terms_of

    return terms_of(settings.environment, settings.billing)


def _parse_month(text: str) -> "Month":
    from rules.billing.periods import Month

    month = Month.parse(text.strip())
    if month is None:
        raise CallMisused(f"{text!r:.40} is no month: write it like 2026-10")
    return month


def _parse_period(text: str, settings: "Settings") -> "Period":
    from rules.billing.periods import parse_period

    period = parse_period(text.strip(), settings.billing.starts)
    if period is None:
        raise CallMisused(
            f"{text!r:.40} is no billing period: name the year in which it begins, such as 2026, "
            f"{settings.billing.starts.year} or later"
        )
    return period


def _parse_time(text: str) -> datetime:
    from rules.billing.periods import SINGAPORE

    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise CallMisused(
            f"--as-of {text!r:.40} is no time: write 2026-11-05 or 2026-11-05T09:00+08:00"
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=SINGAPORE)).astimezone(UTC)

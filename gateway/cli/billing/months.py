"""`sftp-gateway billing show|report`: what months come to, and their reports."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import JSON, new_private_file
from gateway.cli.billing.arguments import AgencyOption, parse_month, parse_period_of, terms_from
from gateway.cli.invocation import invocation_of, run
from gateway.errors import CallMisused, CallRefused
from gateway.output import counted, for_people, note, print_json, print_table, utc

if TYPE_CHECKING:
    from billing.lines import Sums
    from billing.posted import MonthSums, PostedReport
    from campaigns.people.agencies import Agency
    from database.connections import Connection
    from rules.billing.periods import Month, Period


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.command(epilog="Example: sftp-gateway billing show --agency 'Ministry of Examples' --period 2026")(
        show
    )
    parent.command(
        epilog="Examples: sftp-gateway billing report --agency 'Ministry of Examples' --month 2026-10 --out october.xlsx · "
        "sftp-gateway billing report --agency 'Ministry of Examples' --period 2026 --out year.csv"
    )(report)


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
    chosen = (
        parse_period_of(period, settings) if period else period_of(Month.of(now), settings.billing.starts)
    )

    async def fetch() -> "tuple[Agency, list[MonthSums]]":
        async with (
            invocation.open_database() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            found = await find_agency(connection, agency)
            sums = await fetch_month_sums(
                connection, terms_from(settings), chosen, now=now, agency_id=found.id
            )
            return found, list(sums.values())

    found, months = run(fetch())
    if as_json:
        print_json(_document(found, chosen, months, now))
        return
    terms = terms_from(settings)
    rows = [
        (
            str(one.month),
            *_figures(one.sums),
            _report_of(one, now),
            None if one.dispute_by is None else str(one.dispute_by),
        )
        for one in months
    ]
    print_table(
        ("month", "segments", "local", "foreign", "cost before GST", "report", "dispute by"),
        [*rows, ("total", *_figures(_total(months)), None, None)] if rows else [],
        empty="The period has not begun.",
    )
    if not terms.is_production:
        note("This is no production environment: nothing is charged here.")


def _report_of(month: "MonthSums", now: datetime) -> str:
    if not month.is_posted:
        return f"so far, {for_people(now)}"
    return "nothing was sent" if month.version is None else f"version {month.version}"


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
    wanted = parse_period_of(period, invocation.settings) if period else parse_month(month or "")

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
                raise await _no_report(connection, found, wanted, version)
        return posted

    posted = run(fetch())
    with new_private_file(out) as target:
        write_report(posted, target, chosen)
    note(
        f"The report is in {out}: {counted(posted.sums.segments, 'segment')}, {_cost(posted.sums)} before GST."
    )


async def _no_report(
    connection: "Connection", agency: "Agency", wanted: "Month | Period", version: int | None
) -> CallRefused:
    """Why there is none."""
    from datetime import date

    from billing.months import fetch_closed_before
    from billing.posted import fetch_report
    from rules.billing.periods import Month, day_of

    last = wanted if isinstance(wanted, Month) else wanted.last
    closed_before = await fetch_closed_before(connection) or date.min
    if last.first >= closed_before:
        return CallRefused(f"{last} is not posted yet: it is from {day_of(last.posted_from)} on")
    if isinstance(wanted, Month) and version is not None:
        latest = await fetch_report(connection, agency.id, wanted)
        if latest is not None:
            return CallRefused(f"{wanted} has no version {version}: the latest is {latest.version}")
    return CallRefused(f"{agency.name} has no report: nothing that is on its bill was sent then")

"""`sftp-gateway agency …`: agencies, their domains, and who of their people is in charge or creates campaigns."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import AFTER_HELP, JSON, Limit
from gateway.cli.invocation import Invocation, current_actor, invocation_of, run
from gateway.cli.people.arguments import AgencyName, Email, Remove, user_document
from gateway.errors import CallMisused
from gateway.output import cut_page, for_people, note, print_facts, print_json, print_line, print_table, utc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from campaigns.people.agencies import Agency
    from campaigns.people.users import User
    from database.connections import Connection

app = typer.Typer(
    help="Agencies: add, look at, who is in charge and who creates campaigns.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="agency")


@app.command(
    epilog="Examples: sftp-gateway agency add 'Ministry of Examples' --domain examples.gov.sg · "
    "sftp-gateway agency add 'Ministry of Examples' --domain vendor.example --member-only"
)
def add(
    context: typer.Context,
    name: AgencyName,
    domain: Annotated[
        list[str] | None,
        typer.Option("--domain", metavar="D", help="A domain of its people's addresses; repeatable."),
    ] = None,
    member_only: Annotated[
        bool,
        typer.Option(
            "--member-only",
            help="People of these domains are members only: they create and own no campaigns.",
        ),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Add an agency, or more domains to one that is there."""
    from campaigns.people.agencies import add_agency

    invocation = invocation_of(context)

    async def store() -> "Agency":
        async with invocation.open_database() as connection, connection.transaction():
            return await add_agency(
                connection, name, domain or [], member_only=member_only, actor=current_actor()
            )

    agency = run(store())
    if as_json:
        print_json(_document(agency))
    else:
        print_line(agency.id)


@app.command("list", epilog="Example: sftp-gateway agency list --json")
def list_all(
    context: typer.Context,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="With this in the name or in a domain.")
    ] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="NAME", help=AFTER_HELP)] = None,
    limit: Limit = None,
    as_json: JSON = False,
) -> None:
    """List agencies, by name."""
    from campaigns.people.agencies import find_agency, list_agencies

    invocation = invocation_of(context)

    async def fetch() -> "Sequence[Agency]":
        async with invocation.open_database() as connection:
            last = None if after is None else await find_agency(connection, after)
            most = None if limit is None else limit + 1
            return await list_agencies(connection, search=search, after=last, limit=most)

    found = run(fetch())
    agencies = cut_page(
        found, len(found) if limit is None else limit, lambda agency: shlex.quote(agency.name)
    )
    if as_json:
        print_json([_document(agency) for agency in agencies])
        return
    print_table(
        ("name", "domains", "of members only", "added"),
        [
            (
                agency.name,
                ", ".join(agency.domains),
                ", ".join(agency.member_domains),
                for_people(agency.added_at),
            )
            for agency in agencies
        ],
        empty="There are no such agencies." if search or after else "There are no agencies.",
    )


@app.command(epilog="Example: sftp-gateway agency show 'Ministry of Examples'")
def show(context: typer.Context, name: AgencyName, as_json: JSON = False) -> None:
    """Show one agency: its domains, who is in charge, who creates campaigns, and how many it has."""
    from campaigns.people.agencies import count_campaigns, find_agency
    from campaigns.people.users import list_in_charge

    invocation = invocation_of(context)

    async def fetch() -> "tuple[Agency, Sequence[User], int]":
        async with invocation.open_database() as connection:
            agency = await find_agency(connection, name)
            in_charge = await list_in_charge(connection, agency.id)
            return agency, in_charge, await count_campaigns(connection, agency.id)

    agency, people, campaigns = run(fetch())
    pics = [user.email for user in people if user.is_pic]
    creators = [user.email for user in people if user.may_create]
    if as_json:
        print_json({**_document(agency), "pics": pics, "creators": creators, "campaigns": campaigns})
        return
    print_facts(
        [
            ("agency", agency.name),
            ("id", agency.id),
            ("domains", ", ".join(agency.domains) or "-"),
            ("of members only", ", ".join(agency.member_domains) or "-"),
            ("in charge", ", ".join(pics) or "nobody: see `sftp-gateway agency pic --help`"),
            ("create campaigns", ", ".join(creators) or "nobody"),
            ("campaigns", str(campaigns)),
            ("customer id", agency.customer_id),
            ("sub-BU", agency.sub_bu),
            ("contact", agency.billing_contact),
            ("added", for_people(agency.added_at)),
        ]
    )


@app.command(
    "set",
    epilog="Example: sftp-gateway agency set 'Ministry of Examples' --customer-id C123456 --sub-bu 'EXAMS BRANCH' "
    "--contact finance@examples.gov.sg",
)
def set_form(
    context: typer.Context,
    name: AgencyName,
    customer_id: Annotated[
        str | None, typer.Option("--customer-id", metavar="C", help="Its customer id with finance.")
    ] = None,
    sub_bu: Annotated[
        str | None, typer.Option("--sub-bu", metavar="B", help="Its sub-business unit.")
    ] = None,
    contact: Annotated[
        str | None, typer.Option("--contact", metavar="E", help="Whom finance writes to.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Change what stands on an agency's bills, as its payment form has it. An empty text clears a field."""
    from campaigns.people.agencies import PaymentField, set_payment_form

    invocation = invocation_of(context)
    given = {
        PaymentField.CUSTOMER_ID: customer_id,
        PaymentField.SUB_BU: sub_bu,
        PaymentField.CONTACT: contact,
    }
    fields = {field: text for field, text in given.items() if text is not None}
    if not fields:
        raise CallMisused("give what is to be changed: --customer-id, --sub-bu or --contact")

    async def store() -> "Agency":
        async with invocation.open_database() as connection, connection.transaction():
            return await set_payment_form(connection, name, fields, actor=current_actor())

    agency = run(store())
    if as_json:
        print_json(_document(agency))
    else:
        note(f"{agency.name}'s next reports say so: see `sftp-gateway agency show`")


@app.command(epilog="Example: sftp-gateway agency pic 'Ministry of Examples' tan@examples.gov.sg")
def pic(
    context: typer.Context, name: AgencyName, email: Email, remove: Remove = False, as_json: JSON = False
) -> None:
    """Put a person in charge of an agency (with its CIO's word), or back among its officers without the right to create."""
    from campaigns.people.users import set_pic

    async def change(connection: "Connection", agency: "Agency") -> "User":
        return await set_pic(connection, agency, email, is_pic=not remove, actor=current_actor())

    user, agency = _change(invocation_of(context), name, change)
    if as_json:
        print_json(user_document(user))
    else:
        note(f"{user.email} is {'no longer ' if remove else ''}in charge of {agency.name}")


@app.command(epilog="Example: sftp-gateway agency creator 'Ministry of Examples' lim@examples.gov.sg")
def creator(
    context: typer.Context, name: AgencyName, email: Email, remove: Remove = False, as_json: JSON = False
) -> None:
    """Let a person create campaigns for an agency, or no longer."""
    from campaigns.people.users import set_creator

    async def change(connection: "Connection", agency: "Agency") -> "User":
        return await set_creator(connection, agency, email, may_create=not remove, actor=current_actor())

    user, agency = _change(invocation_of(context), name, change)
    if as_json:
        print_json(user_document(user))
    else:
        note(f"{user.email} {'no longer creates' if remove else 'may create'} campaigns for {agency.name}")


def _change(
    invocation: Invocation, name: str, change: "Callable[[Connection, Agency], Awaitable[User]]"
) -> "tuple[User, Agency]":
    from campaigns.people.agencies import find_agency

    async def store() -> "tuple[User, Agency]":
        async with invocation.open_database() as connection, connection.transaction():
            agency = await find_agency(connection, name)
            return await change(connection, agency), agency

    return run(store())


def _document(agency: "Agency") -> dict[str, object]:
    return {
        "agencyId": agency.id,
        "name": agency.name,
        "domains": list(agency.domains),
        "memberDomains": list(agency.member_domains),
        "customerId": agency.customer_id,
        "subBu": agency.sub_bu,
        "contact": agency.billing_contact,
        "addedAt": utc(agency.added_at),
    }

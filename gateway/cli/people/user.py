"""`sftp-gateway user …`: one person, and who belongs to ops."""

from typing import TYPE_CHECKING, Final

import typer

from gateway.cli.arguments import JSON
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.cli.people.arguments import Email, Remove, user_document
from gateway.output import counted, for_people, note, print_facts, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.people.permissions import Membership
    from campaigns.people.users import User

app = typer.Typer(
    help="Users: look at one, make one of ops, end its sessions.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

# Somebody may be a member of thousands of campaigns. As text so many are shown.
_MOST_MEMBERSHIPS: Final = 50


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="user")


@app.command(epilog="Example: sftp-gateway user show tan@examples.gov.sg")
def show(context: typer.Context, email: Email, as_json: JSON = False) -> None:
    """Show one person: agency, rights, and memberships of campaigns."""
    from campaigns.people.agencies import fetch_agency
    from campaigns.people.members import fetch_memberships
    from campaigns.people.users import find_user

    invocation = invocation_of(context)

    async def fetch() -> "tuple[User, str | None, Mapping[str, Membership]]":
        async with invocation.open_database() as connection:
            user = await find_user(connection, email)
            agency = None if user.agency_id is None else (await fetch_agency(connection, user.agency_id)).name
            return user, agency, await fetch_memberships(connection, user.id)

    user, agency, memberships = run(fetch())
    if as_json:
        members = [
            {"campaignId": campaign_id, "role": role.value} for campaign_id, role in memberships.items()
        ]
        print_json({**user_document(user), "memberships": members})
        return
    shown = list(memberships.items())[:_MOST_MEMBERSHIPS]
    rights = [
        ("ops", user.is_ops),
        ("in charge of the agency", user.is_pic),
        ("creates campaigns", user.may_create),
        ("a service user: nobody logs in as it", user.is_service),
    ]
    print_facts(
        [
            ("user", user.email),
            ("id", user.id),
            ("agency", agency or "-"),
            ("rights", ", ".join(name for name, has in rights if has) or "those of its memberships"),
            *((f"{role.value} of", campaign_id) for campaign_id, role in shown),
            ("added", for_people(user.added_at)),
        ]
    )
    if len(memberships) > len(shown):
        note(f"Not shown: {counted(len(memberships) - len(shown), 'membership')}; --json tells all of them")


@app.command(epilog="Example: sftp-gateway user ops tan@examples.gov.sg")
def ops(context: typer.Context, email: Email, remove: Remove = False, as_json: JSON = False) -> None:
    """Make a person one of ops, who see all campaigns and administer agencies; or no longer."""
    from campaigns.people.users import set_ops

    invocation = invocation_of(context)

    async def change() -> "User":
        async with invocation.open_database() as connection, connection.transaction():
            return await set_ops(connection, email, is_ops=not remove, actor=current_actor())

    user = run(change())
    if as_json:
        print_json(user_document(user))
    else:
        note(f"{user.email} is {'no longer ' if remove else ''}one of ops")


@app.command("end-sessions", epilog="Example: sftp-gateway user end-sessions tan@examples.gov.sg")
def end_sessions(context: typer.Context, email: Email, as_json: JSON = False) -> None:
    """End all sessions of a person in the console, at once. Whoever still may can log in again."""
    from campaigns.people.users import find_user
    from console.login.sessions import end_sessions as end_sessions_of

    invocation = invocation_of(context)

    async def change() -> "tuple[User, int]":
        async with invocation.open_database() as connection, connection.transaction():
            user = await find_user(connection, email)
            return user, await end_sessions_of(connection, user.id, actor=current_actor())

    user, count = run(change())
    if as_json:
        print_json({"userId": user.id, "email": user.email, "sessionsEnded": count})
        return
    note(f"{counted(count, 'session')} of {user.email} ended")

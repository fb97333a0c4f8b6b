"""`sftp-gateway member …`: who is what in a campaign."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.arguments import AFTER_HELP, JSON, CampaignId, Limit, page_of
from gateway.cli.invocation import current_actor, invocation_of, run
from gateway.cli.people.arguments import Email
from gateway.errors import CallMisused
from gateway.output import for_people, note, print_json, print_table, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.people.members import Member
    from campaigns.people.users import User

app = typer.Typer(
    help="Members of campaigns: add, list, remove.", rich_markup_mode="rich", pretty_exceptions_enable=False
)


def register(parent: typer.Typer) -> None:
    """Add these commands to `parent`."""
    parent.add_typer(app, name="member")


@app.command(epilog="Example: sftp-gateway member add CAMPAIGN lim@examples.gov.sg --role owner")
def add(
    context: typer.Context,
    campaign: CampaignId,
    email: Email,
    role: Annotated[
        str,
        typer.Option(
            "--role",
            metavar="owner|member|restricted",
            help="What the person is: owners change the campaign, members see all its messages, restricted ones their own.",
            show_default=False,
        ),
    ],
    as_json: JSON = False,
) -> None:
    """Make a person a member of a campaign, or a member something else."""
    from campaigns.people.members import set_member
    from campaigns.people.permissions import Membership

    invocation = invocation_of(context)
    if role not in set(Membership):
        raise CallMisused(f"a role is owner, member or restricted, not {role[:30]!r}")

    async def store() -> "User":
        async with invocation.open_database() as connection, connection.transaction():
            return await set_member(connection, campaign, email, Membership(role), actor=current_actor())

    user = run(store())
    if as_json:
        print_json(_document(campaign, user, role))
    else:
        note(f"{user.email} is {role} of {campaign}")


@app.command("list", epilog="Example: sftp-gateway member list CAMPAIGN")
def list_all(
    context: typer.Context,
    campaign: CampaignId,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="With this in the address.")
    ] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="EMAIL", help=AFTER_HELP)] = None,
    limit: Limit = None,
    as_json: JSON = False,
) -> None:
    """List a campaign's members, in the order in which they became it."""
    from campaigns.campaigns import fetch_known_campaign
    from campaigns.people.members import list_members

    invocation = invocation_of(context)

    async def fetch() -> "Sequence[Member]":
        async with invocation.open_database() as connection:
            await fetch_known_campaign(connection, campaign)
            return await list_members(connection, campaign)

    members = page_of(
        run(fetch()),
        after=after,
        limit=limit,
        search=search,
        id_of=lambda member: member.email,
        texts_of=lambda member: [member.email],
    )
    if as_json:
        print_json(
            [
                {
                    "userId": member.user_id,
                    "email": member.email,
                    "role": member.role.value,
                    "addedAt": utc(member.added_at),
                }
                for member in members
            ]
        )
        return
    print_table(
        ("address", "role", "since"),
        [(member.email, member.role.value, for_people(member.added_at)) for member in members],
        empty=f"{campaign} has no such members."
        if search or after
        else f"{campaign} has no members yet: see `sftp-gateway member add --help`",
    )


@app.command(epilog="Example: sftp-gateway member remove CAMPAIGN lim@examples.gov.sg")
def remove(context: typer.Context, campaign: CampaignId, email: Email, as_json: JSON = False) -> None:
    """Let a person be a member of a campaign no longer."""
    from campaigns.people.members import remove_member

    invocation = invocation_of(context)

    async def change() -> "User":
        async with invocation.open_database() as connection, connection.transaction():
            return await remove_member(connection, campaign, email, actor=current_actor())

    user = run(change())
    if as_json:
        print_json(_document(campaign, user, None))
    else:
        note(f"{user.email} is no member of {campaign} any more")


def _document(campaign_id: str, user: "User", role: str | None) -> dict[str, object]:
    """What the user is in the campaign from now on; None: nothing."""
    return {"campaignId": campaign_id, "userId": user.id, "email": user.email, "role": role}

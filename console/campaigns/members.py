"""A campaign's settings, Members: who is what in it. Owners and ops change that here; a new owner wants a fresh code."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from campaigns.errors import AddressUnknown, CampaignsError, NotOfficer
from campaigns.people.members import Member, list_members, remove_member, set_member
from campaigns.people.permissions import Action, Membership
from console.campaigns.frame import open_frame
from console.campaigns.steps import sentence
from console.errors import GoTo, PageRefused
from console.login.sessions import is_fresh
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit
from database.connections import Connection

# What each is called, and may do.
ROLES: Final[Mapping[Membership, tuple[str, str]]] = {
    Membership.OWNER: (
        "Owner",
        "Sends, sees all messages, and changes members, addresses, keys and settings.",
    ),
    Membership.MEMBER: ("Member", "Sends, and sees all messages."),
    Membership.RESTRICTED: ("Member Restricted", "Sends, and sees only what they have sent themselves."),
}
_PAGE: Final = "campaign_members"


async def show_members(visit: Visit) -> Response:
    """Who is what in the campaign."""
    return await _show(visit, {})


async def add_member(visit: Visit) -> Response:
    """Make an address a member."""
    form = await visit.form()
    email, role = form.words("email"), form["role"]
    errors: dict[str, str] = {}
    if not email:
        errors["email"] = "Give an e-mail address."
    if role not in set(Membership):
        errors["role"] = "Choose a role."
    if errors:
        return await _show(visit, errors, email=email, role=role)
    try:
        async with visit.change(form) as connection:
            await _require_fresh(visit, connection, Membership(role))
            user = await set_member(connection, visit.campaign_id, email, Membership(role), actor=visit.actor)
            told = f"{user.email} is {_called(Membership(role))} now."
            return await visit.done(connection, _path(visit), told)
    except CampaignsError as error:
        return await _show(visit, {"email": _in_words(error)}, email=email, role=role)


async def change_member(visit: Visit) -> Response:
    """Make a member something else, or a member no more."""
    form = await visit.form()
    try:
        async with visit.change(form) as connection:
            member = await _member(visit, connection)
            if form["then"] == "remove":
                await remove_member(connection, visit.campaign_id, member.email, actor=visit.actor)
                is_oneself = member.user_id == visit.user.id and not visit.user.is_ops
                path = url("home") if is_oneself else _path(visit)
                return await visit.done(connection, path, f"{member.email} is a member no more.")
            if form["role"] not in set(Membership):
                raise PageRefused(400)
            role = Membership(form["role"])
            if role is not member.role:
                await _require_fresh(visit, connection, role, member)
                await set_member(connection, visit.campaign_id, member.email, role, actor=visit.actor)
            return await visit.done(connection, _path(visit), f"{member.email} is {_called(role)} now.")
    except CampaignsError as error:
        return await _show(visit, {"": _in_words(error)})


async def show_owner(visit: Visit) -> Response:
    """Ask for the address of a new owner, after a fresh code."""
    async with visit.connection() as connection:
        members = await list_members(connection, visit.campaign_id)
    asked = visit.query.get("member")
    email = next((member.email for member in members if member.user_id == asked), "")
    return await _show(visit, {}, email=email, role=Membership.OWNER.value)


async def _require_fresh(
    visit: Visit, connection: Connection, role: Membership, member: Member | None = None
) -> None:
    """An owner is made with a fresh code. Raises GoTo; afterwards the page asks for the owner again."""
    if role is Membership.OWNER and not await is_fresh(connection, visit.session.id, visit.settings.console):
        then = url(
            "campaign_owner",
            campaign_id=visit.campaign_id,
            member=None if member is None else member.user_id,
        )
        raise GoTo(url("confirm", next=then))


async def _member(visit: Visit, connection: Connection) -> Member:
    """The member that the path names. Raises PageRefused."""
    for member in await list_members(connection, visit.campaign_id):
        if member.user_id == visit.parameter("user_id"):
            return member
    raise PageRefused(404, "That address is no member of this campaign any more: look at the list again.")


async def _show(visit: Visit, errors: dict[str, str], *, email: str = "", role: str = "") -> Response:
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, _PAGE)
        members = await list_members(connection, visit.campaign_id)
    return await visit.page(
        "campaigns/members.html",
        status=400 if errors else 200,
        frame=frame,
        members=members,
        roles=ROLES,
        may_change=visit.may(Action.MANAGE_CAMPAIGN) and frame.campaign.status != "deleted",
        errors=errors,
        email=email,
        role=role,
    )


def _path(visit: Visit) -> str:
    return url(_PAGE, campaign_id=visit.campaign_id)


def _called(role: Membership) -> str:
    return f"{'an' if role is Membership.OWNER else 'a'} {ROLES[role][0]}"


def _in_words(error: CampaignsError) -> str:
    match error:
        case AddressUnknown():
            return (
                "That address is neither below gov.sg nor of a domain that an agency has listed here: ask the operators of this "
                "service to list its domain."
            )
        case NotOfficer():
            return (
                "Only addresses below gov.sg own campaigns, and those that were given the right to create them: choose Member "
                "for this one."
            )
        case _:
            return sentence(str(error))


ROUTES: Final = (
    ConsoleRoute(
        _PAGE,
        "/campaigns/{campaign_id}/settings/members",
        {"GET": show_members, "POST": add_member},
        (Action.MANAGE_CAMPAIGN, Action.SEE_MESSAGES),
        subject=of_campaign,
        unsafe_needs=Action.MANAGE_CAMPAIGN,
    ),
    ConsoleRoute(
        "campaign_owner",
        "/campaigns/{campaign_id}/settings/members/owner",
        {"GET": show_owner},
        Action.MANAGE_CAMPAIGN,
        subject=of_campaign,
        is_fresh=True,
    ),
    ConsoleRoute(
        "campaign_member",
        "/campaigns/{campaign_id}/settings/members/{user_id}",
        {"POST": change_member},
        Action.MANAGE_CAMPAIGN,
        subject=of_campaign,
    ),
)

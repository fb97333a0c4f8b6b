"""What these commands have in common: their arguments, and how a user is printed."""

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gateway.output import utc

if TYPE_CHECKING:
    from campaigns.people.users import User

AgencyName: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="The agency's name.", show_default=False)
]
Email: TypeAlias = Annotated[
    str, typer.Argument(metavar="EMAIL", help="The person's address.", show_default=False)
]
Remove: TypeAlias = Annotated[bool, typer.Option("--remove", help="Take it away again.")]


def user_document(user: "User") -> dict[str, object]:
    """A user's JSON."""
    return {
        "userId": user.id,
        "email": user.email,
        "agencyId": user.agency_id,
        "isOps": user.is_ops,
        "isPic": user.is_pic,
        "mayCreate": user.may_create,
        "isService": user.is_service,
        "addedAt": utc(user.added_at),
    }

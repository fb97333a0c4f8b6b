"""The steps in which a campaign is made, and the draft that they are about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from campaigns.people.agencies import DEFAULT_AGENCY_ID, fetch_agency
from campaigns.people.permissions import Action
from console.campaigns.drafts import Draft, fetch_draft, lock_draft
from console.errors import PageRefused
from console.paths import url
from console.visits import Visit
from database.connections import Connection

NAME: Final = "campaign_new_name"
CHANNEL: Final = "campaign_new_channel"
CONTENT: Final = "campaign_new_content"
LOOK: Final = "campaign_new_look"
_STEPS: Final = ((NAME, "Name"), (CHANNEL, "Channel"), (CONTENT, "Content"), (LOOK, "Last look"))
_GONE: Final = (
    "This draft isn't there any more: it was made a campaign, thrown away, or left alone for seven days. Begin a new one from "
    "your campaigns."
)


@dataclass(frozen=True, slots=True)
class Step:
    """A step in the list of them. `path` leads to it where all before it is done."""

    text: str
    path: str | None
    is_here: bool


def steps_of(draft: Draft | None, here: str) -> list[Step]:
    """All steps, seen from the one of that name. Without a draft it is the first."""
    reached = 0 if draft is None else 1 if not draft.has_channel else 2 if not draft.bodies else 3
    return [
        Step(
            text,
            url(page, draft_id=draft.id) if draft is not None and at <= reached and page != here else None,
            page == here,
        )
        for at, (page, text) in enumerate(_STEPS)
    ]


async def open_draft(visit: Visit, connection: Connection) -> Draft:
    """The visitor's draft that the path names. Raises PageRefused."""
    return _known(await fetch_draft(connection, visit.parameter("draft_id"), visit.user.id))


async def hold_draft(visit: Visit, connection: Connection) -> Draft:
    """The same, held until the change is made."""
    return _known(await lock_draft(connection, visit.parameter("draft_id"), visit.user.id))


def _known(draft: Draft | None) -> Draft:
    if draft is None:
        raise PageRefused(404, _GONE)
    return draft


def may_choose(visit: Visit) -> bool:
    """Whether the visitor chooses agency and header, which follow from the creator for everybody else."""
    return visit.may_at_all(Action.ADMINISTER)


async def agency_name_of(visit: Visit, connection: Connection, draft: Draft) -> str | None:
    """The agency that the campaign will be of: the visitor's, or the one that ops chose; None where it is nobody's."""
    if draft.agency is not None and may_choose(visit):
        return draft.agency
    agency_id = visit.user.agency_id
    if agency_id is None or agency_id == DEFAULT_AGENCY_ID:
        return None
    return (await fetch_agency(connection, agency_id)).name


async def header_of(visit: Visit, connection: Connection, draft: Draft) -> str:
    """What stands on top of the messages: the agency's name, unless ops have written something else (9-console.md §3)."""
    if draft.header and may_choose(visit):
        return draft.header
    return await agency_name_of(visit, connection, draft) or draft.name


def sentence(text: str) -> str:
    """A refusal of the rooms below, which begins in lower case, as a sentence of a page."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def sentences(texts: Sequence[str]) -> list[str]:
    """Several of them."""
    return [sentence(text) for text in texts]

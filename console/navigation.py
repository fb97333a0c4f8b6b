"""What the head of every page links to: one table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from campaigns.people.permissions import Action
from console.paths import url

if TYPE_CHECKING:
    from console.visits import Visit


@dataclass(frozen=True, slots=True)
class Entry:
    """A link to the page of that name, for whoever may do `needs` at all; it is marked on pages below `beginnings`.

    `is_own`: the page is about the agency that the visitor is in charge of.
    """

    text: str
    page: str
    beginnings: tuple[str, ...]
    needs: Action | None = None
    is_own: bool = False


ENTRIES: Final = (
    Entry("Campaigns", "home", ("/campaigns", "/batches", "/messages", "/exports")),
    Entry("Uploads", "uploads", ("/uploads",)),
    Entry("Billing", "billing", ("/billing",), Action.SEE_BILLING),
    Entry("Agency", "agency", ("/agency",), Action.GRANT_CREATION, is_own=True),
    Entry("Operations", "ops", ("/ops",), Action.ADMINISTER),
    Entry("Calculator", "calculator", ("/calculator",)),
    Entry("Help", "help", ("/help",)),
)


def navigation(visit: "Visit") -> list[tuple[str, str, bool]]:
    """Text, path, and whether the page is below it, of each link that the visitor may follow."""
    here = visit.request.url.path
    return [
        (entry.text, url(entry.page), here == url(entry.page) or _is_below(here, entry.beginnings))
        for entry in ENTRIES
        if (entry.needs is None or visit.may_at_all(entry.needs))
        and (not entry.is_own or visit.person.is_pic)
    ]


def _is_below(path: str, beginnings: tuple[str, ...]) -> bool:
    return any(path == beginning or path.startswith(f"{beginning}/") for beginning in beginnings)

"""What a list's query asks for (8-api.md §2.7). What it doesn't know is ignored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from api.errors import RequestRefused
from api.lists.cursors import Cursor, parse_cursor
from messages.pages import Towards

MOST_ITEMS: Final = 1000
_MOST_SEARCHED: Final = 20
_KNOWN: Final = frozenset({"limit", "after", "before", "search"})


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A page asked for: how many, from which place on and which way, and part of a recipient's number, or None for all."""

    limit: int
    towards: Towards
    cursor: Cursor | None
    search: str | None

    def refuse_cursor(self) -> RequestRefused:
        """The refusal of a cursor that is none of this list's."""
        return _unreadable("after" if self.towards is Towards.OLDER else "before")


def parse_query(query_string: bytes) -> ListQuery:
    """Read a list's query. Raises RequestRefused (400), which names the parameter."""
    given: dict[str, str] = {}
    for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
        if name in _KNOWN and name in given:
            raise RequestRefused(400, f"{name} is given more than once")
        given[name] = value
    limit = _parse_limit(given)
    if "after" in given and "before" in given:
        raise RequestRefused(400, "after and before can't be given together")
    name = "before" if "before" in given else "after"
    cursor = parse_cursor(given[name]) if name in given else None
    if cursor is None and name in given:
        raise _unreadable(name)
    search = given.get("search")
    if search is not None and len(search) > _MOST_SEARCHED:
        raise RequestRefused(400, f"search has more than {_MOST_SEARCHED} characters")
    return ListQuery(limit, Towards.NEWER if name == "before" else Towards.OLDER, cursor, search or None)


def _parse_limit(given: Mapping[str, str]) -> int:
    text = given.get("limit")
    if text is None:
        raise RequestRefused(400, f"limit is missing: give a whole number from 1 to {MOST_ITEMS}")
    # int() takes other scripts' digits, blanks and underscores too.
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_ITEMS):
        raise RequestRefused(400, f"limit must be a whole number from 1 to {MOST_ITEMS}")
    return int(text)


def _unreadable(name: str) -> RequestRefused:
    return RequestRefused(400, f"{name} is no cursor of this list's")

"""The paths of pages, made by the names of their routes; and which paths may be gone to because somebody said so."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlencode

from console.routes import ConsoleRoute

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
# A path of ours: no `//host`, no backslash that a browser takes for a slash, nothing that isn't printable ASCII.
_OWN: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)
_MOST_NEXT: Final = 1000
_paths: Final[dict[str, str]] = {}


def learn_paths(routes: Sequence[ConsoleRoute]) -> None:
    """Make the routes known to `url`."""
    _paths.update({route.name: route.path for route in routes})


def url(name: str, **values: object) -> str:
    """The path of the page of that name: values that stand in it, and the others as its query, without those that are None.

    Raises KeyError for a name that no route has.
    """
    path = _paths[name]
    named = set(_PARAMETER.findall(path))
    query = {key: value for key, value in values.items() if key not in named and value not in (None, "")}
    made = _PARAMETER.sub(lambda match: quote(str(values[match[1]]), safe=""), path)
    return f"{made}?{urlencode(query, doseq=True)}" if query else made


def has_page(name: str) -> bool:
    """Whether a route has this name."""
    return name in _paths


def own_path(text: str | None) -> str | None:
    """`text`, where it is a path of ours that a page may lead to (a `next=`), else None."""
    if not text or len(text) > _MOST_NEXT or not _OWN.fullmatch(text):
        return None
    return text
